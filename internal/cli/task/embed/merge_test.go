package embed_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/cli/adapter"
	"github.com/spalora/spalora/internal/cli/clitest"
	"github.com/spalora/spalora/internal/cli/finetune"
	"github.com/spalora/spalora/internal/cli/predict"
)

// TestMerge merges a sentence encoder: the model alone makes nearly the vectors that it made with the adapter, pooled
// alike.
func TestMerge(t *testing.T) {
	dir := t.TempDir()
	base, trained, merged := filepath.Join(clitest.Testdata, "bert", "query_value", "base"), filepath.Join(dir, "trained"),
		filepath.Join(dir, "merged")
	pairs := clitest.Write(t, filepath.Join(dir, "pairs.csv"), "anchor,positive\na b,c d\ne,f g\nh i,j\n")
	base = clitest.CopyDir(t, base)
	const settings = `{"max_seq_length": 20, "do_lower_case": false}`
	clitest.Write(t, filepath.Join(base, "sentence_bert_config.json"), settings)
	clitest.OK(t, finetune.Command, "embed", "--quiet", "--model", base, "--train-file", pairs, "--max-steps=3",
		"--pooling=cls", "--max-length=30", "--output-dir", trained)
	clitest.OK(t, adapter.Command, "merge", "--quiet", "--model", base, "--adapter", trained, "--output-dir", merged)
	if shown := clitest.OK(t, adapter.Command, "show", "--adapter", trained).Out; !strings.Contains(shown,
		"\nmax-length: 30\nuse: feature extraction\n") {
		t.Errorf("show:\n%s", shown)
	}
	clitest.Run(t, adapter.Command, "merge", "--quiet", "--model", base, "--adapter", trained, "--output-dir",
		merged+"2", "--task=multiple-choice").
		Refused(t, cli.Usage, "--task multiple-choice", "the adapter is for FEATURE_EXTRACTION")
	if got := clitest.Read(t, filepath.Join(merged, "sentence_bert_config.json")); got != settings {
		t.Errorf("sentence_bert_config.json is %s", got)
	}
	vector := func(args ...string) []float64 {
		t.Helper()
		out := clitest.OK(t, predict.Command, append([]string{"embed", "--quiet", "--text", "a b c d"}, args...)...).Out
		return clitest.Lines[struct{ Embedding []float64 }](t, out)[0].Embedding
	}
	want, got := vector("--model", base, "--adapter", trained), vector("--model", merged)
	for i := range want {
		if d := got[i] - want[i]; d > 1e-5 || d < -1e-5 {
			t.Fatalf("value %d is %g, with the adapter %g", i, got[i], want[i])
		}
	}
	clitest.Write(t, filepath.Join(base, "modules.json"),
		`[{"type":"sentence_transformers.models.Transformer"},{"type":"sentence_transformers.models.LayerNorm"}]`)
	other := filepath.Join(dir, "other")
	r := clitest.Run(t, adapter.Command, "merge", "--quiet", "--model", base, "--adapter", trained, "--output-dir", other)
	r.Refused(t, cli.BadInput, "modules.json: the module sentence_transformers.models.LayerNorm is not supported")
	if _, err := os.Stat(other); err == nil {
		t.Error("something was written")
	}
}
