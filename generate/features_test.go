package generate

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
)

// numbered reads sources whose rows of features are token ids, twice each.
type numbered struct{ seq2seq }

func (numbered) Columns() int { return 2 }

func (numbered) CheckRows(rows int) error {
	if rows > 12 {
		return fmt.Errorf("%d rows; want at most 12", rows)
	}
	return nil
}

func (numbered) Begin([]int32) []int32 { return []int32{0} }

func (m numbered) Read(p *nn.Pass, b *batch.Batch) *nn.Memory {
	q := &batch.Batch{Seqs: b.Seqs}
	for i := 0; i < len(b.Features); i += 2 {
		if b.Features[i] != b.Features[i+1] {
			panic("the rows of features are mixed up")
		}
		q.IDs = append(q.IDs, int32(b.Features[i]))
	}
	return m.seq2seq.Read(p, q)
}

// TestFeatures: a model that reads features gets those of its prompts, in searches of all kinds.
func TestFeatures(t *testing.T) {
	m := seq2seq{openSeq2Seq(t, filepath.Join(fixtures, "seq2seq", "t5"))}
	tokens, features := NewOf(m, nil, nil), NewOf(numbered{m}, nil, nil)
	for _, beams := range []int{1, 3} {
		cfg := Defaults()
		cfg.MaxNewTokens, cfg.NumBeams, cfg.EosTokenIDs = 8, beams, []int32{1}
		var a, b []Prompt
		for i := range 4 {
			ids := []int32{int32(5 + i), 9, int32(20 - i), 1}[i/2:]
			p := Prompt{Start: []int32{0, int32(3 + i)}}
			for _, id := range ids {
				p.Features = append(p.Features, float32(id), float32(id))
			}
			a, b = append(a, Prompt{IDs: ids, Start: p.Start}), append(b, p)
		}
		want, got := must(t, tokens, a, cfg), must(t, features, b, cfg)
		for i := range want {
			if !slices.Equal(got[i].IDs, want[i].IDs) || got[i].Score != want[i].Score {
				t.Errorf("%d beams, prompt %d: %v, want %v", beams, i, got[i].IDs, want[i].IDs)
			}
		}
	}
	for _, c := range []struct {
		g    *Generator
		p    Prompt
		want string
	}{
		{features, Prompt{IDs: []int32{1}}, "prompt 0 has ids, but the model reads features"},
		{features, Prompt{}, "has 0 values of features; want rows of 2"},
		{features, Prompt{Features: make([]float32, 3)}, "has 3 values of features; want rows of 2"},
		{features, Prompt{Features: make([]float32, 26)}, "has 13 rows; want at most 12"},
		{tokens, Prompt{IDs: []int32{1}, Features: []float32{1}}, "has features, but the model reads tokens"},
	} {
		_, err := c.g.Generate(t.Context(), []Prompt{c.p}, Defaults())
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
