package nn

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// Conv1d is a convolution over the rows of each sequence (torch.nn.Conv1d), computed as a product of its windows.
type Conv1d struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // out×(in·size), [out, in, size] in checkpoints
	Bias   *op.Weight `hf:"bias"`   // out
	Window op.Window  `hf:"-"`
}

// NewConv1d returns a layer with a bias from rows of in columns to rows of out columns whose weights are empty.
func NewConv1d(in, out int, w op.Window) *Conv1d {
	return &Conv1d{Weight: op.NewShaped(out, in*w.Size, out, in, w.Size), Bias: op.NewVector(out), Window: w}
}

// Forward returns a row for each window over the rows of x (N×in), M×out for M windows, and the pass for these rows.
func (c *Conv1d) Forward(p *Pass, x mat.Tensor) (mat.Tensor, *Pass) {
	windows := op.Unfold(p.Tape, x, p.Seqs, c.Window)
	q := p.With(c.Window.Over(p.Seqs))
	y := q.Apart(func(r Run) mat.Tensor {
		return op.Affine(p.Tape, r.Rows(windows), op.Drop{}, op.Projection{
			Weight: r.Weight(c.Weight), Bias: r.Weight(c.Bias),
		})
	}, c.Weight, c.Bias)
	p.Tape.Release(windows)
	return y, q
}

// Describe returns the line that PyTorch prints for the layer.
func (c *Conv1d) Describe() string {
	w, padding := c.Window, ""
	if w.Padding > 0 {
		padding = fmt.Sprintf(", padding=(%d,)", w.Padding)
	}
	return fmt.Sprintf("Conv1d(%d, %d, kernel_size=(%d,), stride=(%d,)%s)", c.Weight.Cols/w.Size, c.Weight.Rows, w.Size,
		w.Stride, padding)
}
