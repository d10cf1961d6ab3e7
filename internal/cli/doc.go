// Package cli holds what the commands share: how errors become exit codes, flags with the names of Hugging Face's
// Trainer, run files in YAML, opening of models and adapters, progress, and the signals that stop a run.
//
// The commands themselves are in the packages below: finetune, predict and adapter, each with one file for each of its
// subcommands. cmd/finetune, cmd/predict, cmd/adapter and cmd/spalora only call them.
package cli
