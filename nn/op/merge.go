package op

import "github.com/spalora/spalora/internal/kernel"

// Merged returns the values of w with the correction c, which may be nil, as float32 in the order of w.Shape: W +
// s·B·A for a linear weight (out×in, or in×out if InOut), or, if table, W + s·(B·A)ᵀ for an embedding table
// (V×C, where A is r×V and B is C×r). A magnitude scales each output by m/n. Merged does not change w, and the
// caller owns the slice.
func Merged(pool *Pool, w *Weight, c *Correction, table bool) []float32 {
	v := w.Float32()
	if c == nil {
		return v
	}
	r := c.Rank()
	a, b := Values(c.A), Values(c.B)
	left := make([]float32, len(b))
	kernel.Scale(left, b, c.Scale)
	out, in := w.Rows, w.Cols
	e := kernel.Epilogue{Accumulate: true}
	if table || w.InOut {
		rows, cols := in, out // in×out = Aᵀ·Bᵀ
		if table {
			rows, cols = out, in // V×C, where the weight's rows are A's columns
		}
		pool.MatMul(v, cols, rows, cols, []kernel.Term{{A: transposed(a, rows), B: transposed(left, r), K: r}}, e)
	} else {
		pool.MatMul(v, in, out, in, []kernel.Term{{A: matrix(left, r), B: matrix(a, in), K: r}}, e)
	}
	if c.Magnitude == nil {
		return v
	}
	outputs, _ := Size(c.B)
	gain := make([]float32, outputs)
	c.gains(pool, gain, w, table)
	for i := range v {
		if table || w.InOut {
			v[i] *= gain[i%outputs]
		} else {
			v[i] *= gain[i/in]
		}
	}
	return v
}

// MergedBias returns the values of a layer's bias b with that of the layer's correction c: b + s·Bias. c may be nil or
// have no bias. The caller owns the slice.
func MergedBias(b *Weight, c *Correction) []float32 {
	v := b.Float32()
	if c != nil && c.Bias != nil {
		kernel.AddScaled(v, Values(c.Bias), c.Scale)
	}
	return v
}
