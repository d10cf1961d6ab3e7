package roberta_test

import (
	"slices"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/roberta"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

func small(t *testing.T, pad int) *roberta.Model {
	t.Helper()
	c := defaults(t, "xlm-roberta")
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize, c.MaxPositions,
		c.TypeVocabSize = 20, 8, 1, 2, 12, 14, 1
	c.PadTokenID = &pad
	m := roberta.New(c)
	for _, w := range nn.Weights(m) {
		r := nn.NewRand(1, w.Name)
		v := make([]float32, w.Weight.Len())
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		if err := w.Weight.SetValues(v); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// embedded returns the rows of the embeddings of some sequences.
func embedded(m *roberta.Model, sequences ...[]int32) [][]float32 {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	for _, s := range sequences {
		b.IDs = append(b.IDs, s...)
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
	}
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	y := op.Values(m.Embeddings.Forward(&nn.Pass{Tape: tape, Seqs: b.Seqs}, b))
	var rows [][]float32
	for i := range b.IDs {
		rows = append(rows, append([]float32(nil), y[i*m.Width():(i+1)*m.Width()]...))
	}
	return rows
}

// TestPositions: positions count the tokens that are not padding, in each sequence by itself; a padding token inside
// a text does not count and has its own position.
func TestPositions(t *testing.T) {
	for _, pad := range []int{0, 1, 3} {
		m, p := small(t, pad), int32(pad)
		plain := embedded(m, []int32{5, 6, 7})
		rows := embedded(m, []int32{9}, []int32{5, p, 6, p, p, 7}, []int32{p, 5})
		for name, x := range map[string][2][]float32{
			"before padding": {rows[1], plain[0]}, "behind padding": {rows[3], plain[1]},
			"behind more padding":           {rows[6], plain[2]},
			"one padding token and another": {rows[2], rows[4]}, "padding in another sequence": {rows[2], rows[7]},
			"behind padding at the beginning": {rows[8], plain[0]},
		} {
			if !slices.Equal(x[0], x[1]) {
				t.Errorf("padding token %d, %s: %v, want %v", pad, name, x[0], x[1])
			}
		}
		if slices.Equal(embedded(m, []int32{5, 5})[0], embedded(m, []int32{5, 5})[1]) {
			t.Errorf("padding token %d: two positions are the same", pad)
		}
	}
}

// TestFirstPosition: the first token reads the row behind the padding token's.
func TestFirstPosition(t *testing.T) {
	const pad = 3
	m := small(t, pad)
	before := embedded(m, []int32{5, 6})
	table := op.Values(m.Embeddings.Positions.Weight.Train())
	for c := range m.Width() {
		table[(pad+1)*m.Width()+c] += float32(c)
	}
	after := embedded(m, []int32{5, 6})
	if slices.Equal(before[0], after[0]) || !slices.Equal(before[1], after[1]) {
		t.Errorf("row %d of the table of positions is not that of the first token alone", pad+1)
	}
}
