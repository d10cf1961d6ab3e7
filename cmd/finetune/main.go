// Finetune trains LoRA adapters; see 'finetune --help'.
package main

import (
	"os"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/finetune"
)

func main() { os.Exit(cli.Main(finetune.Command)) }
