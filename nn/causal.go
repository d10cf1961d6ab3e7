package nn

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn/op"
)

// Decoder is a causal model without a head. Forward turns N ids into N×C, or into only the rows that p.Keep lists.
// p.Seqs describes the sequences.
type Decoder interface {
	Forward(p *Pass, ids []int32) mat.Tensor
}

// Positions returns the position of each row within its sequence, N values. The slice belongs to the tape and is valid
// until its Reset.
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

// place returns the pass for the sequences of a batch. With a cache they follow the rows that it holds.
func (p *Pass) place(s op.Seqs) *Pass {
	if p.Cache != nil {
		s = p.Cache.Place(s)
	}
	return p.With(s)
}

// decode returns the result of the decoder and the pass for its rows.
func decode(p *Pass, ids []int32, d Decoder) (mat.Tensor, *Pass) {
	x := d.Forward(p, ids)
	if p.Cache != nil {
		p.Cache.commit(p.Seqs)
	}
	return x, p.After()
}

// CausalLogits returns the logits of the next token, N×V for N ids, or only the rows that p.Keep lists. With a cache
// it appends the rows to it.
func CausalLogits(p *Pass, s op.Seqs, ids []int32, d Decoder, head *Linear) mat.Tensor {
	x, q := decode(p.place(s), ids, d)
	return head.Forward(q, x)
}

// CausalLoss returns the cross-entropy (1×1) summed over the rows that have a label, with p.Smoothing, and the counts
// of these rows. The label of a row is the id that follows it; labels has N values, op.Ignore for a row without one. In
// the last block, the rows before the first and after the last label of a sequence serve as keys and values only, which
// does not change the result.
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
	return op.LinearCrossEntropy(q.Tape, x, q.adapterDrop(), head.projection(q, x), labels, p.Smoothing)
}

// LastTokenLogits returns the head's logits, B×labels, for the last row of each sequence that is not the padding token
// (see [LastTokens]), as classifiers on causal models compute them.
func LastTokenLogits(p *Pass, s op.Seqs, ids []int32, padding int, d Decoder, head *Linear) mat.Tensor {
	p = p.place(s)
	p.Keep = LastTokens(p.Seqs, ids, padding)
	x, q := decode(p, ids, d)
	return head.Forward(q, x)
}

// TokenLogits returns the head's logits, N×labels for N ids, or only the rows that p.Keep lists. drop acts on the
// input of the head.
func TokenLogits(p *Pass, s op.Seqs, ids []int32, d Decoder, drop *Dropout, head *Linear) mat.Tensor {
	x, q := decode(p.place(s), ids, d)
	return head.Forward(q, drop.Forward(q, x))
}
