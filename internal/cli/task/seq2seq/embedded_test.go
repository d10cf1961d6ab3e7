package seq2seq_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
)

// TestEmbeddedPairs: no test row has a source or a target that is trained on, and every pair of Tatoeba has more words
// than those that the embedded model saw and names its authors.
func TestEmbeddedPairs(t *testing.T) {
	for name, x := range map[string]struct {
		files       func() (train, test []byte)
		options     pair.Options
		train, test int
	}{
		"tatoeba": {embedded.Tatoeba,
			pair.Options{Format: data.TSV, NoQuotes: true, SourceLang: "en", TargetLang: "sv"}, 4495, 189},
		"e2e": {embedded.E2E, pair.Options{Format: data.JSONLines}, 1548, 210},
	} {
		trainText, testText := x.files()
		train, err := pair.ReadBytes(trainText, name, x.options)
		if err != nil {
			t.Fatal(err)
		}
		test, err := pair.ReadBytes(testText, name+" test", x.options)
		if err != nil {
			t.Fatal(err)
		}
		if train.Len() != x.train || test.Len() != x.test {
			t.Errorf("%s: %d and %d rows, want %d and %d", name, train.Len(), test.Len(), x.train, x.test)
		}
		sources, targets := map[string]bool{}, map[string]bool{}
		for p := range train.Values() {
			sources[p.Source], targets[p.Targets[0]] = true, true
		}
		for p := range test.Values() {
			if sources[p.Source] {
				t.Errorf("%s, line %d: the source %q is trained on", name, p.Line, p.Source)
			}
			for _, target := range p.Targets {
				if targets[target] {
					t.Errorf("%s, line %d: the target %q is trained on", name, p.Line, target)
				}
			}
		}
	}
	train, test := embedded.Tatoeba()
	for _, row := range strings.Split(strings.TrimSpace(string(train)+string(test)), "\n") {
		fields := strings.Split(row, "\t")
		if fields[0] != "en" && (len(strings.Fields(fields[0])) < 7 || !strings.HasPrefix(fields[2], "#")) {
			t.Errorf("row %q", row)
		}
	}
}

// TestEmbeddedDefaults runs a step of both commands without files.
func TestEmbeddedDefaults(t *testing.T) {
	for command, want := range map[string]string{"seq2seq-lm": "rougeL", "translation": "bleu"} {
		out := filepath.Join(t.TempDir(), "out")
		r := clitest.OK(t, finetune.Command, command, "--quiet", "--max-steps=1", "--tokens-per-batch=64",
			"--generation-max-length=2", "--output-dir", out)
		for _, text := range []string{"before training: test, ", want, "after training: ", "adapter: " + out} {
			if !strings.Contains(r.Out, text) {
				t.Errorf("%s: standard output lacks %q:\n%s", command, text, r.Out)
			}
		}
		config := clitest.Read(t, filepath.Join(out, "adapter_config.json"))
		for _, text := range []string{embedded.T5Name, `"r": 16`, "SEQ_2_SEQ_LM"} {
			if !strings.Contains(config, text) {
				t.Errorf("%s: adapter_config.json lacks %q:\n%s", command, text, config)
			}
		}
	}
}
