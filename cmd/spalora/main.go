// Spalora is all commands in one binary: 'spalora finetune', 'spalora predict', 'spalora score' and
// 'spalora adapter'.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
	"github.com/spalora/spalora/internal/cli/score"
)

func main() { os.Exit(cli.Main(command)) }

func command(env cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spalora",
		Short: "Fine-tune transformers with LoRA on the CPU",
		Long:  "Fine-tune transformers with LoRA on the CPU, predict with the adapters, score texts, and merge adapters.",
	}
	return cli.Group(cmd, finetune.Command(env), predict.Command(env), score.Command(env), adapter.Command(env))
}
