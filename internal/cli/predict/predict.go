// Package predict is the command that applies trained models: one subcommand for each task type, and one that shows what
// the tokenizer does.
package predict

import (
	"github.com/spf13/cobra"

	"github.com/spalora/spalora/internal/cli"
)

// Command returns "predict" with its subcommands.
func Command(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "predict",
		Short: "Predict with a base model and an adapter",
		Long: `Predict with a base model and an adapter, from a file, from standard input or from texts on the command line.

Each task type has a subcommand.`,
	}
	return cli.Group(cmd, seqCls(env), tokenCls(env), questionAnswering(env), multipleChoice(env), embed(env), causalLM(env), tokenizeTexts(env))
}
