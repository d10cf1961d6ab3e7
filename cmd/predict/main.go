// Predict applies trained models; see 'predict --help'.
package main

import (
	"os"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/predict"
)

func main() { os.Exit(cli.Main(predict.Command)) }
