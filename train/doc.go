// Package train holds the training loop of all tasks: batches, accumulation, clipping, AdamW, schedules, evaluation,
// checkpoints.
//
// A [Task] provides the examples, the loss of a batch and the metrics of a split; [Run] does the rest:
//
//	cfg := train.Defaults()
//	cfg.BatchSize, cfg.NumTrainEpochs, cfg.LearningRate = 16, 3, 1e-3
//	cfg.OutputDir, cfg.Save = "runs/first", set.Save
//	report, err := train.Run(ctx, task, set.Params(), cfg)
//
// The settings have the names and the meaning of those of Hugging Face's Trainer, so that a run can be repeated there.
//
// An optimiser step runs forward and backward over the summed loss of each micro-batch, divides the gradients by the
// number of targets of the whole step, stops if a value is not finite, clips by the global norm and updates the
// parameters with AdamW. So a step over several micro-batches equals the step over one batch with the same rows, for
// any numbers of targets in them.
//
// # Files
//
// With an output directory, Run writes
//
//   - metrics.jsonl: a line for each step and for each evaluation;
//   - with Config.Save, the best adapter (without evaluation, the last one) to the directory itself, and the last
//     adapter to last/ if it is not the best;
//   - checkpoint-<step>/: the complete state at that step, its adapter, and a manifest with sizes and SHA-256 sums. A
//     checkpoint is written completely or not at all.
//
// # Reproducibility
//
// All random numbers are functions of the seed and a position: the order of rows of (seed, epoch), dropout of (seed,
// step, example, place). The number of workers and the clock have no effect on them. A run that is stopped at any step
// and resumed gives the same bytes as one that was never stopped: adapter, moments, and metrics.jsonl except
// tokens_per_second.
//
// # Limits
//
// One process trains one set of parameters. The state of the optimiser is float32 and stays in memory, as does, with
// evaluation, a copy of the best values.
package train
