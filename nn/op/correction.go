package op

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/kernel"
)

// Correction is what an adapter, or several (And), change in one layer. Without a Magnitude the layer's weight W
// becomes
//
//	W′ = W + Scale·B·A
//
// and with one (DoRA, Liu et al. 2024, arXiv:2402.09353) W′ = m ∘ (W + Scale·B·A) / n, see [Magnitude]. Further
// corrections act, in order, on the W′ of those before, each with the norms n of its own change of W, as in PEFT.
// [Affine], [Embedding] and [LinearCrossEntropy] apply them.
type Correction struct {
	A, B      *spago.Param // linear: r×in and out×r; embedding: r×V and C×r
	Bias      *spago.Param // out values; Scale·Bias is added to the layer's bias; nil: none. Embeddings have none
	Magnitude *Magnitude   // nil: plain LoRA
	Scale     float32      // α/r, or α/√r for rsLoRA
	Dropout   float32      // probability, on the input of A; embeddings ignore it
	Site      uint32       // site of the dropout in the random stream
	And       *Correction  // further corrections of the same layer; nil: none. Only for tapes that do not record
}

// Rank returns r, the number of rows of A.
func (c *Correction) Rank() int { r, _ := Size(c.A); return r }

// mustFit panics unless W′ maps from values to to values.
func (c *Correction) mustFit(from, to int) {
	r, in := Size(c.A)
	out, s := Size(c.B)
	mustBe(r == s && in == from && out == to,
		"correction of %d×%d and %d×%d for a weight from %d to %d values", r, in, out, s, from, to)
	for _, p := range c.vectors() {
		mustBe(len(Values(p)) == to, "correction with a vector of %d values for a weight from %d to %d values",
			len(Values(p)), from, to)
	}
}

// vectors returns the parameters with one value for each output.
func (c *Correction) vectors() []*spago.Param {
	var list []*spago.Param
	if c.Bias != nil {
		list = append(list, c.Bias)
	}
	if c.Magnitude != nil {
		list = append(list, c.Magnitude.Param)
	}
	return list
}

// operands appends the parameters of c and the corrections behind it to xs. c may be nil.
func (c *Correction) operands(xs []mat.Tensor) []mat.Tensor {
	for ; c != nil; c = c.And {
		xs = append(xs, c.A, c.B)
		for _, p := range c.vectors() {
			xs = append(xs, p)
		}
	}
	return xs
}

// A recipient takes the gradient of a parameter. write gets the buffer and whether to add to it; if add is false, write
// must set every element. Parameters that need no gradient get none.
type recipient func(p mat.Tensor, write func(dst []float32, add bool))

// The rows that a correction adds are U·Bᵀ, with U = s·x·Aᵀ of a linear layer and U = s·A[:, ids]ᵀ of an
// embedding.

// down returns U = s·x·Aᵀ (rows×r) of x (rows×in) in a buffer that the caller must free.
func (c *Correction) down(t *Tape, x []float32, rows, in int) []float32 {
	r := c.Rank()
	u := t.alloc(rows * r)
	low := kernel.Term{A: matrix(x, in), B: transposed(Values(c.A), in), K: in}
	t.pool.MatMul(u, r, rows, r, []kernel.Term{low}, kernel.Epilogue{})
	kernel.Scale(u, u, c.Scale)
	return u
}

// up returns the term U·Bᵀ (rows×out).
func (c *Correction) up(u []float32) kernel.Term {
	r := c.Rank()
	return kernel.Term{A: matrix(u, r), B: transposed(Values(c.B), r), K: r}
}

// few adds U·Bᵀ to y (row stride ldd) row by row, as [Tape.FewRows] asks for.
func (c *Correction) few(t *Tape, y []float32, ldd int, x []float32, rows, in, out int) {
	r := c.Rank()
	u, v := t.alloc(rows*r), t.alloc(rows*out)
	t.pool.MatVec(u, r, x, in, rows, matrix(Values(c.A), in), r, in, nil)
	kernel.Scale(u, u, c.Scale)
	t.pool.MatVec(v, out, u, r, rows, matrix(Values(c.B), r), out, r, nil)
	for i := range rows {
		kernel.AddTo(y[i*ldd:][:out], v[i*out:][:out])
	}
	t.free(u)
	t.free(v)
}

// back gives B its gradient, dB = dYᵀ·U, and returns V = s·dY·B (rows×r), the gradient of U/s, in a buffer that
// the caller must free. d is dY (rows×out).
func (c *Correction) back(t *Tape, d kernel.Mat, u []float32, rows int, give recipient) []float32 {
	out, r := Size(c.B)
	v := t.alloc(rows * r)
	t.pool.MatMul(v, r, rows, r, []kernel.Term{{A: d, B: matrix(Values(c.B), r), K: out}}, kernel.Epilogue{})
	kernel.Scale(v, v, c.Scale)
	give(c.B, func(dst []float32, add bool) {
		d.Trans = true
		terms := []kernel.Term{{A: d, B: matrix(u, r), K: rows}}
		t.pool.MatMul(dst, r, out, r, terms, kernel.Epilogue{Accumulate: add})
	})
	return v
}
