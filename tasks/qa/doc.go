// Package qa implements extractive question answering, where the answer to a question is a part of a context: the
// training task, the predictor, the configuration of a run, and the kind by which adapters are opened and merged.
//
// A context that is too long for one sequence becomes several windows that overlap, each an example of its own with
// the question before it. Windows, targets and answers are those of transformers' run_qa.py.
//
// Go programs usually use package spalora instead: [Finetuning] is spalora.QuestionAnswering, and Answer uses a
// [Predictor].
package qa
