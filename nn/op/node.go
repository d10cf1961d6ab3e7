package op

import (
	"fmt"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
)

// node is the bookkeeping of a function: its operands and the values that it keeps for its backward.
type node struct {
	t      *Tape
	inputs []mat.Tensor
	keep   bool // the function is recorded: its backward may run
	held   []*Tensor
	bufs   [][]float32
}

func (n *node) base() *node { return n }

// Operands returns the tensors that the function depends on, as spago's ag requires.
func (n *node) Operands() []mat.Tensor { return n.inputs }

// hold keeps the values of an operand until the backward is done. Those of parameters and leaves stay in any case.
func (n *node) hold(x mat.Tensor) {
	if v := value(x); n.keep && v != nil && v.tape != nil {
		v.refs++
		n.held = append(n.held, v)
	}
}

// buffer returns a buffer that lives until the backward is done. It is only for functions whose keep is set.
func (n *node) buffer(size int) []float32 {
	b := n.t.alloc(size)
	n.bufs = append(n.bufs, b)
	return b
}

// spent gives the values and buffers that the function kept back to the arena.
func (n *node) spent() {
	if n.t.arena == nil {
		return
	}
	for _, v := range n.held {
		v.unref(false)
	}
	for _, b := range n.bufs {
		n.t.free(b)
	}
	n.held, n.bufs = nil, nil
}

// into adds a gradient to that of the operand x, if x needs one. write gets the buffer and whether to add to it; if add
// is false, write must set every element.
func (n *node) into(x mat.Tensor, write func(dst []float32, add bool)) {
	if dst, add := n.open(x); dst != nil {
		write(dst, add)
		n.shut(x, dst)
	}
}

// whole is into for a set that overwrites dst: if x has a gradient already, whole adds the new one from a temporary
// buffer.
func (n *node) whole(x mat.Tensor, set func(dst []float32)) {
	n.into(x, func(dst []float32, add bool) {
		if !add {
			set(dst)
			return
		}
		d := n.t.alloc(len(dst))
		set(d)
		n.t.accumulate(dst, d, true)
		n.t.free(d)
	})
}

// open is the first of into's two steps, for functions that write several gradients at once: it returns the buffer of
// x's gradient and whether to add to it, or nil if x needs no gradient. shut is the second.
func (n *node) open(x mat.Tensor) (dst []float32, add bool) {
	if !x.RequiresGrad() {
		return nil, false
	}
	if v := tensorOf(x); v != nil && n.t.arena != nil {
		return v.target()
	}
	rows, cols := Size(x)
	return make([]float32, rows*cols), false
}

// shut passes dst, from open, to x if it is not x's own buffer. On heap tapes each operand gets its gradient in one
// call, as spago's ag.Backward requires.
func (n *node) shut(x mat.Tensor, dst []float32) {
	if dst == nil || tensorOf(x) != nil && n.t.arena != nil {
		return
	}
	rows, cols := Size(x)
	x.AccGrad(dense(dst, rows, cols))
}

// tensorOf returns the Tensor behind an operator or a parameter, or nil.
func tensorOf(x mat.Tensor) *Tensor {
	switch v := x.(type) {
	case *Tensor:
		return v
	case *ag.Operator:
		return value(v)
	case *spago.Param:
		t, _ := v.Matrix.(*Tensor)
		return t
	}
	return nil
}

// take moves the buffer of the result's gradient gy to the operand x, whose gradient it then is, and returns it for the
// caller to change in place. If x has a gradient already or the buffer cannot move, take does nothing and returns
// false.
func (n *node) take(x mat.Tensor, gy mat.Tensor, out *Tensor) (dst []float32, ok bool) {
	v := value(x)
	if n.t.arena == nil || v == nil || v.tape != n.t || v.hasGrad || !x.RequiresGrad() {
		return nil, false
	}
	if !out.hasGrad || len(out.grad) != v.rows*v.cols {
		return nil, false
	}
	v.grad, v.hasGrad = out.grad, true
	out.grad, out.hasGrad = nil, false
	return v.grad, true
}

// rowsPerTask returns the number of rows that one task of a row-wise operator handles. It depends on the width only,
// not on the number of workers, so that sums over rows always have the same order.
func rowsPerTask(cols int) int { return max(1, 16384/max(cols, 1)) }

// eachRows runs f over ranges of rows on the pool.
func (t *Tape) eachRows(rows, cols int, f func(lo, hi int)) {
	step := rowsPerTask(cols)
	t.pool.For((rows+step-1)/step, func(task, _ int) {
		f(task*step, min(rows, (task+1)*step))
	})
}

// eachElements runs f over ranges of a flat slice of n elements.
func (t *Tape) eachElements(n int, f func(lo, hi int)) {
	const step = 16384
	t.pool.For((n+step-1)/step, func(task, _ int) {
		f(task*step, min(n, (task+1)*step))
	})
}

func mustBe(ok bool, format string, args ...any) {
	if !ok {
		panic("op: " + fmt.Sprintf(format, args...))
	}
}
