package op

import "github.com/spalora/spalora/internal/kernel"

// Projection is one linear map with its correction. Several projections may share an input.
type Projection struct {
	Weight *Weight     // out×in
	Bias   *Weight     // out; nil: none
	Adapt  *Correction // nil: none

	// Parts, unless nil, take the place of the other fields for the rows of x, in order. They are for tapes that do not
	// record, without dropout.
	Parts []Part
}

// product is one use of a projection: its results for some rows of x, and their gradients. [Affine] and
// [LinearCrossEntropy] are made of it. With a correction it computes
//
//	y = x·Wᵀ + U·Bᵀ + b              with U = s·drop(x)·Aᵀ
//
// where b includes the correction's bias, and with a magnitude, as PEFT's DoRA does,
//
//	y = (x − drop(x))·Wᵀ + g∘Z + b   with Z = drop(x)·Wᵀ + U·Bᵀ and g = m/n
type product struct {
	Projection
	t        *Tape
	rows, in int
	keep     bool         // a backward will follow
	dropped  bool         // drop(x) is not x
	u        []float32    // U, rows×r
	m        *magnified   // nil: no magnitude
	some     *rowsProduct // of rows of the weight that train; nil: none
	v        []float32    // of the backward: s·dY·B, rows×r
	bufs     [][]float32  // buffers that the backward reads
}

// forward sets y (rows×out with row stride ldy). x and xd, which is drop(x), are rows×in.
func (q *product) forward(y []float32, ldy int, x, xd []float32) {
	if q.apart() {
		q.partly(y, ldy, x, false)
		return
	}
	q.frozen(y, ldy, x, xd)
	if q.some = q.rowsPart(); q.some != nil {
		q.some.add(q, y, ldy, x, false)
		q.bufs = append(q.bufs, q.some.diff)
	}
	if !q.keep {
		q.free()
	}
}

// frozen is forward without the rows of the weight that train.
func (q *product) frozen(y []float32, ldy int, x, xd []float32) {
	c, t, out := q.Adapt, q.t, q.Weight.Rows
	terms := [2]kernel.Term{q.base(x)}
	start, made := Part{Bias: q.Bias, Weight: q.Weight, Adapt: c}.start(t)
	e := kernel.Epilogue{Bias: start}
	if c == nil {
		t.pool.MatMul(y, ldy, q.rows, out, terms[:1], e)
		return
	}
	q.u = c.down(t, xd, q.rows, q.in)
	q.bufs = append(q.bufs, q.u)
	terms[1] = c.up(q.u)
	if c.Magnitude == nil {
		t.pool.MatMul(y, ldy, q.rows, out, terms[:], e)
	} else {
		q.magnify(y, ldy, x, xd, terms, e)
	}
	if made {
		t.free(start)
	}
}

// base returns the term x·Wᵀ.
func (q *product) base(x []float32) kernel.Term {
	return kernel.Term{A: matrix(x, q.in), B: q.Weight.transposed(), K: q.in, BF16: q.t.bf16(q.Weight)}
}

// baseGradient returns the term d·W of the gradient of x.
func (q *product) baseGradient(d kernel.Mat) kernel.Term {
	return kernel.Term{A: d, B: q.Weight.mat(), K: q.Weight.Rows, BF16: q.t.bf16(q.Weight)}
}

// bf16 reports whether w is multiplied in BF16: if it is frozen and the pool asks for that.
func (t *Tape) bf16(w *Weight) bool { return t.pool.BF16() && !w.Trains() }

// magnify is the part of forward for a correction with a magnitude.
func (q *product) magnify(y []float32, ldy int, x, xd []float32, terms [2]kernel.Term, e kernel.Epilogue) {
	t, out := q.t, q.Weight.Rows
	q.m = q.Adapt.magnify(t, q.Weight, false, q.rows, q.keep || q.dropped)
	q.bufs = append(q.bufs, q.m.bufs()...)
	z, ldz := q.m.z, out
	if z == nil {
		z, ldz = y, ldy
	}
	terms[0] = q.base(xd)
	t.pool.MatMul(z, ldz, q.rows, out, terms[:], kernel.Epilogue{})
	if q.dropped {
		rest := t.alloc(q.rows * q.in)
		t.eachElements(len(rest), func(lo, hi int) {
			for i := lo; i < hi; i++ {
				rest[i] = x[i] - xd[i]
			}
		})
		t.pool.MatMul(y, ldy, q.rows, out, []kernel.Term{q.base(rest)}, e)
		t.free(rest)
	}
	q.m.forward(t, y, ldy, z, ldz, q.rows, e.Bias, q.dropped)
}

// free frees what forward kept.
func (q *product) free() {
	for _, b := range q.bufs {
		q.t.free(b)
	}
	q.bufs = nil
}

