// Package finetune is the command that trains adapters: one subcommand for each task type.
package finetune

import (
	"github.com/spf13/cobra"

	"github.com/spalora/spalora/internal/cli"
)

// Command returns "finetune" with its subcommands.
func Command(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "finetune",
		Short: "Fine-tune a transformer with LoRA on the CPU",
		Long: `Fine-tune a transformer with LoRA on the CPU and write an adapter that PEFT reads.

Each task type has a subcommand. Without flags it runs on a model and a data set that are compiled in.`,
	}
	return cli.Group(cmd, seqCls(env), tokenCls(env), questionAnswering(env), multipleChoice(env), embed(env), causalLM(env))
}
