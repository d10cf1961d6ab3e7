package nn

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn/op"
)

// Pass holds everything about a call that is not a weight. The caller (training, prediction, generation) makes it, and
// models hand it down. It is not safe for concurrent use, and neither is its tape.
type Pass struct {
	Tape    *op.Tape
	Seqs    op.Seqs    // the sequences of the batch; models set it from the batch
	Key     op.Key     // random stream of the step
	Train   bool       // apply dropout
	Adapter AdapterSet // adapter in use; nil: the base model
	Served  []Served   // which adapter serves which sequences, in place of Adapter; the tape must not record then
	Keep    *Kept      // rows wanted after the last block; nil: all

	Rotary *op.Rotary // angles of the rows; models with rotary positions set it
	Bias   op.Bias    // what self attention adds to products; models with relative positions set it
	Memory *Memory    // rows of the encoder, which cross attention reads; an encoder–decoder sets it for its decoder
	Cache  *Cache     // keys and values of earlier rows, for generation; the tape must not record then

	// Watch, if set, is called with the input x (rows×in) of each linear layer before the layer is computed; key is what
	// identifies the layer to adapters. x is valid during the call. The last block then computes all rows and picks those
	// of Keep afterwards, so that its layers see them all.
	Watch func(key *op.Weight, x mat.Tensor)

	// Smoothing is the label smoothing of a language model's loss, in [0, 1): the share of the loss of each token that is
	// the mean over the whole vocabulary (transformers' LabelSmoother).
	Smoothing float32

	// Checkpoint keeps only the input of each block and runs the blocks again in the backward: the same bits, less memory.
	Checkpoint bool
}

// AdapterSet is what a layer needs to know about an adapter. Both methods get weights of the base model and must be
// safe for concurrent use.
type AdapterSet interface {
	// Correction returns what the set adds to w, or nil.
	Correction(w *op.Weight) *op.Correction
	// Replacement returns the set's own copy of w, for example of the weight of a classifier head, or nil.
	Replacement(w *op.Weight) *op.Weight
}

// Kept lists the rows of a batch that are still wanted, and the sequences that they belong to.
type Kept struct {
	Rows []int
	Seqs op.Seqs // segments of Rows, one for each sequence of the batch
}

// FirstRows returns the first row of every sequence of s, which a classifier on [CLS] reads.
func FirstRows(s op.Seqs) *Kept {
	n := s.Len()
	starts := make([]int, n+1)
	for i := range starts {
		starts[i] = i
	}
	return &Kept{Rows: s.Starts[:n], Seqs: op.Seqs{Starts: starts, First: s.First, Index: s.Index}}
}

// LastRows returns the last row of every sequence of s, which predicts the next token. No sequence may be empty.
func LastRows(s op.Seqs) *Kept {
	n := s.Len()
	last := make([]int, n)
	for i := range last {
		last[i] = s.Starts[i+1] - 1
	}
	return oneRow(s, last)
}

// LastTokens returns, for every sequence of s, the last row whose id is not padding, or the first row if all ids are.
// If padding is negative, there is no padding token and it returns the last rows. transformers' classifiers on causal
// models read these rows: if a text ends in a token that is also the padding token, such as GPT-2's <|endoftext|>, they
// read the row before it.
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

// LastOf returns, for every sequence of s, the last row with the given id, or the last row if it has none with that id.
func LastOf(s op.Seqs, ids []int32, id int) *Kept {
	k := LastRows(s)
	for i, last := range k.Rows {
		for row := last; row >= s.Starts[i]; row-- {
			if int(ids[row]) == id {
				k.Rows[i] = row
				break
			}
		}
	}
	return oneRow(s, k.Rows)
}

// oneRow returns the given rows, one for each sequence of s.
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

// RowsFrom returns the rows of every sequence of s from the first to the last that has a label: those that a loss over
// next tokens reads. labels has N values, op.Ignore for a row without a label. It returns nil if these are all rows.
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

// With returns a copy of the pass, on the same tape, for the sequences s.
func (p *Pass) With(s op.Seqs) *Pass {
	q := *p
	q.Seqs = s
	return &q
}

// After returns the pass for the result of the last block: p itself, or with Keep the pass for the kept rows.
func (p *Pass) After() *Pass {
	if p.Keep == nil {
		return p
	}
	q := p.With(p.Keep.Seqs)
	q.Keep, q.Rotary = nil, nil
	return q
}

