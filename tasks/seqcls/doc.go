// Package seqcls is sequence classification and regression of texts and text pairs: its training task, its predictor,
// and what a fine-tuning run and an adapter directory mean for it.
//
// A Go program usually comes here through the package spalora: [Finetuning] is spalora.SeqCls, and a [Predictor] is
// behind Classify.
package seqcls
