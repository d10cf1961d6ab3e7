package op

import (
	"math"
	"slices"
	"sync/atomic"

	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/kernel"
)

// Magnitude makes a correction DoRA's: the layer's weight becomes
//
//	W′ = m ∘ (W + s·B·A) / n
//
// where m (Param, a value for each output) trains, and n has the norms of W + s·B·A over the inputs: of its rows (of
// the columns of an embedding's table). As in PEFT, n gets no gradient. An output whose weights are all 0 stays 0.
//
// A Magnitude is safe for concurrent use as long as nothing changes its parameters or those of its correction. It must
// not be copied after its first use.
type Magnitude struct {
	Param *spago.Param // 1×out

	last atomic.Pointer[norms] // the norms of the last values of W, A and B
}

// NewMagnitude returns a magnitude whose out values are 0.
func NewMagnitude(out int) *Magnitude {
	return &Magnitude{Param: NewParam(1, out, make([]float32, out))}
}

// norms are the norms of W + s·B·A, and what they were computed from.
type norms struct {
	key    any // of the values of W
	square []float64
	scale  float32
	a, b   []float32
	n      []float32
}

// Norms returns the norms of W + s·B·A over the inputs, one for each output, where W is the frozen or trained weight
// w, a table of an embedding if table. The caller owns the slice.
func (c *Correction) Norms(pool *Pool, w *Weight, table bool) []float32 {
	from, to := w.Cols, w.Rows
	if table {
		from, to = to, from
	}
	c.mustFit(from, to)
	return c.compute(pool, w, table, nil).n
}

// norms returns the norms as Norms does, from the last call if nothing has changed since: comparing A and B costs less
// than multiplying by them, and generating would otherwise read W twice for each token. The caller must not change the
// slice.
func (c *Correction) norms(pool *Pool, w *Weight, table bool) []float32 {
	if pool.Skips() {
		out, _ := Size(c.B)
		return make([]float32, out)
	}
	last := c.Magnitude.last.Load()
	key := w.values()
	if last != nil && (key == nil || last.key != key) {
		last = nil
	}
	if last != nil && last.scale == c.Scale && slices.Equal(last.a, Values(c.A)) && slices.Equal(last.b, Values(c.B)) {
		return last.n
	}
	now := c.compute(pool, w, table, last)
	if key != nil {
		now.key, now.scale, now.a, now.b = key, c.Scale, slices.Clone(Values(c.A)), slices.Clone(Values(c.B))
		c.Magnitude.last.Store(now)
	}
	return now.n
}

// cancelled is the share of a bound of the summed terms below which compute does not trust float32 products: the
// terms then cancel, and their rounding errors do not.
const cancelled = 0.01

// compute returns the norms n by
//
//	n² = ‖W‖² + 2s·⟨B·A, W⟩ + s²·B·(A·Aᵀ)·Bᵀ, for each output
//
// so that only the skinny product of A and W reads the whole weight. ‖W‖² is that of last unless last is nil.
// Outputs whose terms cancel are computed from their elements.
func (c *Correction) compute(pool *Pool, w *Weight, table bool, last *norms) *norms {
	out, r := Size(c.B)
	_, in := Size(c.A)
	now := &norms{n: make([]float32, out)}
	if last != nil {
		now.square = last.square
	} else {
		now.square = w.squares(pool, table, nil, nil)
	}
	a, b := Values(c.A), Values(c.B)
	across := kernel.Term{A: matrix(a, in), B: w.transposed(), K: in}
	if table {
		across.B = w.mat()
	}
	aw, aa, baa := make([]float32, r*out), make([]float32, r*r), make([]float32, out*r)
	pool.MatMul(aw, out, r, out, []kernel.Term{across}, kernel.Epilogue{})
	pool.MatMul(aa, r, r, r, []kernel.Term{{A: matrix(a, in), B: transposed(a, in), K: in}}, kernel.Epilogue{})
	pool.MatMul(baa, r, out, r, []kernel.Term{{A: matrix(b, r), B: matrix(aa, r), K: r}}, kernel.Epilogue{})
	s := float64(c.Scale)
	var direct []int
	for j := range out {
		var cross, own, crossSizes, sizes float64
		for k := range r {
			x, y := float64(b[j*r+k]), float64(aw[k*out+j])
			cross += x * y
			crossSizes += math.Abs(x * y)
			own += x * float64(baa[j*r+k])
			sizes += math.Abs(x) * math.Sqrt(float64(aa[k*r+k]))
		}
		n2 := now.square[j] + 2*s*cross + s*s*own
		bound := now.square[j] + 2*math.Abs(s)*crossSizes + s*s*sizes*sizes
		if n2 < cancelled*bound {
			direct = append(direct, j)
			continue
		}
		now.n[j] = float32(math.Sqrt(n2))
	}
	if len(direct) == 0 {
		return now
	}
	n2 := w.squares(pool, table, direct, func(j, i int) float64 {
		sum := 0.0
		for k := range r {
			sum += float64(b[j*r+k]) * float64(a[k*in+i])
		}
		return s * sum
	})
	for _, j := range direct {
		now.n[j] = float32(math.Sqrt(n2[j]))
	}
	return now
}

// values returns a comparable value that identifies the values of a frozen weight, and nil for a weight that trains.
func (w *Weight) values() any {
	switch {
	case w.Param != nil:
		return nil
	case len(w.f32) > 0:
		return &w.f32[0]
	case len(w.u16) > 0:
		return &w.u16[0]
	case len(w.blocks) > 0:
		return &w.blocks[0]
	}
	return nil
}

