package op

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Affine returns the results of the projections ps side by side, each with columns
//
//	y = x·Wᵀ + b + s·drop(x)·Aᵀ·Bᵀ
//
// or what [Correction] says of one with a bias or a magnitude. x is N×in, the result is N×Σout. The corrections
// share one dropout mask (PEFT draws one for each module): that of drop.Site, or, if it is 0, that of the last
// correction's Site. If drop has no sequences, nothing is dropped. Base and correction are summed in one product (Hu et
// al. 2021, arXiv:2106.09685, sections 4.1 and 4.2, folded into the inner dimension of the GEMM), and the gradient of x
// sums all projections in one product. Affine computes no gradient for a frozen weight, nor for x if it needs none. It
// panics if the sizes do not fit.
func Affine(t *Tape, x mat.Tensor, drop Drop, ps ...Projection) mat.Tensor {
	rows, in := Size(x)
	f := &affine{x: x, drop: drop, ps: ps, rows: rows, in: in}
	f.inputs = append(f.inputs, x)
	for _, p := range ps {
		p.mustFit("Affine", rows, in)
		f.out += p.out()
		f.inputs = p.operands(f.inputs)
		if p.Adapt != nil {
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
	products      []product
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

// needsX reports whether the backward reads x.
func (f *affine) needsX() bool {
	for _, p := range f.ps {
		for _, part := range p.parts(f.rows) {
			if part.Adapt != nil || part.Weight.Trains() {
				return true
			}
		}
	}
	return false
}

// Forward computes y.
func (f *affine) Forward() (mat.Tensor, error) {
	t, x := f.t, Values(f.x)
	y := t.tensor(f.rows, f.out)
	few := t.few && !t.record && !t.probe && !f.drop.on()
	xd := x
	if f.adapted() {
		xd = f.dropped(x)
	}
	f.products = make([]product, len(f.ps))
	col := 0
	for i, p := range f.ps {
		q := &f.products[i]
		*q = product{Projection: p, t: t, rows: f.rows, in: f.in, keep: f.keep, dropped: f.drop.on()}
		if few {
			q.partly(y.data[col:], f.out, x, true)
		} else {
			q.forward(y.data[col:], f.out, x, xd)
		}
		f.bufs = append(f.bufs, q.bufs...)
		col += p.out()
	}
	if f.adapted() && f.drop.on() {
		t.free(xd)
	}
	if f.needsX() {
		f.hold(f.x)
	}
	return y, nil
}

// Backward sums the gradients of the products, that of x in one product of all terms.
func (f *affine) Backward(gy mat.Tensor) error {
	t, dy := f.t, Values(gy)
	var x, xd []float32
	if f.needsX() {
		x = Values(f.x)
	}
	xd = x
	if f.adapted() {
		xd = f.dropped(x)
	}
	terms := make([]kernel.Term, 0, 2*len(f.ps))
	low := make([]kernel.Term, 0, len(f.ps)) // those that dropout masks
	col := 0
	for i := range f.products {
		q := &f.products[i]
		more, masked := q.backward(dy[col:], f.out, x, xd, f.into)
		terms, low = append(terms, more...), append(low, masked...)
		col += q.Weight.Rows
	}
	if f.adapted() && f.drop.on() {
		t.free(xd)
	}
	f.inputGradient(terms, low)
	for i := range f.products {
		f.products[i].spent()
	}
	return nil
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
