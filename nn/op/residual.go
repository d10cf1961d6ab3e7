package op

import "github.com/nlpodyssey/spago/mat"

// Residual returns x + drop(h), all N×C, as pre-norm blocks add a branch h to x. It panics if the sizes do not fit.
func Residual(t *Tape, x, h mat.Tensor, d Drop) mat.Tensor {
	rows, cols := Size(x)
	r, c := Size(h)
	mustBe(r == rows && c == cols, "Residual of %d×%d and %d×%d", rows, cols, r, c)
	if !d.on() {
		return Add(t, x, h)
	}
	d.mustFit(rows)
	return t.run(&residual{node: node{inputs: []mat.Tensor{x, h}}, x: x, h: h, d: d, rows: rows, cols: cols})
}

type residual struct {
	node
	x, h       mat.Tensor
	d          Drop
	rows, cols int
	y          *Tensor
}

// Forward computes y.
func (f *residual) Forward() (mat.Tensor, error) {
	f.y = f.t.tensor(f.rows, f.cols)
	y, x, h := f.y.data, Values(f.x), Values(f.h)
	f.t.eachRows(f.rows, f.cols, func(lo, hi int) {
		copy(y[lo*f.cols:hi*f.cols], x[lo*f.cols:hi*f.cols])
		f.d.rows(y, h, f.cols, lo, hi, true)
	})
	return f.y, nil
}

// Backward: dH = drop(dY), with the same mask; dX = dY.
func (f *residual) Backward(gy mat.Tensor) error {
	dy := Values(gy)
	f.into(f.h, func(dst []float32, add bool) {
		f.t.eachRows(f.rows, f.cols, func(lo, hi int) { f.d.rows(dst, dy, f.cols, lo, hi, add) })
	})
	if _, ok := f.take(f.x, gy, f.y); !ok {
		f.into(f.x, func(dst []float32, add bool) { f.t.accumulate(dst, dy, add) })
	}
	return nil
}
