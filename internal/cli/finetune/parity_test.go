package finetune_test

import (
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestParity trains through the command as PEFT did and compares every step and the adapter that comes out.
func TestParity(t *testing.T) {
	for _, c := range clitest.Cases(t) {
		t.Run(filepath.Base(c.Dir), func(t *testing.T) {
			t.Parallel()
			train(t, c, "--model", c.Path("base"))
		})
	}
	t.Run("embedded MiniLM", func(t *testing.T) {
		t.Parallel()
		train(t, clitest.ReadCase(t, filepath.Join(clitest.Testdata, "minilm")))
	})
}

func train(t *testing.T, c clitest.Case, args ...string) {
	t.Helper()
	trainAs(t, c, append(c.TrainArgs(), args...))
}

// trainAs runs a command that trains and compares what comes out with the fixture.
func trainAs(t *testing.T, c clitest.Case, args []string) {
	t.Helper()
	c.Train(t, finetune.Command, args...)
}
