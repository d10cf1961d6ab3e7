package op

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Checkpoint runs block on x and keeps nothing of what it made but its result: the backward runs the block again (Chen et al. 2016,
// arXiv:1604.06174). block gets the tape to run on and must depend on x and on what does not change until the backward only; then values
// and gradients have the same bits as without Checkpoint. On a tape that does not record, or has no arena, block simply runs.
func (t *Tape) Checkpoint(x mat.Tensor, block func(t *Tape, x mat.Tensor) mat.Tensor) mat.Tensor {
	if !t.record || t.arena == nil {
		return block(t, x)
	}
	inner := &Tape{pool: t.pool, arena: t.arena, probe: true}
	f := &checkpoint{x: x, block: block, inner: inner, y: value(block(inner, x))}
	mustBe(f.y.tape == inner, "Checkpoint of a block that returns what it did not make")
	f.inputs = []mat.Tensor{x}
	if inner.touched != nil && inner.touched != x {
		f.inputs = append(f.inputs, inner.touched) // so that the result is known to have a gradient
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

// Forward takes the result over from the tape that the block ran on.
func (f *checkpoint) Forward() (mat.Tensor, error) {
	y := &Tensor{Dense: dense(f.y.data, f.y.rows, f.y.cols), tape: f.t, rows: f.y.rows, cols: f.y.cols, data: f.y.data, refs: 1}
	f.y.data = nil
	f.inner.Reset()
	f.inner, f.y = nil, nil
	f.hold(f.x)
	return y, nil
}

// Backward runs the block again, recording this time, and walks it.
func (f *checkpoint) Backward(gy mat.Tensor) error {
	t := f.t
	inner := &Tape{pool: t.pool, arena: t.arena, record: true}
	defer inner.Reset()
	rows, cols := Size(f.x)
	x := Values(f.x)
	leaf := &Tensor{Dense: dense(x, rows, cols), tape: inner, rows: rows, cols: cols, data: x, refs: borrowed}
	leaf.SetRequiresGrad(f.x.RequiresGrad())
	y := value(f.block(inner, leaf))
	if y == nil || !inner.recorded(y) {
		return fmt.Errorf("op: the block ran differently the second time")
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

// borrowed is a number of claims on values that are another tensor's: more than will ever be given up.
const borrowed = 1 << 40
