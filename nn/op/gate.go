package op

import "github.com/nlpodyssey/spago/mat"

// Gate returns the second half of the columns of x (N×2F), gated by the first (Shazeer 2020, arXiv:2002.05202), as
// [SwiGLU] does with any activation a:
//
//	y = a(x[:, :F]) ∘ x[:, F:]
//
// y is N×F. For the backward it keeps x; y is recomputed from x if the backward of another operator reads it.
func Gate(t *Tape, x mat.Tensor, a Activation) mat.Tensor {
	rows, cols := Size(x)
	mustBe(cols%2 == 0, "Gate of %d×%d", rows, cols)
	return t.run(&gate{node: node{inputs: []mat.Tensor{x}}, x: x, a: a, rows: rows, f: cols / 2})
}

type gate struct {
	node
	x       mat.Tensor
	a       Activation
	rows, f int
}

func (f *gate) compute(dst []float32) {
	x, w := Values(f.x), f.f
	f.t.eachRows(f.rows, w, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			y, row := dst[n*w:(n+1)*w], x[2*n*w:2*(n+1)*w]
			f.a.apply(y, row[:w])
			multiply(y, row[w:])
		}
	})
}

// multiply multiplies each element of dst by that of x.
func multiply(dst, x []float32) {
	for i, v := range x[:len(dst)] {
		dst[i] *= v
	}
}

// Forward computes y.
func (f *gate) Forward() (mat.Tensor, error) {
	y := f.t.tensor(f.rows, f.f)
	f.compute(y.data)
	f.hold(f.x)
	if f.keep && f.t.arena != nil {
		y.again = f.compute
	}
	return y, nil
}

// Backward: with g and u the halves of x, dG = dY∘u∘a'(g) and dU = dY∘a(g).
func (f *gate) Backward(gy mat.Tensor) error {
	dy, x, w := Values(gy), Values(f.x), f.f
	f.whole(f.x, func(dst []float32) {
		f.t.eachRows(f.rows, w, func(lo, hi int) {
			for n := lo; n < hi; n++ {
				g, u, d := x[2*n*w:][:w], x[(2*n+1)*w:][:w], dy[n*w:][:w]
				dg, du := dst[2*n*w:][:w], dst[(2*n+1)*w:][:w]
				copy(dg, d)
				multiply(dg, u)
				f.a.apply(du, g)
				if f.a == Tanh { // its derivative is computed from the result
					g = du
				}
				f.a.derive(dg, dg, g)
				multiply(du, d)
			}
		})
	})
	return nil
}
