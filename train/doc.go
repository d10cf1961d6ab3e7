// Package train holds the one training loop of this project: batches, accumulation, clipping, AdamW, schedules, evaluation,
// checkpoints.
//
// A [Task] gives the examples, the loss of a batch and the score of a split; [Run] does the rest:
//
//	cfg := train.Defaults()
//	cfg.BatchSize, cfg.NumTrainEpochs, cfg.LearningRate = 16, 3, 1e-3
//	cfg.OutputDir, cfg.Save = "runs/first", set.Save
//	report, err := train.Run(ctx, task, set.Params(), cfg)
//
// Names and meaning of the settings are those of the Trainer of Hugging Face transformers, so that a run can be repeated there.
//
// One optimiser step runs forward and backward over each micro-batch's summed loss, divides the gradients by the number of
// targets of the whole step, stops if anything is not finite, clips by the global norm and hands the gradients to AdamW. So a
// step over several micro-batches is the step over one batch with the same rows, whatever the number of targets in each.
//
// # Files
//
// With an output directory, Run writes
//
//   - metrics.jsonl: a line for each step and for each evaluation;
//   - through Config.Save, the best adapter (without evaluation the last) into the directory itself, and the last adapter into
//     last/ when it is another;
//   - checkpoint-<step>/: the whole state at that step, with the adapter of that step, a manifest of sizes and SHA-256 sums,
//     complete or not there at all.
//
// # Reproducibility
//
// Everything random is a function of the seed and a position: the order of rows of (seed, epoch), dropout of (seed, step,
// example, place). Nothing depends on the number of workers or on the clock. A run that is stopped at any step and resumed
// gives the bytes of one that was never stopped: adapter, moments and metrics.jsonl but for tokens_per_second.
//
// # Limits
//
// One process trains one set of parameters; optimiser state is float32 and stays in memory, and with evaluation so does a copy
// of the best values.
package train
