package seqcls

import (
	"context"
	"errors"
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// TaskConfig holds the settings by which texts become logits, and logits a loss.
type TaskConfig struct {
	Config
	Smoothing    float32   // label_smoothing_factor, single label only
	ClassWeights []float32 // one for each class, or nil; single label only
}

// Task is the training of a classifier. It implements [train.Task]. Once it has its examples it is not changed and is
// safe for concurrent use.
type Task struct {
	*Predictor
	tasks.Splits[*tasks.TextSet]
	cfg TaskConfig
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or
// the tokenizer are reported in one error.
func NewTask(m models.SequenceClassifier, tok *tokenize.Tokenizer, c TaskConfig) (*Task, error) {
	p, err := NewPredictor(m, tok, c.Config)
	errs := []error{err}
	if single := c.Labels.Problem == data.SingleLabel; !single && (c.Smoothing != 0 || c.ClassWeights != nil) {
		errs = append(errs,
			fmt.Errorf("`label_smoothing_factor` and `class_weights` need single-label classification, not %v",
				c.Labels.Problem))
	}
	errs = append(errs, tasks.CheckLoss(c.Smoothing, c.ClassWeights, max(1, len(c.Labels.Names)))...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Task{p, tasks.Splits[*tasks.TextSet]{}, c}, nil
}

// Add tokenises a file and makes it a split of the task. It must not be called while the task is in use.
func (t *Task) Add(ctx context.Context, s batch.Split, f *text.File) error {
	wanted, err := targetsOf(t.cfg.Labels, f)
	if err != nil {
		return err
	}
	set, err := t.Encode(ctx, texts(f), t.cfg.Truncation, nil)
	if err != nil {
		return err
	}
	set.Labels, set.Values = wanted.labels, wanted.values
	t.Splits[s] = set
	return nil
}

// Loss returns the summed loss of b and the number that its mean divides by: cross-entropy over classes (targets, or
// the sum of their class weights), binary cross-entropy or squared error (all values).
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, targets := t.loss(p.Tape, t.Net.Logits(p, b), b)
	return sum, targets, nil
}

func (t *Task) loss(tape *op.Tape, logits mat.Tensor, b *batch.Batch) (mat.Tensor, float64) {
	switch t.cfg.Labels.Problem {
	case data.MultiLabel:
		return op.BCEWithLogits(tape, logits, b.Values), float64(len(b.Values))
	case data.Regression:
		return op.MSE(tape, logits, b.Values), float64(len(b.Values))
	}
	return op.CrossEntropy(tape, logits, b.Labels,
		op.CrossEntropyConfig{ClassWeights: t.cfg.ClassWeights, Smoothing: t.cfg.Smoothing})
}

// Evaluate scores a split with the adapter of the configuration.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	loss, weight := 0.0, 0.0
	logits, err := t.logits(ctx, set, func(tape *op.Tape, b *batch.Batch, y mat.Tensor) {
		sum, n := t.loss(tape, y, b)
		loss += float64(op.Values(sum)[0])
		weight += n
	})
	if err != nil {
		return train.Metrics{}, err
	}
	values, err := t.score(targets{set.Labels, set.Values}, logits)
	if err != nil {
		return train.Metrics{}, fmt.Errorf("seqcls: %v: %w", s, err)
	}
	return withLoss(values, loss/weight), nil
}

var _ train.Task = (*Task)(nil)
