package qa_test

import (
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestEVAEnds: the starting values eva come to an end. With directions that cannot converge the run stops with an error
// after each batch was looked at a hundred times; otherwise it trains.
func TestEVAEnds(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	args := qaArgs(t, "--init-lora-weights=eva", "--lora-r=2", "--target-modules=query", "--max-train-samples=6",
		"--batch-size=4", "--output-dir", out)
	clitest.Run(t, finetune.Command, append(args, "--eva-config=tau=1")...).Refused(t, cli.Usage,
		"the directions have not converged after 200 batches; set a lower tau or more data")
	clitest.OK(t, finetune.Command, append(args, "--overwrite")...)
}
