package op

import (
	"fmt"
	"unsafe"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Tape runs functions and records those that a gradient can reach, in the order in which they ran. It is not safe for
// concurrent use: each goroutine needs its own tape; tapes may share a pool.
type Tape struct {
	pool   *kernel.Pool
	arena  *kernel.Arena // nil: everything on the Go heap
	record bool
	nodes  []entry
	made   []*Tensor   // values that the caller may still use
	loans  [][]float32 // lent by Floats and Ints

	few     bool       // set by FewRows
	probe   bool       // the tape does not record, but looks for an operand that needs a gradient
	touched mat.Tensor // the first such operand
}

type entry struct {
	op *ag.Operator
	fn function
}

// function is an operator of this package: spago's interface, and the bookkeeping that every operator embeds.
type function interface {
	ag.AutoGradFunction
	base() *node
}

// NewTape returns a recording tape with its own arena. With a nil pool everything runs on the calling goroutine. The
// caller must Close the tape.
func NewTape(pool *kernel.Pool) *Tape {
	return &Tape{pool: pool, arena: &kernel.Arena{}, record: true}
}

// NewEvalTape returns a tape with its own arena that does not record: values go back to the arena when the scope that
// made them closes. With a nil pool everything runs on the calling goroutine. The caller must Close the tape.
func NewEvalTape(pool *kernel.Pool) *Tape {
	return &Tape{pool: pool, arena: &kernel.Arena{}}
}

// NewHeapTape returns a recording tape without an arena, whose values stay on the Go heap. It reuses no buffer, so
// spago's ag.Backward may also walk its operators. With a nil pool everything runs on the calling goroutine.
func NewHeapTape(pool *kernel.Pool) *Tape { return &Tape{pool: pool, record: true} }

// NewSizingTape returns a tape that computes nothing but allocates as a tape with the given number of workers does, a
// recording one if record: values and gradients have undefined contents, mostly zeros, and [Tape.Memory] and
// [Tape.Footprint] tell how much memory a pass with the same shapes takes. The memory is reserved, and hardly any of it
// used. A Backward gives every parameter a gradient of undefined contents. The caller must Close the tape.
//
// It serves functions that compute in tasks of the tape's pool and whose shapes do not depend on values, as all of
// this package do. Layers of other libraries run on what the buffers hold.
func NewSizingTape(workers int, record bool) *Tape {
	return &Tape{pool: kernel.NewSkippingPool(workers), arena: kernel.NewLazyArena(), record: record}
}

// FewRows sets whether [Affine] expects few rows in the following calls, as in generation token by token. It then reads
// each weight once and multiplies it with one row after the other, which is several times faster for one row and slower
// for more than about eight. In both modes the bits of a row depend neither on the other rows nor on their number, but
// the modes sum in different orders and so differ in rounding. The caller chooses the mode so that the result of a
// sequence does not depend on the number of sequences. FewRows has no effect on a tape that records.
func (t *Tape) FewRows(yes bool) { t.few = yes }

// Pool returns the pool whose workers the operators of the tape use.
func (t *Tape) Pool() *kernel.Pool { return t.pool }

// Recording reports whether the tape records, so that Backward can compute gradients.
func (t *Tape) Recording() bool { return t.record }

// Memory returns the number of bytes of the arena in use now, and the largest number so far. Without an arena both are
// 0.
func (t *Tape) Memory() (now, peak int) {
	if t.arena == nil {
		return 0, 0
	}
	return t.arena.InUse()
}

// Footprint returns the number of bytes that the arena has taken from the system, if all buffers it ever lent have been
// written to: the peak of Memory, and the gaps between buffers. Without an arena it is 0.
func (t *Tape) Footprint() int {
	if t.arena == nil {
		return 0
	}
	return t.arena.Footprint()
}

// Close returns the arena's memory to the system. The tape and its tensors must not be used afterwards.
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

// Ints returns n int32 values with undefined contents. They belong to the tape and are valid until Reset.
func (t *Tape) Ints(n int) []int32 {
	if n == 0 {
		return nil
	}
	b := t.Floats(n)
	return unsafe.Slice((*int32)(unsafe.Pointer(&b[0])), n)
}

// Floats returns n float32 values with undefined contents. They belong to the tape and are valid until Reset.
func (t *Tape) Floats(n int) []float32 {
	b := t.alloc(n)
	t.loans = append(t.loans, b)
	return b
}

// tensor returns a result with undefined contents for a function's Forward.
func (t *Tape) tensor(rows, cols int) *Tensor {
	return newTensor(t, t.alloc(rows*cols), rows, cols, 1)
}

// newTensor returns a tensor of t over data with the given number of references.
func newTensor(t *Tape, data []float32, rows, cols, refs int) *Tensor {
	return &Tensor{Dense: dense(data, rows, cols), tape: t, rows: rows, cols: cols, data: data, refs: refs}
}

// run executes f and records it if the tape records and a gradient can reach one of its operands.
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

// Scope opens a block of calls and returns its number for Leave.
func (t *Tape) Scope() int { return len(t.made) }

// Leave closes the block that Scope opened. The caller must not use the values made since then, except those in keep,
// which now belong to the enclosing block. The others go back to the arena now, or when the backward of the last
// operator that reads them is done.
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

// Release ends the use of x by the caller, as Leave does for the values of a block: x goes back to the arena now, or
// when the backward of the last operator that reads it is done. It does nothing if this tape did not make x or the use
// has ended before.
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

// Backward adds the gradient of loss (1×1) to that of every parameter that loss depends on. It runs the backwards of
// the recorded operators in reverse order and gives the values that they kept back to the arena, also those of
// operators that loss does not depend on. So a tape allows one Backward between two Resets; sum several losses before.
// It returns an error if loss is not a 1×1 value of this tape, does not depend on a trainable parameter, or its
// operators are spent.
func (t *Tape) Backward(loss mat.Tensor) error {
	v := value(loss)
	switch {
	case v == nil || v.tape != t:
		return fmt.Errorf("op: Backward of a value that this tape did not make")
	case v.rows*v.cols != 1:
		return fmt.Errorf("op: Backward of a %d×%d value; want 1×1", v.rows, v.cols)
	case !loss.RequiresGrad():
		return fmt.Errorf("op: Backward of a loss that depends on no trainable parameter")
	case !t.recorded(v):
		return fmt.Errorf("op: Backward of a loss whose operators are spent by an earlier Backward or Reset")
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
		t.nodes = t.nodes[:i] // so that Reset finds no empty entry after a failure
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

// Reset gives all values, gradients and loans of the tape back to the arena and forgets the recorded operators. Tensors
// and slices of earlier calls become invalid; gradients of parameters stay.
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
