package seqcls

import (
	"context"
	"errors"
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/classification"
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
	cfg  TaskConfig
	loss classification.Loss
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or
// the tokenizer are reported in one error.
func NewTask(m models.SequenceClassifier, tok *tokenize.Tokenizer, c TaskConfig) (*Task, error) {
	p, err := NewPredictor(m, tok, c.Config)
	loss := classification.Loss{Problem: c.Labels.Problem, Smoothing: c.Smoothing, ClassWeights: c.ClassWeights}
	if err := errors.Join(err, loss.Check(max(1, len(c.Labels.Names)))); err != nil {
		return nil, err
	}
	return &Task{p, tasks.Splits[*tasks.TextSet]{}, c, loss}, nil
}

// Add tokenises a file and makes it a split of the task. It must not be called while the task is in use.
func (t *Task) Add(ctx context.Context, s batch.Split, f *text.File) error {
	wanted, err := classification.TargetsOf(t.cfg.Labels, f)
	if err != nil {
		return err
	}
	set, err := t.Encode(ctx, texts(f), t.cfg.Truncation, nil)
	if err != nil {
		return err
	}
	set.Labels, set.Values = wanted.Labels, wanted.Values
	t.Splits[s] = set
	return nil
}

// Loss returns the summed loss of b and the number that its mean divides by: cross-entropy over classes (targets, or
// the sum of their class weights), binary cross-entropy or squared error (all values).
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, targets := t.loss.Sum(p.Tape, t.Net.Logits(p, b), b)
	return sum, targets, nil
}

// Evaluate scores a split with the adapter of the configuration.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	m, _, err := t.loss.Evaluate(ctx, t.head(), classification.Targets{Labels: set.Labels, Values: set.Values},
		func(ctx context.Context, each func(*op.Tape, *batch.Batch, mat.Tensor)) ([]float32, error) {
			return t.logits(ctx, set, each)
		})
	if err != nil {
		err = fmt.Errorf("seqcls: %v: %w", s, err)
	}
	return m, err
}

var _ train.Task = (*Task)(nil)
