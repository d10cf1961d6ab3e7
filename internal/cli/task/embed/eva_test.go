package embed_test

import (
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestEVAEnds: the starting values eva come to an end for both losses. With directions that cannot converge the run
// stops with an error after each batch was looked at a hundred times; otherwise it trains.
func TestEVAEnds(t *testing.T) {
	for _, x := range []struct{ name, pairs, flag string }{
		{"train.csv", scoredPairs, "--max-score=5"}, // two batches of 3 pairs
		{"train.jsonl", barePairs, "--batch-size=2"},
	} {
		t.Run(x.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			args := embedArgs(t, x.pairs, x.name, "--init-lora-weights=eva", "--lora-r=2", "--target-modules=query",
				"--output-dir", out, x.flag)
			clitest.Run(t, finetune.Command, append(args, "--eva-config=tau=1")...).Refused(t, cli.Usage,
				"the directions have not converged after 200 batches; set a lower tau or more data")
			clitest.OK(t, finetune.Command, append(args, "--overwrite", "--eva-config=tau=0.5")...)
		})
	}
}
