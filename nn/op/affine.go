package op

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Projection is one linear map with its correction. Several projections may share an input.
type Projection struct {
	Weight *Weight     // out×in
	Bias   *Weight     // out; nil: none
	Adapt  *Correction // nil: none
}

// Affine returns the results of the projections ps side by side, each with columns
//
//	y = x·Wᵀ + b + s·drop(x)·Aᵀ·Bᵀ
//
// x is N×in, the result is N×Σout. The corrections share one dropout mask (PEFT draws one for each module): that of
// drop.Site, or, if it is 0, that of the last correction's Site. If drop has no sequences, nothing is dropped. Base and
// correction are summed in one product (Hu et al. 2021, arXiv:2106.09685, sections 4.1 and 4.2, folded into the inner
// dimension of the GEMM), and the gradient of x sums all projections in one product. Affine computes no gradient for a
// frozen weight, nor for x if it needs none. It panics if the sizes do not fit.
func Affine(t *Tape, x mat.Tensor, drop Drop, ps ...Projection) mat.Tensor {
	rows, in := Size(x)
	f := &affine{x: x, drop: drop, ps: ps, rows: rows, in: in}
	f.inputs = append(f.inputs, x)
	for _, p := range ps {
		mustBe(p.Weight.Cols == in, "Affine of %d×%d with a weight %d×%d", rows, in, p.Weight.Rows, p.Weight.Cols)
		mustBe(p.Bias == nil || p.Bias.Len() == p.Weight.Rows, "Affine with %d rows of weight and a bias of another length",
			p.Weight.Rows)
		f.out += p.Weight.Rows
		f.inputs = trained(f.inputs, p.Weight, p.Bias)
		if p.Adapt != nil {
			p.Adapt.mustFit(p.Weight.Cols, p.Weight.Rows)
			f.inputs = append(f.inputs, p.Adapt.A, p.Adapt.B)
			f.drop.P = p.Adapt.Dropout
			if drop.Site == 0 {
				f.drop.Site = p.Adapt.Site
			}
			if drop.Seqs.Starts == nil {
				f.drop.P = 0
			}
		}
	}
	f.drop.mustFit(rows)
	return t.run(f)
}

type affine struct {
	node
	x             mat.Tensor
	drop          Drop
	ps            []Projection
	rows, in, out int
	us            [][]float32 // s·drop(x)·Aᵀ of each projection, N×r
}

func matrix(v []float32, stride int) kernel.Mat { return kernel.Mat{F32: v, Stride: stride} }

func transposed(v []float32, stride int) kernel.Mat {
	return kernel.Mat{F32: v, Stride: stride, Trans: true}
}

// dropped returns drop(x) in a buffer that the caller must free, or x itself if nothing is dropped.
func (f *affine) dropped(x []float32) []float32 {
	if !f.drop.on() {
		return x
	}
	d := f.t.alloc(len(x))
	f.t.eachRows(f.rows, f.in, func(lo, hi int) { f.drop.rows(d, x, f.in, lo, hi, false) })
	return d
}

func (f *affine) adapted() bool {
	for _, p := range f.ps {
		if p.Adapt != nil {
			return true
		}
	}
	return false
}

// Forward computes y.
func (f *affine) Forward() (mat.Tensor, error) {
	t, x := f.t, Values(f.x)
	y := t.tensor(f.rows, f.out)
	if f.few() {
		f.forwardFew(y.data, x)
		return y, nil
	}
	xd := x
	if f.adapted() {
		xd = f.dropped(x)
	}
	f.us = make([][]float32, len(f.ps))
	col := 0
	for i, p := range f.ps {
		terms := [2]kernel.Term{{A: matrix(x, f.in), B: p.Weight.transposed(), K: f.in}}
		n := 1
		if c := p.Adapt; c != nil {
			r := c.Rank()
			u := t.alloc(f.rows * r)
			low := kernel.Term{A: matrix(xd, f.in), B: transposed(Values(c.A), f.in), K: f.in}
			t.pool.MatMul(u, r, f.rows, r, []kernel.Term{low}, kernel.Epilogue{})
			kernel.Scale(u, u, c.Scale)
			f.us[i] = u
			terms[1] = kernel.Term{A: matrix(u, r), B: transposed(Values(c.B), r), K: r}
			n = 2
		}
		var e kernel.Epilogue
		if p.Bias != nil {
			e.Bias = p.Bias.vector()
		}
		t.pool.MatMul(y.data[col:], f.out, f.rows, p.Weight.Rows, terms[:n], e)
		col += p.Weight.Rows
	}
	if f.adapted() && f.drop.on() {
		t.free(xd)
	}
	f.keepForBackward()
	return y, nil
}

// few reports whether to compute row by row, as FewRows asks for. A forward that a gradient needs does not.
func (f *affine) few() bool { return f.t.few && !f.t.record && !f.t.probe && !f.drop.on() }

