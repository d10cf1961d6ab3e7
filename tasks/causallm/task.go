// Package causallm implements causal language modelling, the prediction of the next token, on texts, completions and
// chats: the training task, the predictor, the configuration of a run, and the kind by which adapters are opened and
// merged.
//
// Go programs usually use package spalora instead: [Finetuning] is spalora.CausalLM, and Generate uses a [Predictor].
package causallm

import (
	"cmp"
	"context"
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Task is the training of a language model. It implements [train.Task]. Once it has its examples it is not changed
// and is safe for concurrent use.
//
// It generates no samples; train.Config.OnEval, which is called after each evaluation, can.
type Task struct {
	*Predictor
	tasks.Splits[*set]
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or
// the tokenizer are reported in one error.
func NewTask(m models.CausalLM, tok *tokenize.Tokenizer, c Config) (*Task, error) {
	p, err := NewPredictor(m, tok, c)
	if err != nil {
		return nil, err
	}
	return &Task{p, tasks.Splits[*set]{}}, nil
}

// Add tokenises documents and makes them a split of the task. It must not be called while the task is in use. It
// counts documents of which no token is learned, and returns an error if there are no others.
func (t *Task) Add(ctx context.Context, s batch.Split, docs *document.File) error {
	list, err := t.encode(ctx, docs)
	if err == nil {
		t.Splits[s] = list
	}
	return err
}

// Counts returns the counts of the documents of a split.
func (t *Task) Counts(s batch.Split) Counts { return cmp.Or(t.Splits[s], &set{}).counts }

// Loss returns the cross-entropy of the next token, summed over the tokens of b that are learned, and their number.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, stats := t.Net.Loss(p, b)
	return sum, float64(stats.Targets), nil
}

// MetricNames lists the metrics of Evaluate, the deciding one first.
func (t *Task) MetricNames() []string { return []string{"loss", "perplexity", "accuracy"} }

// Evaluate scores a split with the adapter of the configuration: the mean loss of a learned token in nats, its
// exponential, and the share of learned tokens that have the largest logit.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	list, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	loss := 0.0
	var all op.TargetStats
	var stats op.TargetStats // of the batch
	n := t.Inference(func(p *nn.Pass, b *batch.Batch) (sum mat.Tensor) {
		sum, stats = t.Net.Loss(p, b)
		return sum
	})
	err = n.Run(ctx, list, func(_ []int, _ *op.Tape, _ *batch.Batch, sum mat.Tensor) error {
		loss += float64(op.Values(sum)[0])
		all.Targets += stats.Targets
		all.Correct += stats.Correct
		return nil
	})
	if err != nil {
		return train.Metrics{}, err
	}
	loss /= float64(all.Targets)
	return train.Metrics{Main: "loss", Values: []train.Metric{
		{Name: "loss", Value: loss, LowerIsBetter: true},
		{Name: "perplexity", Value: math.Exp(loss), LowerIsBetter: true},
		{Name: "accuracy", Value: float64(all.Correct) / float64(all.Targets)},
	}}, nil
}

var _ train.Task = (*Task)(nil)
