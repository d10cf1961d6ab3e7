package op

import (
	"sort"

	"github.com/spalora/spalora/internal/kernel"
)

// Seqs divides the N rows of a ragged batch into S segments, one for each sequence: segment i is the rows Starts[i] to
// Starts[i+1]−1. The zero value has no rows.
type Seqs struct {
	Starts []int // S+1 row offsets
	First  []int // position of each segment's first row within its sequence; nil: 0
	Index  []int // global number of each segment's example, which dropout depends on; nil: 0, 1, …
}

// Len returns S, the number of segments.
func (s Seqs) Len() int { return max(0, len(s.Starts)-1) }

// Rows returns N, the number of rows.
func (s Seqs) Rows() int {
	if len(s.Starts) == 0 {
		return 0
	}
	return s.Starts[len(s.Starts)-1]
}

// Part returns the segments lo to hi−1 as those of a batch of their own.
func (s Seqs) Part(lo, hi int) Seqs {
	p := Seqs{Starts: make([]int, hi-lo+1)}
	for i := range p.Starts {
		p.Starts[i] = s.Starts[lo+i] - s.Starts[lo]
	}
	if s.First != nil {
		p.First = s.First[lo:hi]
	}
	for i := lo; i < hi; i++ {
		p.Index = append(p.Index, s.index(i))
	}
	return p
}

func (s Seqs) first(i int) int {
	if s.First == nil {
		return 0
	}
	return s.First[i]
}

func (s Seqs) index(i int) int {
	if s.Index == nil {
		return i
	}
	return s.Index[i]
}

// each calls f for the rows lo to hi−1, each with the number of its example and its position within the sequence.
func (s Seqs) each(lo, hi int, f func(row, example, position int)) {
	s.eachSegment(lo, hi, func(row, segment int) {
		f(row, s.index(segment), s.first(segment)+row-s.Starts[segment])
	})
}

// eachSegment calls f for the rows lo to hi−1, each with the segment that it is in.
func (s Seqs) eachSegment(lo, hi int, f func(row, segment int)) {
	segment := sort.SearchInts(s.Starts, lo+1) - 1
	for row := lo; row < hi; row++ {
		for row >= s.Starts[segment+1] {
			segment++
		}
		f(row, segment)
	}
}

// Drop describes the dropout at one place of a model in one call. The zero value drops nothing.
type Drop struct {
	P    float32    // probability
	Site uint32     // place in the model
	Key  kernel.Key // seed and step
	Seqs Seqs       // examples and positions of the rows, which the mask depends on
}

func (d Drop) on() bool { return d.P > 0 }

func (d Drop) mustFit(rows int) {
	mustBe(!d.on() || d.Seqs.Rows() == rows, "dropout of %d rows with sequences of %d rows", rows, d.Seqs.Rows())
}

// rows writes the rows lo to hi−1 of x (N×cols) with dropout to those of dst, or adds them if add.
func (d Drop) rows(dst, x []float32, cols, lo, hi int, add bool) {
	d.Seqs.each(lo, hi, func(row, example, position int) {
		from, to := x[row*cols:(row+1)*cols], dst[row*cols:(row+1)*cols]
		site := kernel.Site{Op: d.Site, Example: uint32(example), Row: uint32(position)}
		if add {
			kernel.DropoutAdd(to, from, d.Key, site, 0, d.P)
		} else {
			kernel.Dropout(to, from, d.Key, site, 0, d.P)
		}
	})
}

// row writes x, the row of the batch with the given index, with dropout to dst.
func (d Drop) row(dst, x []float32, row int) {
	d.Seqs.each(row, row+1, func(_, example, position int) {
		kernel.Dropout(dst, x, d.Key, kernel.Site{Op: d.Site, Example: uint32(example), Row: uint32(position)}, 0, d.P)
	})
}