// forwardFew computes y row by row and keeps nothing for a backward.
func (f *affine) forwardFew(y, x []float32) {
	t := f.t
	col := 0
	for _, p := range f.ps {
		out := p.Weight.Rows
		var bias []float32
		if p.Bias != nil {
			bias = p.Bias.vector()
		}
		t.pool.MatVec(y[col:], f.out, x, f.in, f.rows, p.Weight.mat(), out, f.in, bias)
		if c := p.Adapt; c != nil {
			r := c.Rank()
			u, v := t.alloc(f.rows*r), t.alloc(f.rows*out)
			t.pool.MatVec(u, r, x, f.in, f.rows, matrix(Values(c.A), f.in), r, f.in, nil)
			kernel.Scale(u, u, c.Scale)
			t.pool.MatVec(v, out, u, r, f.rows, matrix(Values(c.B), r), out, r, nil)
			for i := range f.rows {
				kernel.AddTo(y[i*f.out+col:][:out], v[i*out:][:out])
			}
			t.free(u)
			t.free(v)
		}
		col += out
	}
}

func (f *affine) keepForBackward() {
	needX := false
	for i, p := range f.ps {
		needX = needX || p.Adapt != nil || p.Weight.Param != nil
		if f.us[i] == nil {
			continue
		}
		if f.keep {
			f.bufs = append(f.bufs, f.us[i])
		} else {
			f.t.free(f.us[i])
		}
	}
	if needX {
		f.hold(f.x)
	}
}

// Backward, with V = s·dY·B for each projection with a correction:
//
//	dX = Σ dY·W + drop(Σ V·A)    dA = Vᵀ·drop(X)    dB = dYᵀ·U    dW = dYᵀ·X    db = Σ rows of dY
func (f *affine) Backward(gy mat.Tensor) error {
	t, dy := f.t, Values(gy)
	var xd []float32
	if f.adapted() {
		xd = f.dropped(Values(f.x))
	}
	terms := make([]kernel.Term, 0, 2*len(f.ps))
	low := make([]kernel.Term, 0, len(f.ps)) // V·A, which dropout masks separately
	var vs [][]float32
	col := 0
	for i, p := range f.ps {
		d := matrix(dy[col:], f.out)
		dT := transposed(dy[col:], f.out)
		out := p.Weight.Rows
		terms = append(terms, kernel.Term{A: d, B: p.Weight.mat(), K: out})
		if c := p.Adapt; c != nil {
			r := c.Rank()
			v := t.alloc(f.rows * r)
			vs = append(vs, v)
			t.pool.MatMul(v, r, f.rows, r, []kernel.Term{{A: d, B: matrix(Values(c.B), r), K: out}}, kernel.Epilogue{})
			kernel.Scale(v, v, c.Scale)
			low = append(low, kernel.Term{A: matrix(v, r), B: matrix(Values(c.A), f.in), K: r})
			f.into(c.A, func(dst []float32, add bool) {
				terms := []kernel.Term{{A: transposed(v, r), B: matrix(xd, f.in), K: f.rows}}
				t.pool.MatMul(dst, f.in, r, f.in, terms, kernel.Epilogue{Accumulate: add})
			})
			f.into(c.B, func(dst []float32, add bool) {
				terms := []kernel.Term{{A: dT, B: matrix(f.us[i], r), K: f.rows}}
				t.pool.MatMul(dst, r, out, r, terms, kernel.Epilogue{Accumulate: add})
			})
		}
		f.weightGradients(p, dy, col, dT)
		col += out
	}
	if xd != nil && f.drop.on() {
		t.free(xd)
	}
	f.inputGradient(terms, low)
	for _, v := range vs {
		t.free(v)
	}
	return nil
}

func (f *affine) weightGradients(p Projection, dy []float32, col int, dT kernel.Mat) {
	t, out := f.t, p.Weight.Rows
	if p.Weight.Param != nil {
		f.into(p.Weight.Param, func(dst []float32, add bool) {
			x := matrix(Values(f.x), f.in)
			e := kernel.Epilogue{Accumulate: add}
			if p.Weight.InOut { // dW is in×out: Xᵀ·dY
				x.Trans, dT.Trans = true, false
				t.pool.MatMul(dst, out, f.in, out, []kernel.Term{{A: x, B: dT, K: f.rows}}, e)
				return
			}
			t.pool.MatMul(dst, f.in, out, f.in, []kernel.Term{{A: dT, B: x, K: f.rows}}, e)
		})
	}
	if p.Bias != nil && p.Bias.Param != nil {
		f.into(p.Bias.Param, func(dst []float32, add bool) {
			if !add {
				clear(dst)
			}
			for row := range f.rows {
				kernel.AddTo(dst, dy[row*f.out+col:][:out])
			}
		})
	}
}

func (f *affine) inputGradient(terms, low []kernel.Term) {
	f.into(f.x, func(dst []float32, add bool) {
		if !f.drop.on() {
			terms = append(terms, low...)
		}
		f.t.pool.MatMul(dst, f.in, f.rows, f.in, terms, kernel.Epilogue{Accumulate: add})
		if !f.drop.on() || len(low) == 0 {
			return
		}
		g := f.t.alloc(f.rows * f.in)
		f.t.pool.MatMul(g, f.in, f.rows, f.in, low, kernel.Epilogue{})
		f.t.eachRows(f.rows, f.in, func(lo, hi int) { f.drop.rows(dst, g, f.in, lo, hi, true) })
		f.t.free(g)
	})
}
