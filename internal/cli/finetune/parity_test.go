package finetune_test

import (
	"fmt"
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

// TestHeadsParity trains classifiers on causal models and on encoder–decoders through the command as PEFT did.
func TestHeadsParity(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"causal_heads/*", "seq2seq_heads/*_seq_cls*"} {
		list, err := filepath.Glob(filepath.Join(clitest.Testdata, pattern))
		if err != nil || len(list) == 0 {
			t.Fatalf("fixtures: %v, %v", list, err)
		}
		paths = append(paths, list...)
	}
	compared := 0
	for _, path := range paths {
		name := filepath.Base(path)
		c := clitest.ReadCausal(t, filepath.Join(filepath.Base(filepath.Dir(path)), name))
		if len(c.Labels) != len(c.Rows) && len(c.Values) != len(c.Rows)*c.NumLabels {
			continue // a label for each token
		}
		compared++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append(c.LoopArgs("seq-cls"), "--model", c.Base, "--train-file", c.LabelledFile(t),
				"--adapter", c.Path("adapter_init"),
				"--problem-type="+c.Problem, fmt.Sprintf("--label-smoothing-factor=%v", c.Smoothing))
			c.Train(t, finetune.Command, args...)
		})
	}
	if compared < 13 {
		t.Errorf("only %d fixtures compared", compared)
	}
}
