// Package qa is extractive question answering: its training task, its predictor, and what a fine-tuning run and an
// adapter directory mean for it. The answer to a question is a part of a context.
//
// A context that is too long for one sequence becomes several windows that overlap, each an example of its own with
// the question before it. Windows, targets and answers are those of transformers' run_qa.py.
//
// A Go program usually comes here through the package spalora: [Finetuning] is spalora.QuestionAnswering, and a
// [Predictor] is behind Answer.
package qa
