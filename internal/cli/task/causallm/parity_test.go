package causallm_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestParity trains language models through the command as PEFT did and compares every step and the adapter that
// comes out.
func TestParity(t *testing.T) {
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
			c.Train(t, finetune.Command, append(c.LoopArgs("causal-lm"), "--model", c.Base, "--train-file", c.File(t),
				"--adapter", c.Path("adapter_init"), "--block-size=0")...)
		})
	}
	if compared < 5 {
		t.Errorf("only %d fixtures compared", compared)
	}
}
