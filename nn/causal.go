package nn

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn/op"
)

// Decoder is a causal model without a head: N ids to N×C, or to the rows that p.Keep wants. The pass has the sequences.
type Decoder interface {
	Forward(p *Pass, ids []int32) mat.Tensor
}

// Positions returns the position of each row within its sequence. The slice is lent until the tape's Reset.
func (p *Pass) Positions() []int32 {
	list := p.Tape.Ints(p.Seqs.Rows())
	for i := range p.Seqs.Len() {
		at := 0
		if p.Seqs.First != nil {
			at = p.Seqs.First[i]
		}
		for row := p.Seqs.Starts[i]; row < p.Seqs.Starts[i+1]; row++ {
			list[row] = int32(at + row - p.Seqs.Starts[i])
		}
	}
	return list
}

// place returns the pass for the sequences of a batch; with a cache they come after the rows that it holds.
func (p *Pass) place(s op.Seqs) *Pass {
	if p.Cache != nil {
		s = p.Cache.Place(s)
	}
	return p.With(s)
}

// decode runs the decoder; the pass is that of its result.
func decode(p *Pass, ids []int32, d Decoder) (mat.Tensor, *Pass) {
	x := d.Forward(p, ids)
	if p.Cache != nil {
		p.Cache.commit(p.Seqs)
	}
	return x, p.After()
}

// CausalLogits returns the logits of the next token, rows×V: of every row of the sequences, or of p.Keep's.
func CausalLogits(p *Pass, s op.Seqs, ids []int32, d Decoder, head *Linear) mat.Tensor {
	x, q := decode(p.place(s), ids, d)
	return head.Forward(q, x)
}

// CausalLoss returns the summed cross-entropy (1×1) of the rows that have a label: the id that follows them. labels has a value for
// each row, op.Ignore for none. In the last block the rows before the first and behind the last label of a sequence only serve as keys
// and values: the result is the same.
func CausalLoss(p *Pass, s op.Seqs, ids, labels []int32, d Decoder, head *Linear) (mat.Tensor, op.TargetStats) {
	p = p.place(s)
	if k := RowsFrom(s, labels); k != nil && len(k.Rows) > 0 {
		p.Keep = k
		kept := make([]int32, len(k.Rows))
		for i, row := range k.Rows {
			kept[i] = labels[row]
		}
		labels = kept
	}
	x, q := decode(p, ids, d)
	return op.LinearCrossEntropy(q.Tape, x, q.adapterDrop(), head.projection(q), labels)
}

// LastTokenLogits returns the head's values for the last row of each sequence that is not the padding token ([LastTokens]), B×labels: what
// classifiers on causal models read.
func LastTokenLogits(p *Pass, s op.Seqs, ids []int32, padding int, d Decoder, head *Linear) mat.Tensor {
	p = p.place(s)
	p.Keep = LastTokens(p.Seqs, ids, padding)
	x, q := decode(p, ids, d)
	return head.Forward(q, x)
}

// TokenLogits returns the head's values, rows×labels, for every row of the sequences, or for p.Keep's.
func TokenLogits(p *Pass, s op.Seqs, ids []int32, d Decoder, drop *Dropout, head *Linear) mat.Tensor {
	x, q := decode(p.place(s), ids, d)
	return head.Forward(q, drop.Forward(q, x))
}
