package op

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// SwiGLU returns the second half of the columns of x (N×2F), gated by the first (Shazeer 2020, arXiv:2002.05202):
//
//	y = silu(x[:, :F]) ∘ x[:, F:]    with silu(z) = z·σ(z)
//
// y is N×F. For the backward it keeps x; y is recomputed from x if the backward of another operator reads it.
func SwiGLU(t *Tape, x mat.Tensor) mat.Tensor {
	rows, cols := Size(x)
	mustBe(cols%2 == 0, "SwiGLU of %d×%d", rows, cols)
	return t.run(&swiGLU{node: node{inputs: []mat.Tensor{x}}, x: x, rows: rows, f: cols / 2})
}

type swiGLU struct {
	node
	x       mat.Tensor
	rows, f int
}

func (f *swiGLU) compute(dst []float32) {
	x, w := Values(f.x), f.f
	f.t.eachRows(f.rows, w, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			row := x[2*n*w : 2*(n+1)*w]
			kernel.SwiGLU(dst[n*w:(n+1)*w], row[:w], row[w:])
		}
	})
}

// Forward computes y.
func (f *swiGLU) Forward() (mat.Tensor, error) {
	y := f.t.tensor(f.rows, f.f)
	f.compute(y.data)
	f.hold(f.x)
	if f.keep && f.t.arena != nil {
		y.again = f.compute
	}
	return y, nil
}

// Backward: with g and u the halves of x, dG = dY∘u∘silu'(g) and dU = dY∘silu(g).
func (f *swiGLU) Backward(gy mat.Tensor) error {
	dy, x, w := Values(gy), Values(f.x), f.f
	f.whole(f.x, func(dst []float32) {
		f.t.eachRows(f.rows, w, func(lo, hi int) {
			for n := lo; n < hi; n++ {
				row, d := x[2*n*w:2*(n+1)*w], dst[2*n*w:2*(n+1)*w]
				kernel.SwiGLUBackward(d[:w], d[w:], dy[n*w:(n+1)*w], row[:w], row[w:])
			}
		})
	})
	return nil
}
