package op

import (
	"fmt"
	"unsafe"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Tape runs functions and remembers those whose gradient will be wanted, in the order they ran. It belongs to one call
// at a time: nothing of it is safe for concurrent use, and different goroutines use different tapes over one pool.
type Tape struct {
	pool   *kernel.Pool
	arena  *kernel.Arena // nil: everything on the Go heap
	record bool
	nodes  []entry
	made   []*Tensor // values whose scope is still open
	loans  [][]float32

	few     bool       // FewRows
	probe   bool       // the tape does not record, but looks for something that a gradient would reach
	touched mat.Tensor // the first operand of that kind
}

type entry struct {
	op *ag.Operator
	fn function
}

// function is an operator of this package: spago's contract and the bookkeeping that every one embeds.
type function interface {
	ag.AutoGradFunction
	base() *node
}

// NewTape returns a tape that records, with an arena of its own. A nil pool runs everything on the caller.
func NewTape(pool *kernel.Pool) *Tape {
	return &Tape{pool: pool, arena: &kernel.Arena{}, record: true}
}

// NewEvalTape returns a tape that does not record: values go back to the arena when the scope that made them closes.
func NewEvalTape(pool *kernel.Pool) *Tape {
	return &Tape{pool: pool, arena: &kernel.Arena{}}
}

// NewHeapTape returns a recording tape without an arena. Nothing is reused, so its operators may also be walked by
// spago's ag.Backward.
func NewHeapTape(pool *kernel.Pool) *Tape { return &Tape{pool: pool, record: true} }

// FewRows says whether the calls from here on have few rows, as generating token by token does. Then maps read each weight once and
// multiply it with row after row, which is several times faster for one row and slower beyond about eight. The bits of a row depend neither on
// the others nor on their number, whichever way; but the two ways add up in another order, so they differ in rounding. The caller
// chooses, so that what a sequence gets does not hang on how many there happen to be. It has no effect on a tape that records.
func (t *Tape) FewRows(yes bool) { t.few = yes }

// Pool returns the workers that operators of this tape use.
func (t *Tape) Pool() *kernel.Pool { return t.pool }

// Recording reports whether gradients can be asked of this tape.
func (t *Tape) Recording() bool { return t.record }

// Memory returns the bytes of the arena in use now and at most so far.
func (t *Tape) Memory() (now, peak int) {
	if t.arena == nil {
		return 0, 0
	}
	return t.arena.InUse()
}

// Close gives the arena's memory back to the system. The tape must not be used afterwards.
func (t *Tape) Close() error {
	if t.arena == nil {
		return nil
	}
	t.Reset()
	return t.arena.Close()
}

func (t *Tape) alloc(n int) []float32 {
	if t.arena == nil {
		return make([]float32, n)
	}
	return t.arena.Alloc(n)
}

func (t *Tape) free(b []float32) {
	if t.arena != nil {
		t.arena.Free(b)
	}
}

// Ints lends n int32 values with undefined contents until Reset.
func (t *Tape) Ints(n int) []int32 {
	if n == 0 {
		return nil
	}
	b := t.Floats(n)
	return unsafe.Slice((*int32)(unsafe.Pointer(&b[0])), n)
}

// Floats lends n values with undefined contents until Reset.
func (t *Tape) Floats(n int) []float32 {
	b := t.alloc(n)
	t.loans = append(t.loans, b)
	return b
}

// tensor makes an empty result for a function's Forward.
func (t *Tape) tensor(rows, cols int) *Tensor {
	b := t.alloc(rows * cols)
	return &Tensor{Dense: dense(b, rows, cols), tape: t, rows: rows, cols: cols, data: b, refs: 1}
}

// run executes f and records it if a gradient can reach one of its operands.
func (t *Tape) run(f function) mat.Tensor {
	n := f.base()
	n.t = t
	if t.record || t.probe && t.touched == nil {
		for _, x := range n.inputs {
			if x.RequiresGrad() {
				n.keep, t.touched = t.record, x
				break
			}
		}
	}
	o := ag.NewOperator(f).Run()
	out := o.Value().(*Tensor)
	t.made = append(t.made, out)
	if !n.keep {
		return out
	}
	o.RequiresGrad()
	t.nodes = append(t.nodes, entry{o, f})
	return o
}

// Scope opens a block of calls; hand its result to Leave.
func (t *Tape) Scope() int { return len(t.made) }

// Leave closes the block that Scope opened: the values made since then that are not in keep are no longer used by the
// caller. They go back to the arena now, or when the backward of the last operator that reads them is done. The values
// in keep belong to the enclosing block.
func (t *Tape) Leave(scope int, keep ...mat.Tensor) {
	if t.arena == nil {
		return
	}
	n := scope
	for _, x := range t.made[scope:] {
		if kept(x, keep) {
			t.made[n] = x
			n++
			continue
		}
		x.unref(true)
	}
	clear(t.made[n:])
	t.made = t.made[:n]
}

// Release ends the use of x by the caller, as Leave does for the values of a block: x goes back to the arena now, or when the
// backward of the last operator that reads it is done. It does nothing if this tape did not make x or the use has ended before.
func (t *Tape) Release(x mat.Tensor) {
	v := value(x)
	if t.arena == nil || v == nil || v.tape != t {
		return
	}
	for i := len(t.made) - 1; i >= 0; i-- {
		if t.made[i] == v {
			t.made = append(t.made[:i], t.made[i+1:]...)
			v.unref(true)
			return
		}
	}
}

func kept(x *Tensor, keep []mat.Tensor) bool {
	for _, k := range keep {
		if value(k) == x {
			return true
		}
	}
	return false
}

func value(x mat.Tensor) *Tensor {
	if o, ok := x.(*ag.Operator); ok {
		x = o.Value()
	}
	v, _ := x.(*Tensor)
	return v
}

// Backward adds the gradient of loss (1×1) to every parameter it depends on. Operators run in reverse order of recording;
// what each kept is given back when it is done, also where the loss does not depend on it: one tape takes one Backward
// (add losses up before). A second one, and one without anything that trains, is an error.
func (t *Tape) Backward(loss mat.Tensor) error {
	v := value(loss)
	switch {
	case v == nil || v.tape != t:
		return fmt.Errorf("op: Backward of a value that this tape did not make")
	case v.rows*v.cols != 1:
		return fmt.Errorf("op: Backward of a %d×%d value; want 1×1", v.rows, v.cols)
	case !loss.RequiresGrad():
		return fmt.Errorf("op: Backward of a loss that no trainable parameter reaches")
	case !t.recorded(v):
		return fmt.Errorf("op: Backward of a loss whose operators are spent: Backward or Reset came before")
	}
	dst, _ := v.target()
	dst[0] = 1
	return t.walk()
}

// walk runs the backward of all operators whose results have a gradient, in reverse order.
func (t *Tape) walk() error {
	for i := len(t.nodes) - 1; i >= 0; i-- {
		e := t.nodes[i]
		out := e.op.Value().(*Tensor)
		if out.hasGrad {
			if err := e.fn.Backward(e.op.Grad()); err != nil {
				return fmt.Errorf("op: backward of %T: %w", e.fn, err)
			}
		}
		e.fn.base().spent()
		out.ZeroGrad()
		t.nodes[i] = entry{}
		t.nodes = t.nodes[:i] // so that Reset finds whole entries even after a failure
	}
	return nil
}

// recorded reports whether an operator that made v is still on the tape.
func (t *Tape) recorded(v *Tensor) bool {
	for i := len(t.nodes) - 1; i >= 0; i-- {
		if t.nodes[i].op.Value() == mat.Tensor(v) {
			return true
		}
	}
	return false
}

// Reset gives everything back to the arena. Tensors of earlier calls become invalid.
func (t *Tape) Reset() {
	for i, e := range t.nodes {
		e.fn.base().spent()
		e.op.Value().(*Tensor).ZeroGrad()
		t.nodes[i] = entry{}
	}
	t.nodes = t.nodes[:0]
	for _, x := range t.made {
		x.ZeroGrad()
		x.unref(true)
	}
	clear(t.made)
	t.made = t.made[:0]
	for _, b := range t.loans {
		t.free(b)
	}
	clear(t.loans)
	t.loans = t.loans[:0]
}
