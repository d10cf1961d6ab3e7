// Package cli holds what the commands share: how errors become exit codes, flags with the names of Hugging Face's
// Trainer, run files in YAML, opening of models and adapters, progress, and the signals that stop a run.
//
// The commands are in the packages finetune, predict, score and adapter, and the subcommands of each task type in
// task/<name>. cmd/finetune, cmd/predict, cmd/adapter and cmd/spalora only call them.
package cli
