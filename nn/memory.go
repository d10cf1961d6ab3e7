package nn

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn/op"
)

// Memory holds the rows of an encoder, M×C, which the cross attention of a decoder reads. Segment i of Seqs belongs to
// sequence i of the decoder's batch; its length is its own. X is a value of the tape of the pass.
type Memory struct {
	X    mat.Tensor
	Seqs op.Seqs
}

// Read returns the pass of a decoder over m, on the same tape.
func (p *Pass) Read(m *Memory) *Pass {
	q := *p
	q.Memory = m
	return &q
}

// Source returns the pass of an encoder over the sequences s, on the same tape: without the rows to keep, the cache and
// the memory, which belong to its decoder.
func (p *Pass) Source(s op.Seqs) *Pass {
	q := p.With(s)
	q.Keep, q.Cache, q.Memory = nil, nil, nil
	return q
}

// Shifted returns what shift makes of the ids of each sequence of the pass, as many ids. The slice belongs to the tape
// and is valid until its Reset.
func (p *Pass) Shifted(ids []int32, shift func(to, from []int32)) []int32 {
	to := p.Tape.Ints(len(ids))
	for i := range p.Seqs.Len() {
		lo, hi := p.Seqs.Starts[i], p.Seqs.Starts[i+1]
		shift(to[lo:hi], ids[lo:hi])
	}
	return to
}

// operands returns the tensors that a block with the input x reads: x, and what all blocks share.
func (p *Pass) operands(x mat.Tensor) []mat.Tensor {
	xs := []mat.Tensor{x}
	if p.Memory != nil {
		xs = append(xs, p.Memory.X)
	}
	if p.Bias.X != nil {
		xs = append(xs, p.Bias.X)
	}
	return xs
}

// over returns the pass of a block on tape t that reads xs in place of p's operands.
func (p *Pass) over(t *op.Tape, xs []mat.Tensor) *Pass {
	q := *p
	q.Tape, xs = t, xs[1:]
	if p.Memory != nil {
		q.Memory, xs = &Memory{X: xs[0], Seqs: p.Memory.Seqs}, xs[1:]
	}
	if p.Bias.X != nil {
		q.Bias.X = xs[0]
	}
	return &q
}

// branched returns the pass of a block that reads branches of what all blocks share, so that their gradients add up
// block by block, as with checkpoints.
func (p *Pass) branched() *Pass {
	xs := p.operands(nil)
	if len(xs) == 1 {
		return p
	}
	for i, x := range xs[1:] {
		xs[i+1] = op.Branch(p.Tape, x)
	}
	return p.over(p.Tape, xs)
}
