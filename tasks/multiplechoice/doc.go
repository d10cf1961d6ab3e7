// Package multiplechoice implements multiple choice, the choice of one of several answers to a question: the training
// task, the predictor, the configuration of a run, and the kind by which adapters are opened and merged.
//
// Go programs usually use package spalora instead: [Finetuning] is spalora.MultipleChoice, and Choose uses a
// [Predictor].
package multiplechoice
