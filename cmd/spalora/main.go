// Spalora is all commands in one binary: 'spalora finetune', 'spalora predict' and 'spalora adapter'.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

func main() { os.Exit(cli.Main(command)) }

func command(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spalora",
		Short: "Fine-tune transformers with LoRA on the CPU",
		Long:  "Fine-tune transformers with LoRA on the CPU, predict with the adapters, and merge them.",
	}
	return cli.Group(cmd, finetune.Command(env), predict.Command(env), adapter.Command(env))
}
