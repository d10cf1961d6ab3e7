package spalora_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/tasks/embed"
	"github.com/spalora/spalora/train"
)

// TestEmbed makes vectors with the embedded encoder, which its own class and module files describe.
func TestEmbed(t *testing.T) {
	m, err := spalora.Open("", spalora.WithBaseFiles(embedded.MiniLMName, embedded.MiniLM()), spalora.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Task() != "embed" {
		t.Errorf("the task is %s", m.Task())
	}
	texts := []string{"Where is my card?", "My card has not arrived.", "I like trains."}
	all, err := m.EmbedAll(t.Context(), spalora.Texts(texts...))
	if err != nil || len(all) != 3 {
		t.Fatalf("%d vectors, %v", len(all), err)
	}
	for i, v := range all {
		norm := 0.0
		for _, x := range v {
			norm += float64(x) * float64(x)
		}
		if len(v) != 384 || math.Abs(norm-1) > 1e-5 {
			t.Errorf("vector %d has %d values and the length %g", i, len(v), math.Sqrt(norm))
		}
		alone, err := m.Embed(t.Context(), texts[i])
		if err != nil || !slices.Equal(alone[0], v) {
			t.Errorf("vector %d has other bits alone: %v", i, err)
		}
	}
	near, err := m.Similarity(t.Context(), texts[0], texts[1])
	if err != nil {
		t.Fatal(err)
	}
	far, err := m.Similarity(t.Context(), texts[0], texts[2])
	if err != nil || !(near > far && near <= 1) {
		t.Errorf("similarities %g and %g, %v", near, far, err)
	}
	if none, err := m.EmbedAll(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("no texts: %v, %v", none, err)
	}
	if _, err := m.Classify(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "call Embed or Similarity") {
		t.Errorf("Classify: %v", err)
	}
}

// TestFinetuneEmbedding trains on pairs in memory and opens the adapter, which remembers the pooling and the largest
// score.
func TestFinetuneEmbedding(t *testing.T) {
	pair := func(a, b string, score float64, line int) text.Example {
		return text.Example{
			Text: a, Pair: b, HasPair: true, Label: data.Label{Kind: data.NumberLabel, Number: score}, Line: line,
		}
	}
	pairs := text.New("pairs", pair("a b", "a c", 5, 1), pair("d e f", "g h", 0.5, 2), pair("i j", "i", 4, 3))
	base, dir := filepath.Join("testdata", "bert", "query_value", "base"), filepath.Join(t.TempDir(), "out")
	c := &spalora.Embedding{Train: pairs, Test: pairs, Pooling: "cls", MaxScore: 5}
	c.Model, c.OutputDir, c.MaxSteps = base, dir, 2
	before := 0
	c.OnBefore = func(rows int, m train.Metrics) { before = rows * len(m.Values) }
	if _, err := spalora.Finetune(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if before != 9 {
		t.Errorf("before training %d values were scored, want 3 metrics of 3 pairs", before)
	}
	m, err := spalora.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p, err := spalora.Predictor[*embed.Opened](m)
	if err != nil {
		t.Fatal(err)
	}
	if p.Pooling() != embed.First || p.Normalize {
		t.Errorf("pooling %v, normalise %v", p.Pooling(), p.Normalize)
	}
	vectors, _, err := p.Embed(t.Context(), pairs)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Score(pairs, embed.Cosines(vectors, p.Width())); err != nil { // a score of 5 would be above 1
		t.Error(err)
	}
	_, err = spalora.Open(dir, spalora.WithSettings(&embed.Settings{Pooling: "mean"}))
	if err == nil || !strings.Contains(err.Error(), "was trained with cls") {
		t.Errorf("another pooling: %v", err)
	}
}
