package spalora_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/tokenize"
)

// TestPublishedRoBERTa compares the vectors of a published RoBERTa, which is not in the repository, with those of
// transformers; see reference/published_fixture.py.
func TestPublishedRoBERTa(t *testing.T) {
	const dir = "../shared/models/sapiens-roberta-vh"
	if _, err := os.Stat(dir); err != nil {
		t.Skip(err)
	}
	raw, err := os.ReadFile("testdata/published/sapiens-roberta-vh.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Rows []struct {
			Text   string
			IDs    []int32
			Vector []float32
		}
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	m, err := spalora.Open(dir, spalora.WithTask("embed"), spalora.WithThreads(1))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tok, err := tokenize.Load(func(name string) ([]byte, error) { return os.ReadFile(dir + "/" + name) })
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range want.Rows {
		e, err := tok.Encode(r.Text, tokenize.Options{})
		if err != nil || !slices.Equal(e.IDs, r.IDs) {
			t.Errorf("%s: ids %v, %v; want %v", r.Text, e.IDs, err, r.IDs)
		}
		vectors, err := m.Embed(t.Context(), r.Text)
		if err != nil || len(vectors[0]) != len(r.Vector) {
			t.Fatalf("%d vectors, %v", len(vectors), err)
		}
		most, off := 0.0, 0.0
		for i, x := range vectors[0] {
			most = max(most, math.Abs(float64(r.Vector[i])))
			off = max(off, math.Abs(float64(x)-float64(r.Vector[i])))
		}
		t.Logf("%d tokens: %.1e of the largest value", len(e.IDs), off/most)
		if off > 3e-7*most {
			t.Errorf("%s: differs by %.1e of the largest value, want at most 3e-7", r.Text, off/most)
		}
	}
}
