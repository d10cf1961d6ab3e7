package bert_test

import (
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// sized returns a batch of sequences of that many tokens.
func sized(sequences, tokens int) *batch.Batch {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	for i := range sequences {
		for n := range tokens {
			b.IDs, b.Types = append(b.IDs, int32((n*7+i)%40)), append(b.Types, 0)
		}
		b.Seqs.Index, b.Labels = append(b.Seqs.Index, i), append(b.Labels, int32(i%5))
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
	}
	return b
}

// TestMemoryOfEvaluation: without recording, activations of one layer go before those of the next come.
func TestMemoryOfEvaluation(t *testing.T) {
	peak := func(layers int) int {
		c := bert.DefaultConfig()
		c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads, c.IntermediateSize, c.MaxPositions =
			40, 32, layers, 4, 48, 1024
		m := filled(bert.NewForSequenceClassification(c, 5), 1)
		tape := op.NewEvalTape(nil)
		defer tape.Close()
		b := sized(4, 100)
		scope := tape.Scope()
		m.Logits(&nn.Pass{Tape: tape}, b)
		tape.Leave(scope)
		ids := 4 * 400 // positions are lent until Reset
		if now, _ := tape.Memory(); now > ids {
			t.Errorf("%d layers: %d bytes in use after the scope, want at most %d", layers, now, ids)
		}
		tape.Reset()
		now, peak := tape.Memory()
		if now != 0 {
			t.Errorf("%d layers: %d bytes in use after Reset", layers, now)
		}
		return peak
	}
	// At most a layer holds its input, the context, what follows from it up to the feed-forward part, and twice N×F
	// there.
	if two, six := peak(2), peak(6); two != six || two > 4*400*(4*32+2*48+16) {
		t.Errorf("peaks of %d bytes with 2 layers, %d with 6", two, six)
	}
}
