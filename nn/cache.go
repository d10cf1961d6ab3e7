package nn

import (
	"fmt"
	"slices"
	"sort"

	"github.com/spalora/spalora/nn/op"
)

// Cache holds the keys and values that the attention layers of a model computed for the earlier rows of some sequences,
// so that generation computes each row once. For the cross attention of a decoder it holds those of the encoder's rows,
// which do not change and which all copies of a sequence share. It is not safe for concurrent use.
type Cache struct {
	width    int
	capacity int
	seqs     []remembered
	added    uint64 // number of rows that were ever added
}

// remembered holds one sequence: for each layer its keys and values, row after row.
type remembered struct {
	stamps []uint64 // for each row that all layers have, a number that only its copies share
	layers []op.Past
	memory []op.Past // by layer, of the encoder's rows; nil: none yet
}

// rows returns the number of rows that all layers have.
func (s remembered) rows() int { return len(s.stamps) }

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
func (c *Cache) Len(i int) int { return c.seqs[i].rows() }

// Truncate removes the rows of sequence i from row n on. It panics if the sequence has fewer than n rows.
func (c *Cache) Truncate(i, n int) {
	if n < 0 || n > c.seqs[i].rows() {
		panic(fmt.Sprintf("nn: Truncate of a cache of %d rows to %d", c.seqs[i].rows(), n))
	}
	c.seqs[i].stamps = c.seqs[i].stamps[:n]
	for l := range c.seqs[i].layers {
		p := &c.seqs[i].layers[l]
		p.Keys, p.Values = p.Keys[:n*c.width], p.Values[:n*c.width]
	}
}

// Keep replaces the sequences of the cache by the listed ones, in this order. A sequence that is listed more than once
// is copied, so that several continuations can start from it; one that is not listed is removed. A copy takes over the
// memory of a removed sequence with the rows that both have in common: when beams are reordered, only the rows since
// two of them parted are copied.
func (c *Cache) Keep(which []int) {
	kept := make([]remembered, len(which))
	wanted, taken := make([]bool, len(c.seqs)), make([]bool, len(c.seqs))
	for _, from := range which {
		wanted[from] = true
	}
	var removed []remembered
	for i, s := range c.seqs {
		if !wanted[i] {
			removed = append(removed, s)
		}
	}
	for to, from := range which {
		kept[to] = c.seqs[from]
		if taken[from] {
			kept[to] = c.copied(c.seqs[from], &removed)
		}
		taken[from] = true
	}
	c.seqs = kept
}

// copied returns a copy of s that shares no memory with it. It uses the memory of the removed sequence that has the
// most rows in common with s, if there is one, and takes it out of the list.
func (c *Cache) copied(s remembered, removed *[]remembered) remembered {
	to, common := remembered{layers: make([]op.Past, len(s.layers))}, 0
	if len(*removed) > 0 {
		best := 0
		for i, r := range *removed {
			if n := inCommon(r.stamps, s.stamps); n > common {
				best, common = i, n
			}
		}
		to = (*removed)[best]
		*removed = slices.Delete(*removed, best, best+1)
	}
	to.memory = s.memory
	to.stamps = append(to.stamps[:common], s.stamps[common:]...)
	for l, p := range s.layers {
		own := &to.layers[l]
		own.Keys, own.Values = c.follow(own.Keys, p.Keys, common), c.follow(own.Values, p.Values, common)
	}
	return to
}

// inCommon returns the number of leading rows that two sequences have in common. Rows after the first different one
// differ, too.
func inCommon(a, b []uint64) int {
	return sort.Search(min(len(a), len(b)), func(i int) bool { return a[i] != b[i] })
}

// follow returns the values of from, of which to has the given number of rows already, in the memory of to.
func (c *Cache) follow(to, from []float32, rows int) []float32 {
	if cap(to) < len(from) {
		to = append(make([]float32, 0, max(len(from), c.capacity*c.width)), to[:rows*c.width]...)
	}
	return append(to[:rows*c.width], from[rows*c.width:]...)
}

// Place returns s with First set to the number of rows that the cache holds of each sequence: the new rows follow
// those. It panics unless s has one segment for each sequence of the cache.
func (c *Cache) Place(s op.Seqs) op.Seqs {
	if s.Len() != len(c.seqs) {
		panic(fmt.Sprintf("nn: a batch of %d sequences with a cache of %d", s.Len(), len(c.seqs)))
	}
	s.First = make([]int, len(c.seqs))
	for i := range c.seqs {
		s.First[i] = c.seqs[i].rows()
	}
	return s
}

// empty reports whether no sequence has rows yet.
func (c *Cache) empty() bool {
	for _, s := range c.seqs {
		if s.rows() > 0 {
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

// remember stores the keys and values of the encoder's rows in a layer, for all sequences.
func (c *Cache) remember(layer int, s op.Seqs, k, v op.Columns) {
	if s.Len() != len(c.seqs) {
		panic(fmt.Sprintf("nn: the rows of %d sequences of an encoder with a cache of %d", s.Len(), len(c.seqs)))
	}
	for i := range c.seqs {
		q := &c.seqs[i]
		if q.memory == nil {
			q.memory = make([]op.Past, len(q.layers))
		}
		lo, hi := s.Starts[i], s.Starts[i+1]
		q.memory[layer] = op.Past{Keys: c.add([]float32{}, k, lo, hi), Values: c.add([]float32{}, v, lo, hi)}
	}
}

// crossed reports whether a layer has the keys and values of the encoder's rows.
func (c *Cache) crossed(layer int) bool {
	for _, s := range c.seqs {
		if s.memory == nil || s.memory[layer].Keys == nil {
			return false
		}
	}
	return true
}

// cross returns the keys and values of the encoder's rows in a layer, one element for each sequence.
func (c *Cache) cross(layer int) []op.Past {
	past := make([]op.Past, len(c.seqs))
	for i, s := range c.seqs {
		past[i] = s.memory[layer]
	}
	return past
}

// commit counts the new rows of a batch. All layers have appended them by then.
func (c *Cache) commit(s op.Seqs) {
	for i := range c.seqs {
		for range s.Starts[i+1] - s.Starts[i] {
			c.added++
			c.seqs[i].stamps = append(c.seqs[i].stamps, c.added)
		}
	}
}
