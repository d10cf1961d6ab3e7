package op

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Scale returns s·x for x (N×C). With s = 1 it returns x itself.
func Scale(t *Tape, x mat.Tensor, s float32) mat.Tensor {
	if s == 1 {
		return x
	}
	return t.run(&scaled{node: node{inputs: []mat.Tensor{x}}, x: x, s: s})
}

type scaled struct {
	node
	x mat.Tensor
	s float32
}

// Forward computes y.
func (f *scaled) Forward() (mat.Tensor, error) {
	rows, cols := Size(f.x)
	y, x := f.t.tensor(rows, cols), Values(f.x)
	f.t.eachElements(len(x), func(lo, hi int) { kernel.Scale(y.data[lo:hi], x[lo:hi], f.s) })
	return y, nil
}

// Backward: dX = s·dY.
func (f *scaled) Backward(gy mat.Tensor) error {
	dy := Values(gy)
	f.into(f.x, func(dst []float32, add bool) {
		f.t.eachElements(len(dy), func(lo, hi int) {
			if add {
				kernel.AddScaled(dst[lo:hi], dy[lo:hi], f.s)
			} else {
				kernel.Scale(dst[lo:hi], dy[lo:hi], f.s)
			}
		})
	})
	return nil
}
