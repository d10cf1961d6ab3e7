package op

import (
	"sort"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Part is a run of consecutive rows that a [Projection] computes with weights and corrections of their own: those of
// the sequences of a batch that one adapter serves.
type Part struct {
	Rows   int
	Weight *Weight // out×in
	Bias   *Weight // out; nil: none
	Adapt  *Correction
}

// parts returns the rows of the projection, n in all, with what each is computed with.
func (p Projection) parts(n int) []Part {
	if p.Parts != nil {
		return p.Parts
	}
	return []Part{{n, p.Weight, p.Bias, p.Adapt}}
}

// of returns the projection for some of its rows, in ascending order.
func (p Projection) of(rows []int) Projection {
	if p.Parts == nil {
		return p
	}
	parts, end := make([]Part, len(p.Parts)), 0
	for i, part := range p.Parts {
		end += part.Rows
		n := sort.SearchInts(rows, end)
		part.Rows, rows = n, rows[n:]
		parts[i] = part
	}
	p.Parts = parts
	return p
}

// apart reports whether the rows of the projection cannot be computed in one product: there are several parts, or
// several corrections on one.
func (p Projection) apart() bool { return p.Parts != nil || p.Adapt != nil && p.Adapt.And != nil }

// out returns the number of columns of the result: that of the widest part.
func (p Projection) out() int {
	out := 0
	for _, part := range p.parts(0) {
		out = max(out, part.Weight.Rows)
	}
	return out
}

// mustFit panics unless the projection maps rows of in values, n of them.
func (p Projection) mustFit(what string, n, in int) {
	rows := 0
	for _, part := range p.parts(n) {
		w := part.Weight
		if w.Cols != in || part.Bias != nil && part.Bias.Len() != w.Rows { // mustBe alone allocates its arguments
			mustBe(w.Cols == in, "%s of %d×%d with a weight %d×%d", what, n, in, w.Rows, w.Cols)
			mustBe(false, "%s with %d rows of weight and a bias of another length", what, w.Rows)
		}
		for c := part.Adapt; c != nil; c = c.And {
			c.mustFit(w.Cols, w.Rows)
		}
		rows += part.Rows
	}
	if rows != n {
		mustBe(false, "%s of %d rows in parts of %d", what, n, rows)
	}
}

// operands appends the parameters of the projection to xs.
func (p Projection) operands(xs []mat.Tensor) []mat.Tensor {
	for _, part := range p.parts(0) {
		xs = part.Adapt.operands(trained(xs, part.Weight, part.Bias))
	}
	return xs
}

// sameValues reports whether w and v have the same stored values, so that one product serves both.
func (w *Weight) sameValues(v *Weight) bool {
	if w == v {
		return true
	}
	key := w.values()
	return key != nil && key == v.values() && w.Type == v.Type && w.Rows == v.Rows && w.Cols == v.Cols &&
		w.InOut == v.InOut && w.turned == v.turned
}

// start returns what the rows of the part start from, before the first product is added: its bias with those of its
// corrections, nil if it has none. If made, the caller must free it.
func (p Part) start(t *Tape) (b []float32, made bool) {
	if p.Bias != nil {
		b = p.Bias.vector()
	}
	for c := p.Adapt; c != nil; c = c.And {
		switch {
		case c.Bias == nil:
		case made:
			kernel.AddScaled(b, Values(c.Bias), c.Scale)
		default:
			sum := t.alloc(p.Weight.Rows)
			kernel.Scale(sum, Values(c.Bias), c.Scale)
			if b != nil {
				kernel.AddTo(sum, b)
			}
			b, made = sum, true
		}
	}
	return b, made
}

// magnified reports whether c or a correction behind it has a magnitude. c may be nil.
func (c *Correction) magnified() bool {
	for ; c != nil; c = c.And {
		if c.Magnitude != nil {
			return true
		}
	}
	return false
}

// partly sets y (rows×out with row stride ldy) to the results of all parts; with few row by row, as [Tape.FewRows]
// asks for. x is rows×in. It is [product.forward] for rows that are computed in different ways, bit for bit, and keeps
// nothing for a backward: parts with the same stored weights share one product, to which each adds its corrections.
// Behind the columns of a narrower part there are zeros.
func (q *product) partly(y []float32, ldy int, x []float32, few bool) {
	mustBe(!q.keep && !q.dropped, "parts of rows, or several corrections, on a tape that records")
	parts, t, out := q.parts(q.rows), q.t, q.out()
	starts := make([]partStart, len(parts))
	row := 0
	for i, p := range parts {
		s := &starts[i]
		s.bias, s.made = p.start(t)
		s.row, s.late = row, p.Adapt.magnified()
		for ; row < s.row+p.Rows; row++ {
			clear(y[row*ldy+p.Weight.Rows:][:out-p.Weight.Rows])
		}
	}
	for i := 0; i < len(parts); {
		same, end := true, i+1
		for ; end < len(parts) && parts[end].Weight.sameValues(parts[i].Weight); end++ {
			if !starts[end].equal(starts[i]) {
				if few {
					break
				}
				same = false
			}
		}
		q.shared(y, ldy, x, parts[i:end], starts[i:end], same, few)
		i = end
	}
	for i, p := range parts {
		s := starts[i]
		if p.Rows > 0 {
			q.correct(p, y[s.row*ldy:], ldy, x[s.row*q.in:], s, few)
		}
		if s.made {
			t.free(s.bias)
		}
	}
}

// partStart is where a part begins.
type partStart struct {
	row  int
	bias []float32 // nil: none
	made bool      // bias is the part's own
	late bool      // bias follows the last magnitude
}

// first returns what the rows start from.
func (s partStart) first() []float32 {
	if s.late {
		return nil
	}
	return s.bias
}

// equal reports whether the rows of s and o start from the same values.
func (s partStart) equal(o partStart) bool {
	a, b := s.first(), o.first()
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// shared computes the product of consecutive parts with the same stored weights; same says that they start from the
// same values.
func (q *product) shared(y []float32, ldy int, x []float32, parts []Part, starts []partStart, same, few bool) {
	lo, rows := starts[0].row, 0
	for _, p := range parts {
		rows += p.Rows
	}
	if rows == 0 {
		return
	}
	w := parts[0].Weight
	y, x = y[lo*ldy:], x[lo*q.in:]
	if few {
		q.t.pool.MatVec(y, ldy, x, q.in, rows, w.mat(), w.Rows, q.in, starts[0].first())
		return
	}
	e := kernel.Epilogue{Bias: starts[0].first()}
	if !same {
		e = kernel.Epilogue{Accumulate: true}
		for i, p := range parts {
			for row := starts[i].row - lo; row < starts[i].row-lo+p.Rows; row++ {
				if to := y[row*ldy:][:w.Rows]; starts[i].first() != nil {
					copy(to, starts[i].first())
				} else {
					clear(to)
				}
			}
		}
	}
	terms := []kernel.Term{{A: matrix(x, q.in), B: w.transposed(), K: q.in, BF16: q.t.bf16(w)}}
	q.t.pool.MatMul(y, ldy, rows, w.Rows, terms, e)
}

// correct adds the corrections of a part to its rows y, one after the other, and the rows of its weight that train. A
// correction with a magnitude scales what the rows are up to then, as in PEFT.
func (q *product) correct(p Part, y []float32, ldy int, x []float32, s partStart, few bool) {
	t, out := q.t, p.Weight.Rows
	for c := p.Adapt; c != nil; c = c.And {
		if few {
			c.few(t, y, ldy, x, p.Rows, q.in, out)
		} else {
			u := c.down(t, x, p.Rows, q.in)
			t.pool.MatMul(y, ldy, p.Rows, out, []kernel.Term{c.up(u)}, kernel.Epilogue{Accumulate: true})
			t.free(u)
		}
		if c.Magnitude == nil {
			continue
		}
		m, bias := c.magnify(t, p.Weight, false, p.Rows, false), s.bias
		if c.And.magnified() {
			bias = nil
		}
		m.forward(t, y, ldy, y, ldy, p.Rows, bias, false)
		t.free(m.gain)
	}
	part := product{Projection: Projection{Weight: p.Weight}, t: t, rows: p.Rows, in: q.in}
	if some := part.rowsPart(); some != nil {
		some.add(&part, y, ldy, x, few)
		t.free(some.diff)
	}
}

// Below returns the tensors xs (each with C columns, or fewer) one below the other, ΣN×C. Behind the columns of a
// narrower one there are zeros. One tensor is returned as it is. Below panics on a tape that records.
func Below(t *Tape, xs ...mat.Tensor) mat.Tensor {
	if len(xs) == 1 {
		return xs[0]
	}
	mustBe(!t.record, "Below on a tape that records")
	rows, cols := 0, 0
	for _, x := range xs {
		n, c := Size(x)
		rows, cols = rows+n, max(cols, c)
	}
	y := t.tensor(rows, cols)
	to := y.data
	for _, x := range xs {
		n, c := Size(x)
		for i := range n {
			copy(to, Values(x)[i*c:(i+1)*c])
			clear(to[c:cols])
			to = to[cols:]
		}
	}
	t.made = append(t.made, y)
	return y
}
