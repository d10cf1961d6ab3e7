// Package adapter is the command that works on adapters themselves.
package adapter

import (
	"github.com/spf13/cobra"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/task"
	"github.com/spalora/spalora/internal/cli/task/all"
)

// Command returns "adapter" with its subcommands.
func Command(env cli.Env) *cobra.Command { return Of(all.Tasks(), env) }

// Of returns "adapter" with its subcommands for adapters of the given task types.
func Of(list []task.Descriptor, env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "adapter",
		Short: "Combine, merge, convert, export, compare, check and show adapters",
		Long: "Combine adapters, merge them into their base model, convert them, export models for llama.cpp, compare, " +
			"check and shrink adapters, and show what is in them.",
	}
	return cli.Group(cmd, combine(env, list), convert(env, list), diff(env, list), export(env), merge(env, list),
		reduce(env, list), show(env, list), unmerge(env), verify(env, list))
}
