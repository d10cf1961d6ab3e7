// Package seqcls implements sequence classification and regression of texts and text pairs: the training task, the
// predictor, the configuration of a run, and the kind by which adapters are opened and merged.
//
// Go programs usually use package spalora instead: [Finetuning] is spalora.SeqCls, and Classify uses a [Predictor].
package seqcls
