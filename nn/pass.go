package nn

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn/op"
)

// Pass is everything about a call that is not a weight. The caller makes it (training, prediction) and models hand it
// down. It belongs to one goroutine, as its tape does.
type Pass struct {
	Tape    *op.Tape
	Seqs    op.Seqs    // the sequences of the batch; models set it from the batch
	Key     op.Key     // random stream of the step
	Train   bool       // dropout acts
	Adapter AdapterSet // adapter in use; nil: the base model
	Keep    *Kept      // rows wanted after the last block; nil: all
}

// AdapterSet is what a layer may ask of an adapter. Both methods are given the weights of the base model and must be
// safe for concurrent use.
type AdapterSet interface {
	// Correction returns what the set adds to w, or nil.
	Correction(w *op.Weight) *op.Correction
	// Replacement returns the set's own copy of w (of a classifier head, say), or nil.
	Replacement(w *op.Weight) *op.Weight
}

// Kept lists rows of a batch that are still wanted, and which sequences they belong to.
type Kept struct {
	Rows []int
	Seqs op.Seqs // segments of Rows, one for each sequence of the batch
}

// FirstRows keeps the first row of every sequence: what a classifier on [CLS] reads.
func FirstRows(s op.Seqs) *Kept {
	n := s.Len()
	starts := make([]int, n+1)
	for i := range starts {
		starts[i] = i
	}
	return &Kept{Rows: s.Starts[:n], Seqs: op.Seqs{Starts: starts, First: s.First, Index: s.Index}}
}

// With returns a pass on the same tape for other sequences.
func (p *Pass) With(s op.Seqs) *Pass {
	q := *p
	q.Seqs = s
	return &q
}

// kept returns x with only the rows that are kept and the pass that fits them; without a choice, both as they are.
func (p *Pass) kept(x mat.Tensor) (mat.Tensor, *Pass) {
	if p.Keep == nil {
		return x, p
	}
	q := p.With(p.Keep.Seqs)
	q.Keep = nil
	return op.Rows(p.Tape, x, p.Keep.Rows), q
}

// weight returns the adapter's own copy of w, or w.
func (p *Pass) weight(w *op.Weight) *op.Weight {
	if p.Adapter != nil && w != nil {
		if own := p.Adapter.Replacement(w); own != nil {
			return own
		}
	}
	return w
}

func (p *Pass) correction(w *op.Weight) *op.Correction {
	if p.Adapter == nil {
		return nil
	}
	return p.Adapter.Correction(w)
}

// drop describes dropout at one place, or nothing outside training.
func (p *Pass) drop(d Dropout) op.Drop {
	if !p.Train || d.P == 0 {
		return op.Drop{}
	}
	return op.Drop{P: d.P, Site: d.Site, Key: p.Key, Seqs: p.Seqs}
}

// adapterDrop carries the stream for the dropout of corrections; they know their probability and site.
func (p *Pass) adapterDrop() op.Drop {
	if !p.Train {
		return op.Drop{}
	}
	return op.Drop{Key: p.Key, Seqs: p.Seqs}
}

// Block is a part of a model that turns N×C into N×C, or into the kept rows of it.
type Block interface {
	Forward(p *Pass, x mat.Tensor) mat.Tensor
}

// Stack runs x through blocks one after another. What a block makes and nobody needs any more goes back to the tape's
// arena when the block is done. Only the last block sees p.Keep.
func Stack[B Block](p *Pass, x mat.Tensor, blocks []B) mat.Tensor {
	inner := *p
	inner.Keep = nil
	for i, b := range blocks {
		q := &inner
		if i == len(blocks)-1 {
			q = p
		}
		scope := p.Tape.Scope()
		y := b.Forward(q, x)
		p.Tape.Leave(scope, y)
		p.Tape.Drop(x)
		x = y
	}
	return x
}
