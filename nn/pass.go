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

	Rotary     *op.Rotary // angles of the rows; models with rotary positions set it
	Cache      *Cache     // keys and values of earlier rows, for generating; the tape must not record then
	Checkpoint bool       // keep only the input of each block and run the blocks again in the backward: the same bits, less memory
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

// LastRows keeps the last row of every sequence, which must not be empty: what predicts the next token.
func LastRows(s op.Seqs) *Kept {
	n := s.Len()
	last := make([]int, n)
	for i := range last {
		last[i] = s.Starts[i+1] - 1
	}
	return oneRow(s, last)
}

// LastTokens keeps the last row of every sequence that is not the padding token, the first row if all are; without a padding token (a
// negative one) the last. It is what transformers' classifiers on causal models read: where texts end in a token that also pads, such as
// GPT-2's <|endoftext|>, the row before it.
func LastTokens(s op.Seqs, ids []int32, padding int) *Kept {
	k := LastRows(s)
	if padding < 0 {
		return k
	}
	for i, row := range k.Rows {
		for row > s.Starts[i] && int(ids[row]) == padding {
			row--
		}
		k.Rows[i] = row
	}
	return oneRow(s, k.Rows)
}

// oneRow keeps one row of each sequence.
func oneRow(s op.Seqs, rows []int) *Kept {
	n := len(rows)
	k := &Kept{Rows: rows, Seqs: op.Seqs{Starts: make([]int, n+1), First: make([]int, n), Index: s.Index}}
	for i, row := range rows {
		k.Seqs.Starts[i+1] = i + 1
		k.Seqs.First[i] = row - s.Starts[i]
		if s.First != nil {
			k.Seqs.First[i] += s.First[i]
		}
	}
	return k
}

// RowsFrom keeps the rows of every sequence from its first one with a label up to its last one with a label: what a loss over next
// tokens reads. labels has a value for each row, op.Ignore for none. It returns nil if that is every row.
func RowsFrom(s op.Seqs, labels []int32) *Kept {
	n := s.Len()
	k := &Kept{Seqs: op.Seqs{Starts: make([]int, n+1), First: make([]int, n), Index: s.Index}}
	for i := range n {
		lo, hi := s.Starts[i], s.Starts[i+1]
		for lo < hi && labels[lo] == op.Ignore {
			lo++
		}
		for hi > lo && labels[hi-1] == op.Ignore {
			hi--
		}
		for row := lo; row < hi; row++ {
			k.Rows = append(k.Rows, row)
		}
		k.Seqs.Starts[i+1] = len(k.Rows)
		k.Seqs.First[i] = lo - s.Starts[i]
		if s.First != nil {
			k.Seqs.First[i] += s.First[i]
		}
	}
	if len(k.Rows) == s.Rows() {
		return nil
	}
	return k
}

// With returns a pass on the same tape for other sequences.
func (p *Pass) With(s op.Seqs) *Pass {
	q := *p
	q.Seqs = s
	return &q
}

// After returns the pass for what the last block has left: all rows, or those that were kept.
func (p *Pass) After() *Pass {
	if p.Keep == nil {
		return p
	}
	q := p.With(p.Keep.Seqs)
	q.Keep, q.Rotary = nil, nil
	return q
}

// KeptRows returns the rows of x (N×C) that p.Keep lists, K×C, and the pass for these rows, whose Keep is nil. If Keep is nil, it
// returns x and p themselves. A block calls it behind attention, so that it computes the rest for the wanted rows only.
func (p *Pass) KeptRows(x mat.Tensor) (mat.Tensor, *Pass) {
	if p.Keep == nil {
		return x, p
	}
	return op.Rows(p.Tape, x, p.Keep.Rows), p.chosen()
}

// chosen returns the pass for the rows that are kept.
func (p *Pass) chosen() *Pass {
	q := p.With(p.Keep.Seqs)
	q.Keep = nil
	if p.Rotary != nil {
		q.Rotary = p.Rotary.Rows(p.Tape, p.Keep.Rows)
	}
	return q
}

// weight returns the adapter's own copy of w, or w.
func (p *Pass) weight(w *op.Weight) *op.Weight { return p.known(w, w) }

// known returns the adapter's own copy of the weight that adapters know as key, or w.
func (p *Pass) known(key, w *op.Weight) *op.Weight {
	if p.Adapter != nil && key != nil {
		if own := p.Adapter.Replacement(key); own != nil {
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
		var y mat.Tensor
		if p.Checkpoint && i < len(blocks)-1 { // the last one's backward comes next anyway
			y = p.Tape.Checkpoint(x, func(t *op.Tape, x mat.Tensor) mat.Tensor {
				again := *q
				again.Tape = t
				return b.Forward(&again, x)
			})
		} else {
			y = b.Forward(q, x)
		}
		p.Tape.Leave(scope, y)
		p.Tape.Release(x)
		x = y
	}
	return x
}
