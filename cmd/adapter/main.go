// Adapter merges and shows adapters; see 'adapter --help'.
package main

import (
	"os"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
)

func main() { os.Exit(cli.Main(adapter.Command)) }
