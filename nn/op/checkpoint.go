package op

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Checkpoint returns block(t, x) and keeps only the result: the backward runs the block again (Chen et al. 2016,
// arXiv:1604.06174). block must use the tape that it gets, must make its result, and must depend only on x and on
// values that do not change until the backward. Values and gradients then have the same bits as without Checkpoint. On
// a tape that does not record or has no arena, Checkpoint just calls block.
func (t *Tape) Checkpoint(x mat.Tensor, block func(t *Tape, x mat.Tensor) mat.Tensor) mat.Tensor {
	if !t.record || t.arena == nil {
		return block(t, x)
	}
	inner := &Tape{pool: t.pool, arena: t.arena, probe: true}
	f := &checkpoint{x: x, block: block, inner: inner, y: value(block(inner, x))}
	mustBe(f.y.tape == inner, "Checkpoint of a block that returns a tensor that it did not make")
	f.inputs = []mat.Tensor{x}
	if inner.touched != nil && inner.touched != x {
		f.inputs = append(f.inputs, inner.touched) // marks the result as one that needs a gradient
	}
	return t.run(f)
}

type checkpoint struct {
	node
	x     mat.Tensor
	block func(t *Tape, x mat.Tensor) mat.Tensor
	inner *Tape   // of the first run
	y     *Tensor // its result
}

// Forward takes over the result from the tape that the block ran on.
func (f *checkpoint) Forward() (mat.Tensor, error) {
	y := newTensor(f.t, f.y.data, f.y.rows, f.y.cols, 1)
	f.y.data = nil
	f.inner.Reset()
	f.inner, f.y = nil, nil
	f.hold(f.x)
	return y, nil
}

// Backward runs the block again on a recording tape and walks that tape.
func (f *checkpoint) Backward(gy mat.Tensor) error {
	t := f.t
	inner := &Tape{pool: t.pool, arena: t.arena, record: true}
	defer inner.Reset()
	rows, cols := Size(f.x)
	x := Values(f.x)
	leaf := newTensor(inner, x, rows, cols, borrowed)
	leaf.SetRequiresGrad(f.x.RequiresGrad())
	y := value(f.block(inner, leaf))
	if y == nil || !inner.recorded(y) {
		return fmt.Errorf("op: Checkpoint: the second run of the block recorded no result, unlike the first; " +
			"let the block depend on its operand only")
	}
	dst, _ := y.target()
	copy(dst, Values(gy))
	if err := inner.walk(); err != nil {
		return err
	}
	if leaf.hasGrad {
		f.into(f.x, func(dst []float32, add bool) {
			if add {
				kernel.AddTo(dst, leaf.grad)
			} else {
				copy(dst, leaf.grad)
			}
		})
		leaf.ZeroGrad()
	}
	return nil
}

// borrowed is a reference count for values that belong to another tensor: it never reaches 0.
const borrowed = 1 << 40
