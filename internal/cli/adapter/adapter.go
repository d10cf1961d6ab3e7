// Package adapter is the command that works on adapters themselves.
package adapter

import (
	"github.com/spf13/cobra"

	"github.com/spalora/spalora/internal/cli"
)

// Command returns "adapter" with its subcommands.
func Command(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "adapter",
		Short: "Merge and show adapters",
		Long:  "Merge adapters into their base model, and show what is in them.",
	}
	return cli.Group(cmd, merge(env), show(env))
}