// squares returns, for each of the given outputs of the weight (nil: all), the sum over the inputs of the squared
// elements, to each of which it adds add(output, input) (nil: nothing). The outputs are the columns of the weight if
// table. The order of summation does not depend on the pool.
func (w *Weight) squares(pool *Pool, table bool, outputs []int, add func(j, i int) float64) []float64 {
	cols := w.storedCols()
	rows := w.Len() / max(cols, 1)
	if columns := table || w.InOut != w.turned; columns {
		return w.columnSquares(pool, rows, cols, outputs, add)
	}
	sums := make([]float64, rows)
	each := rowsPerTask(cols)
	if outputs == nil {
		pool.For((rows+each-1)/each, func(task, _ int) {
			row := make([]float32, cols)
			for j := task * each; j < min(rows, (task+1)*each); j++ {
				w.widen(row, j*cols)
				sums[j] = kernel.SumSquares(row)
			}
		})
		return sums
	}
	pool.For(len(outputs), func(task, _ int) {
		j, row := outputs[task], make([]float32, cols)
		w.widen(row, j*cols)
		for i, v := range row {
			x := float64(v) + add(j, i)
			sums[j] += x * x
		}
	})
	return sums
}

// columnSquares is squares for a weight whose stored columns belong to the outputs.
func (w *Weight) columnSquares(pool *Pool, rows, cols int, outputs []int, add func(j, i int) float64) []float64 {
	const parts = 64
	each := (rows + parts - 1) / parts
	partial := make([][]float64, parts)
	pool.For(parts, func(task, _ int) {
		sums, row := make([]float64, cols), make([]float32, cols)
		for i := task * each; i < min(rows, (task+1)*each); i++ {
			w.widen(row, i*cols)
			if outputs == nil {
				for j, v := range row {
					sums[j] += float64(v) * float64(v)
				}
				continue
			}
			for _, j := range outputs {
				x := float64(row[j]) + add(j, i)
				sums[j] += x * x
			}
		}
		partial[task] = sums
	})
	total := make([]float64, cols)
	for _, sums := range partial {
		for j, v := range sums {
			total[j] += v
		}
	}
	return total
}

// gains sets dst to m/n for each output, 0 where n is 0, and returns n.
func (c *Correction) gains(pool *Pool, dst []float32, w *Weight, table bool) (n []float32) {
	n = c.norms(pool, w, table)
	for j, m := range Values(c.Magnitude.Param) {
		if dst[j] = 0; n[j] != 0 {
			dst[j] = m / n[j]
		}
	}
	return n
}

// magnified is one use of a magnitude: y = gain ∘ z on rows, z = x·(W + s·B·A)ᵀ.
type magnified struct {
	gain []float32 // m/n
	n    []float32 // belongs to the magnitude
	z    []float32 // rows×out, with row stride out; nil if no backward will need it
}

// magnify returns the use of c's magnitude on rows of out values. Its buffers are the caller's to free.
func (c *Correction) magnify(t *Tape, w *Weight, table bool, rows int, keep bool) *magnified {
	out, _ := Size(c.B)
	f := &magnified{gain: t.alloc(out)}
	f.n = c.gains(t.pool, f.gain, w, table)
	if keep {
		f.z = t.alloc(rows * out)
	}
	return f
}

// bufs returns the buffers of f.
func (f *magnified) bufs() [][]float32 {
	if f.z == nil {
		return [][]float32{f.gain}
	}
	return [][]float32{f.gain, f.z}
}

// forward sets y (rows×out with row stride ldy) to gain ∘ z + bias, or adds gain ∘ z to y. z has row stride ldz
// and may be y itself. bias may be nil.
func (f *magnified) forward(t *Tape, y []float32, ldy int, z []float32, ldz, rows int, bias []float32, add bool) {
	out := len(f.gain)
	t.eachRows(rows, out, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			to, from := y[i*ldy:][:out], z[i*ldz:][:out]
			switch {
			case add:
				for j, g := range f.gain {
					to[j] += g * from[j]
				}
			case bias == nil:
				for j, g := range f.gain {
					to[j] = g * from[j]
				}
			default:
				for j, g := range f.gain {
					to[j] = g*from[j] + bias[j]
				}
			}
		}
	})
}

// backward gives the magnitude p its gradient, Σ dY∘z/n over the rows, and turns z into its own gradient, gain ∘
// dY. dy has row stride ldd. The sums do not depend on the number of workers: a task has all rows of some columns.
func (f *magnified) backward(t *Tape, p *spago.Param, dy []float32, ldd, rows int, give recipient) {
	const width = 64
	out := len(f.gain)
	dm := t.alloc(out)
	t.pool.For((out+width-1)/width, func(task, _ int) {
		lo, hi := task*width, min(out, (task+1)*width)
		var sums [width]float64
		for i := range rows {
			d, z, gain := dy[i*ldd+lo:][:hi-lo], f.z[i*out+lo:][:hi-lo], f.gain[lo:hi]
			for j, v := range d {
				sums[j] += float64(v) * float64(z[j])
				z[j] = gain[j] * v
			}
		}
		for j := lo; j < hi; j++ {
			if dm[j] = 0; f.n[j] != 0 {
				dm[j] = float32(sums[j-lo] / float64(f.n[j]))
			}
		}
	})
	give(p, func(dst []float32, add bool) { t.accumulate(dst, dm, add) })
	t.free(dm)
}
