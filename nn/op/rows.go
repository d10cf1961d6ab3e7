package op

import (
	"fmt"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/kernel"
)

// someRows are rows of a table that train while the table itself is frozen (PEFT's trainable_token_indices).
type someRows struct {
	index []int32       // n rows of the table
	at    map[int32]int // the last place of a row in index: the one that counts
	param *spago.Param  // n×C
}

// WithRows returns a frozen weight with the stored values of w, except that the rows that index lists are those of the
// returned parameter (len(index)×Cols), which trains and starts with w's values. [Affine], [Embedding] and
// [LinearCrossEntropy] read the rows from the parameter and give it their gradients. A row that is listed twice has the
// values of its last place, and both places get its gradient, as in PEFT. WithRows returns an error if w is not a
// frozen out×in matrix with values, or if a row is outside of it.
func (w *Weight) WithRows(index []int32) (*Weight, *spago.Param, error) {
	if w.Param != nil || w.Vector || w.InOut || w.rows != nil || !w.Filled() {
		return nil, nil, fmt.Errorf("op: rows of a weight of %d×%d cannot train; want a frozen table with values", w.Rows,
			w.Cols)
	}
	some := &someRows{index: index, at: map[int32]int{}}
	values := make([]float32, len(index)*w.Cols)
	for i, row := range index {
		if row < 0 || int(row) >= w.Rows {
			return nil, nil, fmt.Errorf("op: row %d of a table of %d rows; want 0 to %d", row, w.Rows, w.Rows-1)
		}
		some.at[row] = i
		w.row(values[i*w.Cols:(i+1)*w.Cols], int(row))
	}
	some.param = NewParam(len(index), w.Cols, values)
	own := *w
	own.rows = some
	return &own, some.param, nil
}

// WithMoreRows returns a frozen weight with the rows of w followed by those of more, whose length must be a multiple of
// w.Cols. It has the stored type of w, or F32 if that is quantised; values are rounded to it. WithMoreRows returns an
// error if w is not a frozen out×in matrix with values.
func (w *Weight) WithMoreRows(more []float32) (*Weight, error) {
	if w.Param != nil || w.Vector || w.InOut || w.rows != nil || !w.Filled() || len(more)%w.Cols != 0 {
		return nil, fmt.Errorf("op: %d values cannot follow the rows of a weight of %d×%d; want a frozen table with values "+
			"and whole rows", len(more), w.Rows, w.Cols)
	}
	own := NewMatrix(w.Rows+len(more)/w.Cols, w.Cols)
	switch {
	case w.u16 != nil:
		own.Type, own.u16 = w.Type, make([]uint16, own.Len())
		copy(own.u16, w.u16)
		kernel.Narrow(own.u16[w.Len():], more, w.Type)
	default:
		own.f32 = make([]float32, own.Len())
		w.widen(own.f32[:w.Len()], 0)
		copy(own.f32[w.Len():], more)
	}
	return own, nil
}

// Row sets dst, of length Cols, to the values of row i of an out×in matrix.
func (w *Weight) Row(dst []float32, i int) { w.row(dst, i) }

// into replaces the rows in dst, the values of a table of cols columns that start at index from.
func (s *someRows) into(dst []float32, from, cols int) {
	v := Values(s.param)
	if from%cols == 0 && len(dst) == cols {
		if i, ok := s.at[int32(from/cols)]; ok {
			copy(dst, v[i*cols:(i+1)*cols])
		}
		return
	}
	for row, i := range s.at {
		lo, hi := max(int(row)*cols, from), min((int(row)+1)*cols, from+len(dst))
		if lo < hi {
			at := i*cols - int(row)*cols
			copy(dst[lo-from:hi-from], v[lo+at:hi+at])
		}
	}
}

// rowsProduct is the part of a product that belongs to rows that train: with the difference D (n×in) of these rows and
// those of the stored table, n columns of y get x·Dᵀ more.
type rowsProduct struct {
	index []int32
	param *spago.Param
	diff  []float32 // D, 0 where the row is listed again behind
	dcols []float32 // of the backward: the columns of dY that belong to the rows, rows×n
}

// rowsPart returns the part of q for rows that train, or nil if its weight has none.
func (q *product) rowsPart() *rowsProduct {
	some := q.Weight.rows
	if some == nil {
		return nil
	}
	p := &rowsProduct{index: some.index, param: some.param, diff: q.t.alloc(len(some.index) * q.in)}
	v := Values(some.param)
	for i, row := range some.index {
		d := p.diff[i*q.in : (i+1)*q.in]
		if some.at[row] != i {
			clear(d)
			continue
		}
		q.Weight.stored(d, int(row)*q.in)
		for j, x := range d {
			d[j] = v[i*q.in+j] - x
		}
	}
	return p
}

// add adds x·Dᵀ to the columns of y (rows×out with row stride ldy).
func (p *rowsProduct) add(q *product, y []float32, ldy int, x []float32, few bool) {
	n := len(p.index)
	z := q.t.alloc(q.rows * n)
	if few {
		q.t.pool.MatVec(z, n, x, q.in, q.rows, matrix(p.diff, q.in), n, q.in, nil)
	} else {
		terms := []kernel.Term{{A: matrix(x, q.in), B: transposed(p.diff, q.in), K: q.in}}
		q.t.pool.MatMul(z, n, q.rows, n, terms, kernel.Epilogue{})
	}
	for i := range q.rows {
		for j, row := range p.index {
			y[i*ldy+int(row)] += z[i*n+j]
		}
	}
	q.t.free(z)
}

// backward gives the rows their gradient and returns the term that dX gets more. dy is dY with row stride ldd.
func (p *rowsProduct) backward(q *product, dy []float32, ldd int, x []float32, give recipient) kernel.Term {
	n := len(p.index)
	p.dcols = q.t.alloc(q.rows * n)
	for i := range q.rows {
		for j, row := range p.index {
			p.dcols[i*n+j] = dy[i*ldd+int(row)]
		}
	}
	give(p.param, func(dst []float32, add bool) {
		terms := []kernel.Term{{A: transposed(p.dcols, n), B: matrix(x, q.in), K: q.rows}}
		q.t.pool.MatMul(dst, q.in, n, q.in, terms, kernel.Epilogue{Accumulate: add})
	})
	return kernel.Term{A: matrix(p.dcols, n), B: matrix(p.diff, q.in), K: n}
}

// gradient adds the rows of dY (N×C) of an embedding to those that train; padding is the id without a gradient.
func (s *someRows) gradient(dst, dy []float32, cols int, ids []int32, padding int32) {
	places := map[int32][]int{}
	for i, row := range s.index {
		places[row] = append(places[row], i)
	}
	for n, id := range ids {
		if id == padding {
			continue
		}
		for _, i := range places[id] {
			kernel.AddTo(dst[i*cols:(i+1)*cols], dy[n*cols:(n+1)*cols])
		}
	}
}