// backward gives the parameters of the projection their gradients and returns the terms of that of x. dy is dY with row
// stride ldd. With D = dY, or g∘dY if there is a magnitude, and V = s·D·B,
//
//	dX = dY·W + drop((D − dY)·W + V·A), or D·W + V·A if nothing is dropped
//	dA = Vᵀ·drop(X)    dB = Dᵀ·U    dm = Σ rows of dY∘Z/n    db = Σ rows of dY (s times that for the
//	correction's bias)
//	dW = dYᵀ·X + (D − dY)ᵀ·drop(X), or Dᵀ·X if nothing is dropped
//
// through are the terms that dropout does not mask, low those that it does. They read buffers that live until spent.
func (q *product) backward(dy []float32, ldd int, x, xd []float32, give recipient) (through, low []kernel.Term) {
	if q.some != nil {
		more := q.some.backward(q, dy, ldd, x, give)
		through, low = q.frozenBackward(dy, ldd, x, xd, give)
		return append(through, more), low
	}
	return q.frozenBackward(dy, ldd, x, xd, give)
}

// frozenBackward is backward without the rows of the weight that train.
func (q *product) frozenBackward(dy []float32, ldd int, x, xd []float32, give recipient) (
	through, low []kernel.Term,
) {
	c, t, out := q.Adapt, q.t, q.Weight.Rows
	d := matrix(dy, ldd)
	weight := []kernel.Term{{A: d, B: matrix(x, q.in), K: q.rows}}
	if c == nil {
		q.biasGradients(dy, ldd, give)
		q.weightGradient(weight, give)
		return []kernel.Term{q.baseGradient(d)}, nil
	}
	scaled := d
	if q.m != nil {
		q.m.backward(t, c.Magnitude.Param, dy, ldd, q.rows, give)
		scaled = matrix(q.m.z, out)
		if !q.dropped {
			d, weight[0].A = scaled, scaled
		}
	}
	r := c.Rank()
	q.v = c.back(t, scaled, q.u, q.rows, give)
	give(c.A, func(dst []float32, add bool) {
		terms := []kernel.Term{{A: transposed(q.v, r), B: matrix(xd, q.in), K: q.rows}}
		t.pool.MatMul(dst, q.in, r, q.in, terms, kernel.Epilogue{Accumulate: add})
	})
	through = []kernel.Term{q.baseGradient(d)}
	if q.m != nil && q.dropped {
		t.eachRows(q.rows, out, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				kernel.AddScaled(q.m.z[i*out:][:out], dy[i*ldd:][:out], -1)
			}
		})
		low = append(low, q.baseGradient(scaled))
		weight = append(weight, kernel.Term{A: scaled, B: matrix(xd, q.in), K: q.rows})
	}
	q.biasGradients(dy, ldd, give)
	q.weightGradient(weight, give)
	return through, append(low, kernel.Term{A: matrix(q.v, r), B: matrix(Values(c.A), q.in), K: r})
}

// spent frees the buffers of backward.
func (q *product) spent() {
	q.t.free(q.v)
	if q.some != nil {
		q.t.free(q.some.dcols)
	}
}

// weightGradient gives a weight that trains its gradient, the sum of Aᵀ·B over the terms.
func (q *product) weightGradient(terms []kernel.Term, give recipient) {
	if q.Weight.Param == nil {
		return
	}
	out, in := q.Weight.Rows, q.in
	give(q.Weight.Param, func(dst []float32, add bool) {
		e := kernel.Epilogue{Accumulate: add}
		for i := range terms {
			terms[i].A.Trans = true
			if q.Weight.InOut { // in×out: the transpose
				terms[i].A, terms[i].B = terms[i].B, terms[i].A
				terms[i].A.Trans, terms[i].B.Trans = true, false
			}
		}
		if q.Weight.InOut {
			q.t.pool.MatMul(dst, out, in, out, terms, e)
			return
		}
		q.t.pool.MatMul(dst, in, out, in, terms, e)
	})
}

// biasGradients gives the biases that train their gradients.
func (q *product) biasGradients(dy []float32, ldd int, give recipient) {
	sum := func(scale float32) func(dst []float32, add bool) {
		return func(dst []float32, add bool) {
			if !add {
				clear(dst)
			}
			for i := range q.rows {
				if row := dy[i*ldd:][:len(dst)]; scale == 1 {
					kernel.AddTo(dst, row)
				} else {
					kernel.AddScaled(dst, row, scale)
				}
			}
		}
	}
	if q.Bias != nil && q.Bias.Param != nil {
		give(q.Bias.Param, sum(1))
	}
	if q.Adapt != nil && q.Adapt.Bias != nil {
		give(q.Adapt.Bias, sum(q.Adapt.Scale))
	}
}
