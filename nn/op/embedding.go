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
//	y[n] = g ∘ (W[ids[n]] + s·A[:, ids[n]]ᵀ·Bᵀ)
//
// where g is 1, or m/n for a correction with a [Magnitude]. Further corrections follow as [Correction] says. y is N×C.
// padding is the id whose row gets no gradient, neither in the table nor in A (PyTorch's padding_idx), or NoPadding.
// Embedding panics unless all ids lie in [0, V): the caller must check data from outside.
func Embedding(t *Tape, ids []int32, w *Weight, c *Correction, padding int) mat.Tensor {
	f := &embedding{ids: ids, w: w, c: c, padding: int32(padding)}
	f.inputs = trained(nil, w)
	for d := c; d != nil; d = d.And {
		d.mustFit(w.Rows, w.Cols)
		mustBe(d.Bias == nil, "Embedding with a correction that has a bias")
	}
	f.inputs = c.operands(f.inputs)
	return t.run(f)
}

type embedding struct {
	node
	ids     []int32
	w       *Weight
	c       *Correction
	padding int32
	u       []float32  // s·A[:, ids]ᵀ, N×r
	m       *magnified // nil: no magnitude
}

// Forward computes y.
func (f *embedding) Forward() (mat.Tensor, error) {
	t, cols, rows := f.t, f.w.Cols, len(f.ids)
	y := t.tensor(rows, cols)
	z := y.data // before the magnitude
	if f.c != nil && f.c.Magnitude != nil {
		f.m = f.c.magnify(t, f.w, true, rows, f.keep)
		if f.keep {
			z = f.m.z
		}
	}
	t.eachRows(rows, cols, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			id := f.ids[n]
			if uint(id) >= uint(f.w.Rows) { // not mustBe, which would allocate its arguments for every row
				panic(fmt.Sprintf("op: Embedding id %d in a table of %d rows", id, f.w.Rows))
			}
			f.w.row(z[n*cols:(n+1)*cols], int(id))
		}
	})
	if f.c == nil {
		return y, nil
	}
	f.u = f.add(z, f.c)
	bufs := [][]float32{f.u}
	if f.m != nil {
		f.m.forward(t, y.data, cols, z, cols, rows, nil, false)
		bufs = append(bufs, f.m.bufs()...)
	}
	mustBe(!f.keep || f.c.And == nil, "Embedding with several corrections on a tape that records")
	if f.keep {
		f.bufs = append(f.bufs, bufs...)
		return y, nil
	}
	for c := f.c.And; c != nil; c = c.And {
		bufs = append(bufs, f.add(y.data, c))
		if c.Magnitude != nil {
			m := c.magnify(t, f.w, true, rows, false)
			m.forward(t, y.data, cols, y.data, cols, rows, nil, false)
			bufs = append(bufs, m.bufs()...)
		}
	}
	for _, b := range bufs {
		t.free(b)
	}
	return y, nil
}

// add adds the product of c to z and returns s·A[:, ids]ᵀ (N×r) in a buffer that the caller must free.
func (f *embedding) add(z []float32, c *Correction) []float32 {
	t, cols, rows := f.t, f.w.Cols, len(f.ids)
	r, a := c.Rank(), Values(c.A)
	u := t.alloc(rows * r)
	for n, id := range f.ids {
		for i := range r {
			u[n*r+i] = c.Scale * a[i*f.w.Rows+int(id)]
		}
	}
	t.pool.MatMul(z, cols, rows, cols, []kernel.Term{c.up(u)}, kernel.Epilogue{Accumulate: true})
	return u
}

// Backward, with D = g∘dY: dW[ids[n]] += D[n]; with V = s·D·B: dA[:, ids[n]] += V[n]ᵀ, dB = Dᵀ·U.
func (f *embedding) Backward(gy mat.Tensor) error {
	t, dy, cols, rows := f.t, Values(gy), f.w.Cols, len(f.ids)
	if f.m != nil {
		f.m.backward(t, f.c.Magnitude.Param, dy, cols, rows, f.into)
		dy = f.m.z
	}
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
	if some := f.w.rows; some != nil {
		f.into(some.param, func(dst []float32, add bool) {
			if !add {
				clear(dst)
			}
			some.gradient(dst, dy, cols, f.ids, f.padding)
		})
	}
	if f.c == nil {
		return nil
	}
	r := f.c.Rank()
	v := f.c.back(t, matrix(dy, cols), f.u, rows, f.into)
	f.into(f.c.A, func(dst []float32, add bool) {
		if !add {
			clear(dst)
		}
		for n, id := range f.ids {
			if id == f.padding {
				continue
			}
			for i := range r {
				dst[i*f.w.Rows+int(id)] += v[n*r+i]
			}
		}
	})
	t.free(v)
	return nil
}
