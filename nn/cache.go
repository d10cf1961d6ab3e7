package nn

import (
	"fmt"
	"slices"

	"github.com/spalora/spalora/nn/op"
)

// Cache holds the keys and values that the attention layers of a model computed for the earlier rows of some sequences,
// so that generation computes each row once. It is not safe for concurrent use.
type Cache struct {
	width    int
	capacity int
	seqs     []remembered
}

// remembered holds one sequence: for each layer its keys and values, row after row.
type remembered struct {
	rows   int // number of rows that all layers have
	layers []op.Past
}

// NewCache returns an empty cache for the given number of sequences and of attention layers. capacity is the expected
// number of rows of a sequence: the cache reserves memory for them at the first use, and grows when there are more.
// width is the number of key/value heads times the size of a head.
func NewCache(layers, sequences, capacity, width int) *Cache {
	c := &Cache{width: width, capacity: capacity, seqs: make([]remembered, sequences)}
	for i := range c.seqs {
		c.seqs[i].layers = make([]op.Past, layers)
	}
	return c
}

// Sequences returns the number of sequences.
func (c *Cache) Sequences() int { return len(c.seqs) }

// Len returns the number of rows of sequence i.
func (c *Cache) Len(i int) int { return c.seqs[i].rows }

// Truncate removes the rows of sequence i from row n on. It panics if the sequence has fewer than n rows.
func (c *Cache) Truncate(i, n int) {
	if n < 0 || n > c.seqs[i].rows {
		panic(fmt.Sprintf("nn: Truncate of a cache of %d rows to %d", c.seqs[i].rows, n))
	}
	c.seqs[i].rows = n
	for l := range c.seqs[i].layers {
		p := &c.seqs[i].layers[l]
		p.Keys, p.Values = p.Keys[:n*c.width], p.Values[:n*c.width]
	}
}

// Keep replaces the sequences of the cache by the listed ones, in this order. It copies a sequence that is listed more
// than once, so that several continuations can start from it, and removes one that is not listed.
func (c *Cache) Keep(which []int) {
	kept := make([]remembered, len(which))
	taken := make([]bool, len(c.seqs))
	for to, from := range which {
		kept[to] = c.seqs[from]
		if taken[from] {
			kept[to] = c.copied(c.seqs[from])
		}
		taken[from] = true
	}
	c.seqs = kept
}

// copied returns a copy of s that shares no memory with it.
func (c *Cache) copied(s remembered) remembered {
	clone := func(x []float32) []float32 { return append(make([]float32, 0, max(len(x), c.capacity*c.width)), x...) }
	layers := make([]op.Past, len(s.layers))
	for l, p := range s.layers {
		layers[l] = op.Past{Keys: clone(p.Keys), Values: clone(p.Values)}
	}
	return remembered{rows: s.rows, layers: layers}
}

// Place returns s with First set to the number of rows that the cache holds of each sequence: the new rows follow
// those. It panics unless s has one segment for each sequence of the cache.
func (c *Cache) Place(s op.Seqs) op.Seqs {
	if s.Len() != len(c.seqs) {
		panic(fmt.Sprintf("nn: a batch of %d sequences with a cache of %d", s.Len(), len(c.seqs)))
	}
	s.First = make([]int, len(c.seqs))
	for i := range c.seqs {
		s.First[i] = c.seqs[i].rows
	}
	return s
}

// empty reports whether no sequence has rows yet.
func (c *Cache) empty() bool {
	for _, s := range c.seqs {
		if s.rows > 0 {
			return false
		}
	}
	return true
}

// extend appends the new rows of all sequences to a layer and returns all rows of the layer, one element for each
// sequence.
func (c *Cache) extend(layer int, s op.Seqs, k, v op.Columns) []op.Past {
	past := make([]op.Past, len(c.seqs))
	for i := range c.seqs {
		p := &c.seqs[i].layers[layer]
		if p.Keys == nil {
			p.Keys, p.Values = make([]float32, 0, c.capacity*c.width), make([]float32, 0, c.capacity*c.width)
		}
		p.Keys = c.add(p.Keys, k, s.Starts[i], s.Starts[i+1])
		p.Values = c.add(p.Values, v, s.Starts[i], s.Starts[i+1])
		past[i] = *p
	}
	return past
}

// add appends rows lo to hi−1 of the columns.
func (c *Cache) add(to []float32, from op.Columns, lo, hi int) []float32 {
	to = slices.Grow(to, (hi-lo)*c.width)
	values := op.Values(from.X)
	_, cols := op.Size(from.X)
	for row := lo; row < hi; row++ {
		to = append(to, values[row*cols+from.From:][:c.width]...)
	}
	return to
}

// commit counts the new rows of a batch. All layers have appended them by then.
func (c *Cache) commit(s op.Seqs) {
	for i := range c.seqs {
		c.seqs[i].rows += s.Starts[i+1] - s.Starts[i]
	}
}
