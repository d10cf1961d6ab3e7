package op

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"
)

// Checkpoint returns block(t, xs) and keeps only the result and xs: the backward runs the block again (Chen et al.
// 2016, arXiv:1604.06174). block must use the tape and the operands that it gets, must make its result, and must depend
// only on xs, on parameters, and on values that do not change until the backward. xs must be different tensors. Values
// and gradients then have the same bits as without Checkpoint. On a tape that does not record or has no arena,
// Checkpoint just calls block.
//
// A value of t that block reads and that is not in xs gets no gradient: list what other blocks made, such as the rows
// of an encoder.
func (t *Tape) Checkpoint(xs []mat.Tensor, block func(t *Tape, xs []mat.Tensor) mat.Tensor) mat.Tensor {
	if !t.record || t.arena == nil {
		return block(t, xs)
	}
	inner := &Tape{pool: t.pool, arena: t.arena, probe: true}
	xs = slices.Clone(xs)
	f := &checkpoint{xs: xs, block: block, inner: inner, y: value(block(inner, xs))}
	mustBe(f.y.tape == inner, "Checkpoint of a block that returns a tensor that it did not make")
	f.inputs = xs
	if inner.touched != nil && !contains(xs, inner.touched) {
		f.inputs = append(slices.Clone(xs), inner.touched) // marks the result as one that needs a gradient
	}
	return t.run(f)
}

type checkpoint struct {
	node
	xs    []mat.Tensor
	block func(t *Tape, xs []mat.Tensor) mat.Tensor
	inner *Tape   // of the first run
	y     *Tensor // its result
}

// Forward takes over the result from the tape that the block ran on.
func (f *checkpoint) Forward() (mat.Tensor, error) {
	y := newTensor(f.t, f.y.data, f.y.rows, f.y.cols, 1)
	f.y.data = nil
	f.inner.Reset()
	f.inner, f.y = nil, nil
	for _, x := range f.xs {
		f.hold(x)
	}
	return y, nil
}

// Backward runs the block again on a recording tape and walks that tape.
func (f *checkpoint) Backward(gy mat.Tensor) error {
	t := f.t
	inner := &Tape{pool: t.pool, arena: t.arena, record: true}
	defer inner.Reset()
	leaves, xs := make([]*Tensor, len(f.xs)), make([]mat.Tensor, len(f.xs))
	for i, x := range f.xs {
		rows, cols := Size(x)
		leaves[i] = newTensor(inner, Values(x), rows, cols, borrowed)
		leaves[i].SetRequiresGrad(x.RequiresGrad())
		xs[i] = leaves[i]
	}
	y := value(f.block(inner, xs))
	if y == nil || !inner.recorded(y) {
		return fmt.Errorf("op: Checkpoint: the second run of the block recorded no result, unlike the first; " +
			"let the block depend on its operands only")
	}
	dst, _ := y.target()
	t.accumulate(dst, Values(gy), false)
	if err := inner.walk(); err != nil {
		return err
	}
	for i, leaf := range leaves {
		if leaf.hasGrad {
			f.into(f.xs[i], func(dst []float32, add bool) { t.accumulate(dst, leaf.grad, add) })
			leaf.ZeroGrad()
		}
	}
	return nil
}

// borrowed is a reference count for values that belong to another tensor: it never reaches 0.
const borrowed = 1 << 40
