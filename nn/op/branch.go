package op

import "github.com/nlpodyssey/spago/mat"

// Branch returns x (N×C) for one of several parts of a model that read it, as each block of a decoder reads the rows
// of the encoder. The values are those of x itself, not a copy. What the part adds to the gradient is summed by itself
// before it is added to that of x, as [Tape.Checkpoint] does, so that both give the same bits. A part that reads x more
// than once calls Branch once. On a tape that does not record, or if x needs no gradient, Branch returns x.
func Branch(t *Tape, x mat.Tensor) mat.Tensor {
	if !t.record || !x.RequiresGrad() {
		return x
	}
	return t.run(&branch{node: node{inputs: []mat.Tensor{x}}, x: x})
}

type branch struct {
	node
	x mat.Tensor
}

// Forward returns a tensor without values of its own. Those of x stay until the backward.
func (f *branch) Forward() (mat.Tensor, error) {
	rows, cols := Size(f.x)
	f.hold(f.x)
	y := &Tensor{Dense: dense(Values(f.x), rows, cols), tape: f.t, rows: rows, cols: cols, of: f.x, refs: 1}
	return y, nil
}

// Backward: dX = dY.
func (f *branch) Backward(gy mat.Tensor) error {
	f.into(f.x, func(dst []float32, add bool) { f.t.accumulate(dst, Values(gy), add) })
	return nil
}