// KeptRows returns the rows of x (N×C) that p.Keep lists, K×C, and the pass for these rows, whose Keep is nil. If
// Keep is nil, it returns x and p themselves. A block calls it behind attention, so that it computes the rest for the
// wanted rows only.
func (p *Pass) KeptRows(x mat.Tensor) (mat.Tensor, *Pass) {
	if p.Keep == nil {
		return x, p
	}
	return op.Rows(p.Tape, x, p.Keep.Rows), p.chosen()
}

// chosen returns the pass for the rows that p.Keep lists.
func (p *Pass) chosen() *Pass {
	q := p.With(p.Keep.Seqs)
	q.Keep = nil
	if p.Rotary != nil {
		q.Rotary = p.Rotary.Rows(p.Tape, p.Keep.Rows)
	}
	return q
}

// Weight returns the adapter's own copy of w, or w, which may be nil. A layer computes with it instead of w. It panics
// if the adapters of the pass differ in it; see [Pass.Apart].
func (p *Pass) Weight(w *op.Weight) *op.Weight { return p.known(w, w) }

// known returns the adapter's own copy of the weight that key identifies to adapters, or w.
func (p *Pass) known(key, w *op.Weight) *op.Weight { return known(p.only(key), key, w) }

// correction returns the adapter's correction of the weight that key identifies, or nil.
func (p *Pass) correction(key *op.Weight) *op.Correction { return correction(p.only(key), key) }

// only returns the adapter of the pass, or any of several that make the same of the weight w.
func (p *Pass) only(w *op.Weight) AdapterSet {
	if p.Served == nil {
		return p.Adapter
	}
	for _, s := range p.Served[1:] {
		if !sameWeights(p.Served[0].Adapter, s.Adapter, []*op.Weight{w}) {
			panic("nn: the adapters of a batch differ in a weight of a layer that computes all rows at once")
		}
	}
	return p.Served[0].Adapter
}

// known returns the copy that a set, which may be nil, has of the weight that key identifies, or w.
func known(set AdapterSet, key, w *op.Weight) *op.Weight {
	if set != nil && key != nil {
		if own := set.Replacement(key); own != nil {
			return own
		}
	}
	return w
}

// correction returns what a set, which may be nil, adds to the weight that key identifies, or nil.
func correction(set AdapterSet, key *op.Weight) *op.Correction {
	if set == nil || key == nil {
		return nil
	}
	return set.Correction(key)
}

// drop describes dropout at the place d. Outside training nothing is dropped.
func (p *Pass) drop(d Dropout) op.Drop {
	if !p.Train || d.P == 0 {
		return op.Drop{}
	}
	return op.Drop{P: d.P, Site: d.Site, Key: p.Key, Seqs: p.Seqs}
}

// adapterDrop describes the dropout of corrections without probability and site, which the corrections have.
func (p *Pass) adapterDrop() op.Drop {
	if !p.Train {
		return op.Drop{}
	}
	return op.Drop{Key: p.Key, Seqs: p.Seqs}
}

// Block is a part of a model that turns x (N×C) into N×C, or into only the rows that p.Keep lists.
type Block interface {
	Forward(p *Pass, x mat.Tensor) mat.Tensor
}

// Stack runs x (N×C) through the blocks in order and returns the result of the last one, which alone sees p.Keep. When
// a block is done, the values that it made and that no backward needs go back to the tape's arena. Stack releases x.
func Stack[B Block](p *Pass, x mat.Tensor, blocks []B) mat.Tensor {
	inner := *p
	inner.Keep = nil
	for i, b := range blocks {
		q := &inner
		if i == len(blocks)-1 && p.Watch == nil {
			q = p
		}
		scope := p.Tape.Scope()
		var y mat.Tensor
		if p.Checkpoint && i < len(blocks)-1 { // not the last one, whose backward comes next anyway
			y = p.Tape.Checkpoint(q.operands(x), func(t *op.Tape, xs []mat.Tensor) mat.Tensor {
				return b.Forward(q.over(t, xs), xs[0])
			})
		} else {
			y = b.Forward(q.branched(), x)
		}
		p.Tape.Leave(scope, y)
		p.Tape.Release(x)
		x = y
	}
	if p.Watch != nil && p.Keep != nil && len(blocks) > 0 {
		y := op.Rows(p.Tape, x, p.Keep.Rows)
		p.Tape.Release(x)
		return y
	}
	return x
}
