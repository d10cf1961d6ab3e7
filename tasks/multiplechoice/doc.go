// Package multiplechoice picks one of the choices of a question: its training task, its predictor, and what a
// fine-tuning run and an adapter directory mean for it.
//
// A Go program usually comes here through the package spalora: [Finetuning] is spalora.MultipleChoice, and a
// [Predictor] is behind Choose.
package multiplechoice
