// Package predict is the command that applies trained models: one subcommand for each task type, and one that prints
// the output of the tokenizer.
package predict

import (
	"github.com/spf13/cobra"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/all"
)

// Command returns "predict" with a subcommand for each task type, and "tokenize".
func Command(env cli.Env) *cobra.Command { return Of(all.Tasks(), env) }

// Of returns "predict" with a subcommand for each of the given task types, and "tokenize".
func Of(list []task.Descriptor, env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "predict",
		Short: "Predict with a base model and an adapter",
		Long: `Predict with a base model and an adapter, from a file, from standard input or from texts on the command line.

Each task type has a subcommand.`,
	}
	var subcommands []*cobra.Command
	for _, d := range list {
		subcommands = append(subcommands, d.Predict(env))
	}
	return cli.Group(cmd, append(subcommands, tokenizeTexts(env))...)
}
