// Package finetune is the command that trains adapters: one subcommand for each task type.
package finetune

import (
	"github.com/spf13/cobra"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/all"
)

// Command returns "finetune" with a subcommand for each task type.
func Command(env cli.Env) *cobra.Command { return Of(all.Tasks(), env) }

// Of returns "finetune" with a subcommand for each of the given task types.
func Of(list []task.Descriptor, env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "finetune",
		Short: "Fine-tune a transformer with LoRA on the CPU",
		Long: `Fine-tune a transformer with LoRA on the CPU and write an adapter that PEFT reads.

Each task type has a subcommand. Without flags it runs on an embedded model and data set.`,
	}
	var subcommands []*cobra.Command
	for _, d := range list {
		subcommands = append(subcommands, d.Finetune(env))
	}
	return cli.Group(cmd, subcommands...)
}
