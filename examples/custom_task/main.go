// Custom_task trains a head and a loss of one's own, ordinal regression: how many of its details (day, hour, guests, first and last name)
// does a message to a restaurant give, none, one, or more? The head answers two questions in order, "more than 0?" and "more than 1?".
package main

import (
	"context"
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// counter is an encoder of any architecture with a head, and the task of training it. Tags are the names that an adapter's file has.
type counter struct {
	spago.Module
	Encoder   models.Encoder `hf:"bert"`
	More      *nn.Linear     `hf:"more"` // C→2
	*messages `hf:"-"`
}

// logits returns B×2: the head reads the mean of each message's hidden states.
func (c *counter) logits(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return c.More.Forward(p, op.MeanRows(p.Tape, c.Encoder.Forward(p, b), b.Seqs.Starts))
}

// Loss is the cross-entropy of the two answers, summed, and how many answers there are.
func (c *counter) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	return op.BCEWithLogits(p.Tape, c.logits(p, b), b.Values), float64(len(b.Values)), nil
}

// Evaluate scores what the logits say.
func (c *counter) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	return c.score(ctx, s, c.logits)
}

func main() {
	ctx := context.Background()
	encoder, list := open(ctx)
	c := &counter{Encoder: encoder, More: nn.NewLinear(encoder.Width(), 2, true), messages: list}
	check(nn.InitMissing(c, 0.02, 42))
	set, err := lora.Attach(c, lora.Config{R: 8, Alpha: 16, TargetModules: lora.Names("query", "value"), ModulesToSave: []string{"more"}}, 42)
	check(err)
	fmt.Println(set.Summary(c))
	cfg := train.Defaults()
	cfg.BatchSize, cfg.NumTrainEpochs, cfg.LearningRate, cfg.WarmupRatio, cfg.Pool, cfg.Adapter, c.adapter = 32, 1, 3e-3, 0.1, c.pool, set, set
	report, err := train.Run(ctx, c, set.Params(), cfg)
	check(err)
	score, err := c.Evaluate(ctx, batch.Test)
	check(err)
	fmt.Printf("%d steps, mean loss %.3f; test: accuracy %.3f, off by %.3f\n", report.Steps, report.TrainLoss, score.Values[0].Value, score.Values[1].Value)
	check(save(set))
}
