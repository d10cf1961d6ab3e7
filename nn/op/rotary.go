package op

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Rotary holds the cosines and sines of the angles that [Rotate] rotates the rows of a batch by. They belong to a tape
// and are valid until its Reset.
type Rotary struct {
	Half     int       // half of the number of columns of a head that rotate
	Cos, Sin []float32 // N×Half each
}

// NewRotary returns the cosines and sines of the angles position·frequency (in float32, as transformers computes them)
// of the rows of s, multiplied by scale, which is the attention factor of some types of scaling, otherwise 1.
// frequencies returns the frequencies of a segment by its index, the same number for every segment; NewRotary panics if
// the numbers differ.
func NewRotary(t *Tape, s Seqs, frequencies func(segment int) []float32, scale float32) *Rotary {
	if s.Len() == 0 {
		return &Rotary{}
	}
	known := s.longest() // it has most positions of the other segments
	shared := frequencies(known)
	half := len(shared)
	r := &Rotary{Half: half, Cos: t.Floats(s.Rows() * half), Sin: t.Floats(s.Rows() * half)}
	r.compute(s, known, shared, scale)
	for i := range s.Len() {
		if i == known {
			continue
		}
		f := frequencies(i)
		mustBe(len(f) == half, "NewRotary with %d and %d frequencies", half, len(f))
		if half == 0 || &f[0] != &shared[0] || !r.copyFrom(s, i, known) {
			r.compute(s, i, f, scale)
		}
	}
	return r
}

// compute sets the rows of segment i.
func (r *Rotary) compute(s Seqs, i int, frequencies []float32, scale float32) {
	for row := s.Starts[i]; row < s.Starts[i+1]; row++ {
		position := float32(s.first(i) + row - s.Starts[i])
		for k, f := range frequencies {
			sin, cos := math.Sincos(float64(position * f))
			r.Cos[row*r.Half+k], r.Sin[row*r.Half+k] = float32(cos)*scale, float32(sin)*scale
		}
	}
}

// copyFrom copies the rows of segment i from those of segment other if that has all its positions, and reports whether
// it does.
func (r *Rotary) copyFrom(s Seqs, i, other int) bool {
	n := s.Starts[i+1] - s.Starts[i]
	at := s.first(i) - s.first(other)
	if at < 0 || at+n > s.Starts[other+1]-s.Starts[other] {
		return false
	}
	from, to := (s.Starts[other]+at)*r.Half, s.Starts[i]*r.Half
	copy(r.Cos[to:to+n*r.Half], r.Cos[from:])
	copy(r.Sin[to:to+n*r.Half], r.Sin[from:])
	return true
}

// Rows returns the angles of the listed rows, in the order of list. They belong to t and are valid until its Reset.
func (r *Rotary) Rows(t *Tape, list []int) *Rotary {
	q := &Rotary{Half: r.Half, Cos: t.Floats(len(list) * r.Half), Sin: t.Floats(len(list) * r.Half)}
	for to, from := range list {
		copy(q.Cos[to*r.Half:(to+1)*r.Half], r.Cos[from*r.Half:])
		copy(q.Sin[to*r.Half:(to+1)*r.Half], r.Sin[from*r.Half:])
	}
	return q
}

// longest returns the index of the segment with the most rows.
func (s Seqs) longest() int {
	best := 0
	for i := range s.Len() {
		if s.Starts[i+1]-s.Starts[i] > s.Starts[best+1]-s.Starts[best] {
			best = i
		}
	}
	return best
}

// Rotate returns x (N×C) with the given number of heads, dim columns each from column from on, rotated by the angles
// of their row (rotary position embedding, Su et al. 2021, arXiv:2104.09864, in the layout of two halves of Hugging
// Face checkpoints):
//
//	y[i] = x[i]·cos[i] − x[i+R/2]·sin[i]    y[i+R/2] = x[i+R/2]·cos[i] + x[i]·sin[i]    for i < R/2
//
// R = 2·r.Half; the columns of a head from R on and the columns outside the heads do not change. spent promises that
// the caller will not read x again: y then takes over its buffer, unless the backward of an operator reads it. Rotate
// panics if the sizes do not fit.
func Rotate(t *Tape, x mat.Tensor, spent bool, from, heads, dim int, r *Rotary) mat.Tensor {
	rows, cols := Size(x)
	mustBe(from >= 0 && from+heads*dim <= cols && 2*r.Half <= dim && len(r.Cos) == rows*r.Half,
		"Rotate of %d heads of %d columns from %d on over %d×%d with angles for %d·%d",
		heads, dim, from, rows, cols, len(r.Cos)/max(r.Half, 1), r.Half)
	f := &rotate{x: x, spent: spent, from: from, heads: heads, dim: dim, rows: rows, cols: cols, r: r}
	f.inputs = []mat.Tensor{x}
	return t.run(f)
}

type rotate struct {
	node
	x                mat.Tensor
	spent            bool
	from, heads, dim int
	rows, cols       int
	r                *Rotary
	y                *Tensor
}

// turn rotates the rows of x in place, with back in the opposite direction.
func (f *rotate) turn(x []float32, back bool) {
	half := f.r.Half
	f.t.eachRows(f.rows, f.cols, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			cos, sin := f.r.Cos[n*half:(n+1)*half], f.r.Sin[n*half:(n+1)*half]
			for h := range f.heads {
				head := x[n*f.cols+f.from+h*f.dim:][:f.dim]
				kernel.Rotate(head, head, cos, sin, back)
			}
		}
	})
}

// Forward computes y.
func (f *rotate) Forward() (mat.Tensor, error) {
	if v := value(f.x); f.spent && v != nil && v.spare(f.t) {
		f.y = newTensor(f.t, v.data, f.rows, f.cols, 1)
		v.data = nil
	} else {
		f.y = f.t.tensor(f.rows, f.cols)
		copy(f.y.data, Values(f.x))
	}
	f.turn(f.y.data, false)
	return f.y, nil
}

// spare reports whether another tensor of t may take over the buffer of x: no backward of an operator will read it.
func (x *Tensor) spare(t *Tape) bool {
	return x.tape == t && t.arena != nil && x.refs == 1 && x.again == nil && x.data != nil
}

// Backward: dX is dY rotated in the opposite direction.
func (f *rotate) Backward(gy mat.Tensor) error {
	if dst, ok := f.take(f.x, gy, f.y); ok {
		f.turn(dst, true)
		return nil
	}
	dy := Values(gy)
	f.whole(f.x, func(dst []float32) {
		copy(dst, dy)
		f.turn(dst, true)
	})
	return nil
}
