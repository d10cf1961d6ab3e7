// Custom_task trains a custom head with a custom loss, ordinal regression: does a message to a restaurant give none of
// its details (day, hour, guests, names), one, or more? The head answers two questions: more than 0, and more than 1?
package main

import (
	"context"
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/examples/messages"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// counter is an encoder of any architecture with a head, and the task that trains it. Tags are the names in adapters.
type counter struct {
	spago.Module
	Encoder        models.Encoder `hf:"bert"`
	More           *nn.Linear     `hf:"more"` // C→2
	*messages.List `hf:"-"`
}

// logits returns B×2: the head reads the mean of each message's hidden states.
func (c *counter) logits(p *nn.Pass, b *batch.Batch) (mat.Tensor, error) {
	return c.More.Forward(p, op.MeanRows(p.Tape, c.Encoder.Forward(p, b), b.Seqs.Starts)), nil
}

// Loss returns the summed cross-entropy of the two answers to each message, and the number of answers.
func (c *counter) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	y, err := c.logits(p, b)
	return op.BCEWithLogits(p.Tape, y, b.Values), float64(len(b.Values)), err
}

// Evaluate scores the messages of a split.
func (c *counter) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	return c.Score(ctx, s, c.logits)
}

func main() {
	ctx := context.Background()
	encoder, list := messages.Open(ctx)
	c := &counter{Encoder: encoder, More: nn.NewLinear(encoder.Width(), 2, true), List: list}
	messages.Check(nn.InitMissing(c, 0.02, 42))
	config := lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), ModulesToSave: []string{"more"}}
	set, err := lora.Attach(c, config, 42)
	messages.Check(err)
	fmt.Println(set.Summary(c))
	c.Train(ctx, c, set, 3e-3)
}
