package op

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// RMSNorm divides each row of x (N×C) by its root mean square and scales it (Zhang and Sennrich 2019,
// arXiv:1910.07467):
//
//	y = x / √(mean(x²) + eps) ∘ gain
//
// x and y are N×C. gain has D values, where C is a multiple of D: each group of D columns, such as a head, is
// normalised separately. For the backward it keeps x and N·C/D reciprocal deviations; y is recomputed from x if the
// backward of another operator reads it.
func RMSNorm(t *Tape, x mat.Tensor, gain *Weight, eps float32) mat.Tensor {
	rows, cols := Size(x)
	mustBe(gain.Len() > 0 && cols%gain.Len() == 0, "RMSNorm of %d×%d with %d gains", rows, cols, gain.Len())
	f := &rmsNorm{x: x, gain: gain, eps: eps, rows: rows * (cols / gain.Len()), cols: gain.Len()}
	f.inputs = trained([]mat.Tensor{x}, gain)
	return t.run(f)
}

type rmsNorm struct {
	node
	x          mat.Tensor
	gain       *Weight
	eps        float32
	rows, cols int // N·C/D and D: the groups and their columns
	rstd       []float32
	y          *Tensor
}

// Forward computes y.
func (f *rmsNorm) Forward() (mat.Tensor, error) {
	t, c := f.t, f.cols
	rows, cols := Size(f.x)
	f.y = t.tensor(rows, cols)
	x, gain := Values(f.x), f.gain.vector()
	if f.keep {
		f.rstd = f.buffer(f.rows)
	}
	t.eachRows(f.rows, c, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			rstd := kernel.RMSNorm(f.y.data[n*c:(n+1)*c], x[n*c:(n+1)*c], gain, f.eps)
			if f.keep {
				f.rstd[n] = rstd
			}
		}
	})
	f.hold(f.x)
	if f.keep && t.arena != nil {
		f.y.again = f.again
	}
	return f.y, nil
}

func (f *rmsNorm) again(dst []float32) {
	c, x, gain := f.cols, Values(f.x), f.gain.vector()
	f.t.eachRows(f.rows, c, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			kernel.RMSNorm(dst[n*c:(n+1)*c], x[n*c:(n+1)*c], gain, f.eps)
		}
	})
}

// Backward: dX = rstd·(dY∘gain − X·rstd²·mean(dY∘gain∘X)).
func (f *rmsNorm) Backward(gy mat.Tensor) error {
	t, c, dy, x, gain := f.t, f.cols, Values(gy), Values(f.x), f.gain.vector()
	f.parameters(dy, x)
	backward := func(dst []float32) {
		t.eachRows(f.rows, c, func(lo, hi int) {
			for n := lo; n < hi; n++ {
				kernel.RMSNormBackward(dst[n*c:(n+1)*c], dy[n*c:(n+1)*c], x[n*c:(n+1)*c], gain, f.rstd[n])
			}
		})
	}
	if dst, ok := f.take(f.x, gy, f.y); ok {
		backward(dst)
		return nil
	}
	f.whole(f.x, backward)
	return nil
}

// parameters adds the gradient of the gain, summed over fixed ranges of rows and then over the ranges in order, so that
// the bits do not depend on the number of workers.
func (f *rmsNorm) parameters(dy, x []float32) {
	if f.gain.Param == nil {
		return
	}
	t, c := f.t, f.cols
	t.sumOverRows(f.rows, c, c, func(sum []float32, n int) {
		kernel.RMSNormParams(sum, dy[n*c:(n+1)*c], x[n*c:(n+1)*c], f.rstd[n])
	}, func(sums [][]float32) {
		f.into(f.gain.Param, func(dst []float32, add bool) { addUp(dst, sums, add) })
	})
}
