package finetune_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/internal/cli/clitest"
)

// TestCausalParity trains language models through the command as PEFT did and compares every step and the adapter that comes out.
func TestCausalParity(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join(clitest.Testdata, "causal"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, e := range entries {
		c := clitest.ReadCausal(t, filepath.Join("causal", e.Name()))
		if !c.Whole || e.Name() == "rope_dynamic" { // whose rows are longer than its positions
			continue // some tokens have no label, or a row has nothing to learn and would be left out: no text says so
		}
		compared++
		t.Run(e.Name(), func(t *testing.T) {
			t.Parallel()
			trainAs(t, c.Case, append(c.LoopArgs("causal-lm"), "--model", c.Base, "--train-file", c.File(t), "--adapter", c.Path("adapter_init"), "--block-size=0"))
		})
	}
	if compared < 5 {
		t.Errorf("only %d fixtures compared", compared)
	}
}

// TestHeadsParity trains classifiers on causal models through the command as PEFT did.
func TestHeadsParity(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(clitest.Testdata, "causal_heads", "*"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, path := range paths {
		name := filepath.Base(path)
		c := clitest.ReadCausal(t, filepath.Join("causal_heads", name))
		if len(c.Labels) != len(c.Rows) && len(c.Values) != len(c.Rows)*c.NumLabels {
			continue // a label for each token
		}
		compared++
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append(c.LoopArgs("seq-cls"), "--model", c.Base, "--train-file", c.LabelledFile(t), "--adapter", c.Path("adapter_init"),
				"--problem-type="+c.Problem, fmt.Sprintf("--label-smoothing-factor=%v", c.Smoothing))
			trainAs(t, c.Case, args)
		})
	}
	if compared < 6 {
		t.Errorf("only %d fixtures compared", compared)
	}
}
