package nn

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// Conv2d is a convolution whose windows do not overlap (torch.nn.Conv2d with a stride equal to its kernel size): a
// product of patches, N×(in·height·width), with the weight. Adapters do not act on it; modules_to_save may name it.
type Conv2d struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // out×(in·height·width), in checkpoints [out, in, height, width]
	Bias   *op.Weight `hf:"bias"`   // out
}

// NewConv2d returns a convolution of patches of height×width pixels of in channels whose weights are empty.
func NewConv2d(in, out, height, width int) *Conv2d {
	return &Conv2d{
		Weight: op.NewShaped(out, in*height*width, out, in, height, width), Bias: op.NewVector(out),
	}
}

// Forward returns N×out for N patches x, N×(in·height·width), each with its values channel by channel, row by row.
func (c *Conv2d) Forward(p *Pass, x mat.Tensor) mat.Tensor {
	return p.Apart(func(r Run) mat.Tensor {
		w := op.Projection{Weight: r.Weight(c.Weight), Bias: r.Weight(c.Bias)}
		return op.Affine(p.Tape, r.Rows(x), op.Drop{}, w)
	}, c.Weight, c.Bias)
}

// Describe returns the line that PyTorch prints for the layer.
func (c *Conv2d) Describe() string {
	d := c.Weight.Dims
	return fmt.Sprintf("Conv2d(%d, %d, kernel_size=(%d, %d), stride=(%d, %d))", d[1], d[0], d[2], d[3], d[2], d[3])
}
