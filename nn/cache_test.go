package nn

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn/op"
)

// TestKeepReordered: however sequences are reordered, copied and removed, each has the rows of its own past, and adding
// to one does not change another.
func TestKeepReordered(t *testing.T) {
	const layers, width = 2, 3
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		n := 1 + r.IntN(6)
		c := NewCache(layers, n, r.IntN(10), width)
		want := make([][]float32, n) // of each sequence the number that each of its rows holds
		for range 12 {
			n = len(want)
			s := op.Seqs{Starts: []int{0}}
			var rows []float32
			for i := range want {
				for range 1 + r.IntN(3) {
					x := r.Float32()
					want[i] = append(slices.Clip(want[i]), x)
					rows = append(rows, x, x, x)
				}
				s.Starts = append(s.Starts, len(rows)/width)
			}
			x := op.Columns{X: mat.NewDense[float32](mat.WithShape(len(rows)/width, width), mat.WithBacking(rows))}
			for l := range layers {
				c.extend(l, s, x, x)
			}
			c.commit(s)
			if i := r.IntN(n); r.IntN(4) == 0 {
				k := r.IntN(len(want[i]) + 1)
				c.Truncate(i, k)
				want[i] = want[i][:k:k]
			}
			which := make([]int, 1+r.IntN(6))
			next := make([][]float32, len(which))
			for to := range which {
				which[to] = r.IntN(n)
				next[to] = want[which[to]]
			}
			c.Keep(which)
			want = next
			for i, w := range want {
				for l := range layers {
					p := c.seqs[i].layers[l]
					if c.Len(i) != len(w) || len(p.Keys) != width*len(w) || !slices.Equal(p.Keys, p.Values) {
						t.Fatalf("sequence %d has %d rows, %d keys; want %d rows", i, c.Len(i), len(p.Keys), len(w))
					}
					for k, x := range w {
						if p.Keys[width*k] != x || p.Keys[width*k+width-1] != x {
							t.Fatalf("sequence %d, row %d is %v, want %v", i, k, p.Keys[width*k:][:width], x)
						}
					}
				}
			}
		}
	}
}

// TestKeepInPlace: the copy of a beam takes over the memory of a removed one, and the rows that they share stay.
func TestKeepInPlace(t *testing.T) {
	c := NewCache(1, 1, 8, 1)
	add := func(rows ...float32) {
		s := op.Seqs{Starts: []int{0}}
		for i := range len(c.seqs) {
			s.Starts = append(s.Starts, (i+1)*len(rows)/len(c.seqs))
		}
		x := op.Columns{X: mat.NewDense[float32](mat.WithShape(len(rows), 1), mat.WithBacking(rows))}
		c.extend(0, s, x, x)
		c.commit(s)
	}
	add(1, 2, 3)
	c.Keep([]int{0, 0})
	add(4, 5)
	removed := &c.seqs[1].layers[0].Keys[0]
	c.seqs[1].layers[0].Keys[1] = 7 // a mark in the rows that both have
	c.Keep([]int{0, 0})
	got := c.seqs[1].layers[0].Keys
	if &got[0] != removed || !slices.Equal(got, []float32{1, 7, 3, 4}) {
		t.Errorf("the copy is %v, want the row after the common ones only copied into the memory of the removed one", got)
	}
}

// TestKeepSharesMemory: copies of a sequence read the same keys and values of the encoder's rows, also in the memory of
// a removed sequence of another source.
func TestKeepSharesMemory(t *testing.T) {
	c := NewCache(1, 2, 4, 1)
	columns := func(v ...float32) op.Columns {
		return op.Columns{X: mat.NewDense[float32](mat.WithShape(len(v), 1), mat.WithBacking(v))}
	}
	own := op.Seqs{Starts: []int{0, 1, 2}}
	c.extend(0, own, columns(1, 2), columns(3, 4))
	if c.crossed(0) {
		t.Error("there are rows of an encoder before any were stored")
	}
	c.remember(0, op.Seqs{Starts: []int{0, 3, 3}}, columns(5, 6, 7), columns(8, 9, 10))
	c.commit(own)
	first := &c.cross(0)[0].Keys[0]
	c.Keep([]int{0, 0, 0})
	for i, p := range c.cross(0) {
		if !slices.Equal(p.Keys, []float32{5, 6, 7}) || !slices.Equal(p.Values, []float32{8, 9, 10}) || &p.Keys[0] != first {
			t.Errorf("copy %d has the keys %v and values %v, or has copied them", i, p.Keys, p.Values)
		}
	}
	if !c.crossed(0) {
		t.Error("the encoder's rows are lost")
	}
}
