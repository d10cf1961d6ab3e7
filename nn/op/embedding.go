package op

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// NoPadding is the padding id of a table without one.
const NoPadding = -1

// Embedding returns the row of the table w (V×C) for each of N ids, plus that of the correction c, which may be nil:
//
//	y[n] = W[ids[n]] + s·A[:, ids[n]]ᵀ·Bᵀ
//
// y is N×C. padding is the id whose row gets no gradient, neither in the table nor in A (PyTorch's padding_idx), or
// NoPadding. Embedding panics unless all ids lie in [0, V): the caller must check data from outside.
func Embedding(t *Tape, ids []int32, w *Weight, c *Correction, padding int) mat.Tensor {
	f := &embedding{ids: ids, w: w, c: c, padding: int32(padding)}
	f.inputs = trained(nil, w)
	if c != nil {
		c.mustFit(w.Rows, w.Cols)
		f.inputs = append(f.inputs, c.A, c.B)
	}
	return t.run(f)
}

type embedding struct {
	node
	ids     []int32
	w       *Weight
	c       *Correction
	padding int32
	u       []float32 // s·A[:, ids]ᵀ, N×r
}

// Forward computes y.
func (f *embedding) Forward() (mat.Tensor, error) {
	t, cols, rows := f.t, f.w.Cols, len(f.ids)
	y := t.tensor(rows, cols)
	t.eachRows(rows, cols, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			id := f.ids[n]
			if uint(id) >= uint(f.w.Rows) { // not mustBe, which would allocate its arguments for every row
				panic(fmt.Sprintf("op: Embedding id %d in a table of %d rows", id, f.w.Rows))
			}
			f.w.row(y.data[n*cols:(n+1)*cols], int(id))
		}
	})
	if f.c == nil {
		return y, nil
	}
	r, a := f.c.Rank(), Values(f.c.A)
	f.u = t.alloc(rows * r)
	for n, id := range f.ids {
		for i := range r {
			f.u[n*r+i] = f.c.Scale * a[i*f.w.Rows+int(id)]
		}
	}
	terms := []kernel.Term{{A: matrix(f.u, r), B: transposed(Values(f.c.B), r), K: r}}
	t.pool.MatMul(y.data, cols, rows, cols, terms, kernel.Epilogue{Accumulate: true})
	if f.keep {
		f.bufs = append(f.bufs, f.u)
	} else {
		t.free(f.u)
	}
	return y, nil
}

// Backward: dW[ids[n]] += dY[n]; with V = s·dY·B: dA[:, ids[n]] += V[n]ᵀ, dB = dYᵀ·U.
func (f *embedding) Backward(gy mat.Tensor) error {
	t, dy, cols, rows := f.t, Values(gy), f.w.Cols, len(f.ids)
	if f.w.Param != nil {
		f.into(f.w.Param, func(dst []float32, add bool) {
			if !add {
				clear(dst)
			}
			for n, id := range f.ids {
				if id != f.padding {
					kernel.AddTo(dst[int(id)*cols:][:cols], dy[n*cols:][:cols])
				}
			}
		})
	}
	if f.c == nil {
		return nil
	}
	r := f.c.Rank()
	f.into(f.c.B, func(dst []float32, add bool) {
		terms := []kernel.Term{{A: transposed(dy, cols), B: matrix(f.u, r), K: rows}}
		t.pool.MatMul(dst, r, cols, r, terms, kernel.Epilogue{Accumulate: add})
	})
	f.into(f.c.A, func(dst []float32, add bool) {
		if !add {
			clear(dst)
		}
		v := t.alloc(rows * r)
		terms := []kernel.Term{{A: matrix(dy, cols), B: matrix(Values(f.c.B), r), K: cols}}
		t.pool.MatMul(v, r, rows, r, terms, kernel.Epilogue{})
		for n, id := range f.ids {
			if id == f.padding {
				continue
			}
			for i := range r {
				dst[i*f.w.Rows+int(id)] += f.c.Scale * v[n*r+i]
			}
		}
		t.free(v)
	})
	return nil
}
