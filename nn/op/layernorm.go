package op

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// LayerNorm normalises each row and scales and shifts it (Ba et al. 2016, arXiv:1607.06450; biased variance):
//
//	y = (z − mean(z)) / √(var(z) + eps) ∘ gain + bias    with z = x + drop(h)
//
// x, h and y are N×C, gain and bias have C values. h may be nil: then z = x. For the backward it keeps the normalised
// rows and N reciprocal deviations; y is recomputed from them if the backward of another operator reads it.
func LayerNorm(t *Tape, x, h mat.Tensor, drop Drop, gain, bias *Weight, eps float32) mat.Tensor {
	rows, cols := Size(x)
	mustBe(gain.Len() == cols && bias.Len() == cols,
		"LayerNorm of %d×%d with %d gains and %d biases", rows, cols, gain.Len(), bias.Len())
	f := &layerNorm{x: x, h: h, drop: drop, gain: gain, bias: bias, eps: eps, rows: rows, cols: cols}
	f.inputs = append(f.inputs, x)
	if h != nil {
		r, c := Size(h)
		mustBe(r == rows && c == cols, "LayerNorm of %d×%d plus %d×%d", rows, cols, r, c)
		f.inputs = append(f.inputs, h)
		drop.mustFit(rows)
	}
	f.inputs = trained(f.inputs, gain, bias)
	return t.run(f)
}

type layerNorm struct {
	node
	x, h       mat.Tensor
	drop       Drop
	gain, bias *Weight
	eps        float32
	rows, cols int
	xhat, rstd []float32
	y          *Tensor
}

// Forward computes y.
func (f *layerNorm) Forward() (mat.Tensor, error) {
	t, c := f.t, f.cols
	y := t.tensor(f.rows, c)
	x, gain, bias := Values(f.x), f.gain.vector(), f.bias.vector()
	var h []float32
	if f.h != nil {
		h = Values(f.h)
	}
	if f.keep {
		f.xhat, f.rstd = f.buffer(f.rows*c), f.buffer(f.rows)
	}
	t.eachRows(f.rows, c, func(lo, hi int) {
		if h != nil {
			f.sum(y.data, x, h, lo, hi)
		}
		for n := lo; n < hi; n++ {
			row := y.data[n*c : (n+1)*c]
			z := row
			if h == nil {
				z = x[n*c : (n+1)*c]
			}
			if f.keep {
				f.rstd[n] = kernel.LayerNorm(row, f.xhat[n*c:(n+1)*c], z, gain, bias, f.eps)
			} else {
				kernel.LayerNorm(row, nil, z, gain, bias, f.eps)
			}
		}
	})
	if f.keep && t.arena != nil {
		y.again = f.again
	}
	f.y = y
	return y, nil
}

// sum writes x + drop(h) for the rows lo to hi−1.
func (f *layerNorm) sum(dst, x, h []float32, lo, hi int) {
	a, b := lo*f.cols, hi*f.cols
	if !f.drop.on() {
		kernel.Add(dst[a:b], x[a:b], h[a:b])
		return
	}
	copy(dst[a:b], x[a:b])
	f.drop.rows(dst, h, f.cols, lo, hi, true)
}

func (f *layerNorm) again(dst []float32) {
	c, gain, bias := f.cols, f.gain.vector(), f.bias.vector()
	f.t.eachRows(f.rows, c, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			kernel.LayerNormAgain(dst[n*c:(n+1)*c], f.xhat[n*c:(n+1)*c], gain, bias)
		}
	})
}

// Backward: dz = rstd·(dY∘gain − mean − xhat·mean(dY∘gain∘xhat)); dX = dz; dH = drop(dz).
func (f *layerNorm) Backward(gy mat.Tensor) error {
	t, c, dy := f.t, f.cols, Values(gy)
	f.parameters(dy)
	dz, moved := f.take(f.x, gy, f.y)
	if !moved {
		dz = t.alloc(len(dy))
	}
	gain := f.gain.vector()
	t.eachRows(f.rows, c, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			kernel.LayerNormBackward(dz[n*c:(n+1)*c], dy[n*c:(n+1)*c], f.xhat[n*c:(n+1)*c], gain, f.rstd[n])
		}
	})
	if f.h != nil {
		f.into(f.h, func(dst []float32, add bool) {
			t.eachRows(f.rows, c, func(lo, hi int) {
				a, b := lo*c, hi*c
				switch {
				case f.drop.on():
					f.drop.rows(dst, dz, c, lo, hi, add)
				case add:
					kernel.AddTo(dst[a:b], dz[a:b])
				default:
					copy(dst[a:b], dz[a:b])
				}
			})
		})
	}
	if moved {
		return nil
	}
	f.into(f.x, func(dst []float32, add bool) { t.accumulate(dst, dz, add) })
	t.free(dz)
	return nil
}

// parameters sums the gradients of gain and bias over all rows.
func (f *layerNorm) parameters(dy []float32) {
	if f.gain.Param == nil && f.bias.Param == nil {
		return
	}
	t, c := f.t, f.cols
	t.sumOverRows(f.rows, c, 2*c, func(sum []float32, n int) {
		kernel.LayerNormParams(sum[:c], sum[c:], dy[n*c:(n+1)*c], f.xhat[n*c:(n+1)*c])
	}, func(sums [][]float32) {
		for k, w := range []*Weight{f.gain, f.bias} {
			if w.Param == nil {
				continue
			}
			f.into(w.Param, func(dst []float32, add bool) { addUp(dst, columns(sums, k*c, c), add) })
		}
	})
}

// sumOverRows calls one for each row, which adds size values to a sum. There is one sum for each fixed range of rows,
// whose length depends on width only. It then calls done with the sums in the order of the ranges: added in that order,
// they give bits that do not depend on the number of workers.
func (t *Tape) sumOverRows(rows, width, size int, one func(sum []float32, row int), done func(sums [][]float32)) {
	step := rowsPerTask(width)
	parts := (rows + step - 1) / step
	all := t.alloc(parts * size)
	clear(all)
	sums := make([][]float32, parts)
	for i := range sums {
		sums[i] = all[i*size : (i+1)*size]
	}
	t.pool.For(parts, func(part, _ int) {
		for n := part * step; n < min(rows, (part+1)*step); n++ {
			one(sums[part], n)
		}
	})
	done(sums)
	t.free(all)
}

// columns returns n columns of each row, starting at column from.
func columns(rows [][]float32, from, n int) [][]float32 {
	out := make([][]float32, len(rows))
	for i, r := range rows {
		out[i] = r[from : from+n]
	}
	return out
}

// addUp sets dst to the sum of rows, or adds the sum to dst.
func addUp(dst []float32, rows [][]float32, add bool) {
	if !add {
		clear(dst)
	}
	for _, r := range rows {
		kernel.AddTo(dst, r)
	}
}

// accumulate copies src to dst, or adds it.
func (t *Tape) accumulate(dst, src []float32, add bool) {
	t.eachElements(len(dst), func(lo, hi int) {
		if add {
			kernel.AddTo(dst[lo:hi], src[lo:hi])
		} else {
			copy(dst[lo:hi], src[lo:hi])
		}
	})
}
