// Package tasks is the engine that all task types share: [Finetune] runs the [Plan] of a task, [Recognise] finds the
// task of an adapter, [Merging] merges an adapter into its base, [TextSet] holds tokenised texts and [Inference]
// computes over them. Each package below this one is a task type.
package tasks
