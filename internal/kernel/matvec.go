package kernel

import (
	"fmt"
	"sync"
)

// MatVec multiplies a few rows by a matrix, as generating text does for each token:
//
//	dst = x·Wᵀ (+ bias)
//
// x is m×k with row stride ldx, w presents the n×k matrix W in any type, and dst is m×n with row stride ldd; bias is
// nil or n values. The matrix is read from memory once, for any m; a quantised one is widened in registers or a few
// rows at a time in the first-level cache. Without w.Trans each element is an inner product of two stored rows. With
// w.Trans (in×out, as GPT-2 stores weights) scaled stored rows are added up.
//
// The bits of an element depend only on its row of x and on W, not on m nor on the number of workers. They differ from
// those of MatMul, which adds in another order. dst must not overlap an operand. MatVec panics if a slice is too short;
// it allocates nothing once its buffers have grown to their size.
func (p *Pool) MatVec(dst []float32, ldd int, x []float32, ldx, m int, w Mat, n, k int, bias []float32) {
	if m < 0 || n < 0 || k < 0 || ldd < n || ldx < k ||
		len(dst) < extent(m, n, ldd) || len(x) < extent(m, k, ldx) || bias != nil && len(bias) < n {
		panic(fmt.Sprintf("kernel: MatVec: %d×%d result (row stride %d, %d values, %d of bias) "+
			"of %d columns (row stride %d, %d values)",
			m, n, ldd, len(dst), len(bias), k, ldx, len(x)))
	}
	rows, cols := n, k
	if w.Trans {
		rows, cols = k, n
	}
	if !w.holds(rows, cols) {
		panic(fmt.Sprintf("kernel: MatVec: %d×%d of %v with row stride %d do not fit %d values, %d halves and %d bytes",
			rows, cols, w.Type, w.Stride, len(w.F32), len(w.U16), len(w.Bytes)))
	}
	if m == 0 || n == 0 || p.Skips() {
		return
	}
	c := matvecs.Get().(*matvec)
	c.dst, c.ldd, c.x, c.ldx, c.m, c.w, c.n, c.k, c.bias, c.pool = dst, ldd, x, ldx, m, w, n, k, bias, p
	if tasks := c.divide(p.Workers()); tasks > 1 && p.acquire() {
		c.forAcquired(tasks)
	} else {
		s := scratches.Get().(*scratch)
		c.columns(0, n, s)
		scratches.Put(s)
	}
	body := c.body
	*c = matvec{body: body}
	matvecs.Put(c)
}

// matvec is one call of MatVec, divided into tasks that compute some columns of dst each.
type matvec struct {
	dst    []float32
	ldd    int
	x      []float32
	ldx, m int
	w      Mat
	n, k   int
	bias   []float32
	step   int // columns of a task
	pool   *Pool
	body   func(task, worker int) // run, bound once: binding allocates
}

var matvecs = sync.Pool{New: func() any {
	c := new(matvec)
	c.body = c.run
	return c
}}

const (
	vecWork = 1 << 16 // multiplications: fewer do not repay waking the workers, and a task has at least as many
	vecUnit = 64      // a task has a multiple of this number of columns, or of the block size if that is larger
	vecWide = 6 << 10 // values that are widened at a time: 24 KiB
	vecCols = 3 << 10 // columns that are added up at a time, with Trans
)

// divide chooses the number of columns of a task and returns the number of tasks.
func (c *matvec) divide(workers int) int {
	unit := vecUnit
	if c.w.Trans {
		unit = max(unit, c.w.Type.BlockValues())
	}
	tasks := min(4*workers, max(1, c.n*c.k*c.m/vecWork))
	if workers == 1 {
		tasks = 1
	}
	c.step = roundUp(ceilDiv(c.n, tasks), unit)
	return ceilDiv(c.n, c.step)
}

// forAcquired runs the tasks on a pool that has been acquired.
func (c *matvec) forAcquired(tasks int) {
	defer c.pool.release()
	c.pool.forAcquired(tasks, c.body)
}

func (c *matvec) run(task, worker int) {
	c.columns(task*c.step, min((task+1)*c.step, c.n), &c.pool.scratch[worker])
}

// columns computes columns lo to hi of dst.
func (c *matvec) columns(lo, hi int, s *scratch) {
	if c.w.Trans || c.k == 0 {
		for ; lo < hi; lo += vecCols {
			c.addRows(lo, min(lo+vecCols, hi), s)
		}
		return
	}
	for step := c.rowsAtOnce(); lo < hi; lo += step {
		c.dotRows(lo, min(lo+step, hi), s)
	}
}

// rowsAtOnce returns the number of stored rows that stay in the first-level cache while all rows of x are multiplied by
// them.
func (c *matvec) rowsAtOnce() int { return max(4, vecWide/max(c.k, 1)&^3) }

// dotRows computes columns lo to hi from stored rows lo to hi. For a single row of x it uses inner products that widen
// as they go, if the type has them: a widened row that is read only once is not worth storing. The bits are the same.
func (c *matvec) dotRows(lo, hi int, s *scratch) {
	w, row := &c.w, lo
	done := w.Type.Quantised() && c.m == 1 && dotsQuantised(c.dst[lo:hi], c.x[:c.k], w, lo)
	if w.Type.Quantised() && !done {
		s.wide.widen(w, lo, hi-lo, 0, roundUp(c.k, w.Type.BlockValues()))
		w, row = &s.wide.mat, 0
	}
	for r := range c.m {
		out := c.dst[r*c.ldd+lo : r*c.ldd+hi]
		if !done {
			dots(out, c.x[r*c.ldx:][:c.k], w, row)
		}
		if c.bias != nil {
			add(out, out, c.bias[lo:hi])
		}
	}
}

// addRows computes columns lo to hi as a sum of multiples of stored rows, four at a time, in the order of memory.
func (c *matvec) addRows(lo, hi int, s *scratch) {
	for r := range c.m {
		out := c.dst[r*c.ldd+lo : r*c.ldd+hi]
		if c.bias == nil {
			clear(out)
		} else {
			copy(out, c.bias[lo:hi])
		}
	}
	for j := 0; j < c.k; j += 4 {
		rows := min(4, c.k-j)
		wide, stride := c.storedRows(s, j, rows, lo, hi)
		n := hi - lo
		for r := range c.m {
			out, x := c.dst[r*c.ldd+lo:r*c.ldd+hi], c.x[r*c.ldx+j:][:rows]
			if rows == 4 {
				addScaled4(out, wide[:n], wide[stride:][:n], wide[2*stride:][:n], wide[3*stride:][:n], (*[4]float32)(x))
				continue
			}
			for i, f := range x {
				addScaled(out, wide[i*stride:][:n], f)
			}
		}
	}
}

// storedRows returns columns lo to hi of the given stored rows in float32, and the number of values between the starts
// of rows.
func (c *matvec) storedRows(s *scratch, row, rows, lo, hi int) (values []float32, stride int) {
	w := &c.w
	switch {
	case w.Type == F32:
		return w.F32[row*w.Stride+lo:], w.Stride
	case w.Type.Quantised(): // lo begins a block
		s.wide.widen(w, row, rows, lo, roundUp(hi, w.Type.BlockValues()))
		return s.wide.values, s.wide.mat.Stride
	}
	n := hi - lo
	s.wide.values = grow(s.wide.values, rows*n)
	for i := range rows {
		widen(s.wide.values[i*n:][:n], w.U16[(row+i)*w.Stride+lo:][:n], w.Type)
	}
	return s.wide.values, n
}
