// Spago_head puts layers of spago on a pretrained encoder: a bidirectional GRU over the tokens of each message and
// a linear layer answer whether a message to a restaurant gives more than 0 of its details, and more than 1.
package main

import (
	"context"
	"fmt"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/nn/birnn"
	"github.com/nlpodyssey/spago/nn/linear"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/examples/messages"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/spagonn"
)

// head is a module as a spago program has it. Its parameters are named after the fields: more.RNN.Positive.WPart.
type head struct {
	spago.Module
	RNN *birnn.Model
	Out *linear.Model
}

// counter is an encoder of any architecture with the head.
type counter struct {
	spago.Module
	Encoder models.Encoder        `hf:"bert"`
	More    *spagonn.Layer[*head] `hf:"more"`
}

// logits returns B×2. For each message, spago gets the hidden states of its tokens as vectors.
func (c *counter) logits(p *nn.Pass, b *batch.Batch) (mat.Tensor, error) {
	return c.More.Forward(p.With(b.Seqs), c.Encoder.Forward(p, b), func(h *head, _ int, xs []mat.Tensor) []mat.Tensor {
		return h.Out.Forward(ag.Mean(h.RNN.Forward(xs...)))
	})
}

func main() {
	ctx := context.Background()
	encoder, list := messages.Open(ctx)
	more, err := spagonn.New(&head{RNN: birnn.NewBiGRU[float32](encoder.Width(), 8, birnn.Concat),
		Out: linear.New[float32](16, 2)})
	messages.Check(err)
	messages.Check(nn.Init(more, 42, func(string) float64 { return 0.1 })) // spago makes its layers with zeros
	c := &counter{Encoder: encoder, More: more}
	config := lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), ModulesToSave: []string{"more"}}
	set, err := lora.Attach(c, config, 42)
	messages.Check(err)
	fmt.Println(set.Summary(c))
	list.Train(ctx, &messages.Task{List: list, Logits: c.logits}, set, 3e-3)
}
