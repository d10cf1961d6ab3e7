package op

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Rotary holds the angles that the rows of a batch are rotated by: for each row, Half cosines and as many sines. It lives on a tape
// until Reset.
type Rotary struct {
	Half     int // half of the columns of a head that rotate
	Cos, Sin []float32
}

// NewRotary computes the angles position·frequency (float32, as transformers does) of the rows of s. frequencies gives those of a
// segment by its number, as many for every segment. Cosines and sines are multiplied by scale, the attention factor of some types of
// scaling (1: none).
func NewRotary(t *Tape, s Seqs, frequencies func(segment int) []float32, scale float32) *Rotary {
	if s.Len() == 0 {
		return &Rotary{}
	}
	known := s.longest() // most positions of other segments are among its own
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

// compute fills in the rows of segment i.
func (r *Rotary) compute(s Seqs, i int, frequencies []float32, scale float32) {
	for row := s.Starts[i]; row < s.Starts[i+1]; row++ {
		position := float32(s.first(i) + row - s.Starts[i])
		for k, f := range frequencies {
			sin, cos := math.Sincos(float64(position * f))
			r.Cos[row*r.Half+k], r.Sin[row*r.Half+k] = float32(cos)*scale, float32(sin)*scale
		}
	}
}

// copyFrom copies the rows of segment i from those of another that has all its positions, and reports whether it has.
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

// Rows returns the angles of the rows listed.
func (r *Rotary) Rows(t *Tape, list []int) *Rotary {
	q := &Rotary{Half: r.Half, Cos: t.Floats(len(list) * r.Half), Sin: t.Floats(len(list) * r.Half)}
	for to, from := range list {
		copy(q.Cos[to*r.Half:(to+1)*r.Half], r.Cos[from*r.Half:])
		copy(q.Sin[to*r.Half:(to+1)*r.Half], r.Sin[from*r.Half:])
	}
	return q
}

// longest returns the number of the segment with the most rows.
func (s Seqs) longest() int {
	best := 0
	for i := range s.Len() {
		if s.Starts[i+1]-s.Starts[i] > s.Starts[best+1]-s.Starts[best] {
			best = i
		}
	}
	return best
}

// Rotate turns the heads that stand in the columns from on, dim columns each, by the angles of their row (rotary position embedding,
// Su et al. 2021, arXiv:2104.09864, in the layout of two halves that Hugging Face checkpoints have):
//
//	y[i] = x[i]·cos[i] − x[i+R/2]·sin[i]    y[i+R/2] = x[i+R/2]·cos[i] + x[i]·sin[i]    for i < R/2
//
// x is N×C and so is y; the other columns, and those of a head from R = 2·r.Half on, stay as they are. If x is spent, which is to say
// that the caller will not read it again, y takes its buffer over where no operator's backward reads it.
func Rotate(t *Tape, x mat.Tensor, spent bool, from, heads, dim int, r *Rotary) mat.Tensor {
	rows, cols := Size(x)
	mustBe(from >= 0 && from+heads*dim <= cols && 2*r.Half <= dim && len(r.Cos) == rows*r.Half,
		"Rotate of %d heads of %d columns from %d on over %d×%d with angles for %d·%d", heads, dim, from, rows, cols, len(r.Cos)/max(r.Half, 1), r.Half)
	return t.run(&rotate{node: node{inputs: []mat.Tensor{x}}, x: x, spent: spent, from: from, heads: heads, dim: dim, rows: rows, cols: cols, r: r})
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

// turn rotates the rows of x in place; back turns the other way.
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
		f.y = &Tensor{Dense: dense(v.data, f.rows, f.cols), tape: f.t, rows: f.rows, cols: f.cols, data: v.data, refs: 1}
		v.data = nil
	} else {
		f.y = f.t.tensor(f.rows, f.cols)
		copy(f.y.data, Values(f.x))
	}
	f.turn(f.y.data, false)
	return f.y, nil
}

// spare reports whether no operator's backward will read x.
func (x *Tensor) spare(t *Tape) bool {
	return x.tape == t && t.arena != nil && x.refs == 1 && x.again == nil && x.data != nil
}

// Backward: the gradient turned back.
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
