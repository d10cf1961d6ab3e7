package imagecls

import (
	"context"
	"errors"
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/picture"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/classification"
	"github.com/spalora/spalora/train"
	"github.com/spalora/spalora/vision"
)

// MaxMixup is the largest parameter of mixing.
const MaxMixup = 2

// TaskConfig holds the settings by which images become logits, and logits a loss.
type TaskConfig struct {
	Config
	Smoothing    float32             // label_smoothing_factor, single label only
	ClassWeights []float32           // one for each class, or nil; single label only
	Augment      vision.Augmentation // random changes of images to train on
	// Mixup mixes another image into each to train on, and its targets likewise, with a share from the beta distribution
	// with this parameter (Zhang et al. 2017, arXiv:1710.09412); 0: none.
	Mixup float64
	// OnEvaluated, if set, is called after each evaluation with the targets and the logits of a split.
	OnEvaluated func(s batch.Split, t classification.Targets, logits []float32)
}

// Task is the training of a classifier of images. It implements [train.Task]. Once it has its examples it is not
// changed and is safe for concurrent use.
type Task struct {
	*Predictor
	tasks.Splits[*Set]
	cfg  TaskConfig
	loss classification.Loss
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other or the model are
// reported in one error.
func NewTask(m models.ImageClassifier, c TaskConfig) (*Task, error) {
	p, err := NewPredictor(m, c.Config)
	loss := classification.Loss{Problem: c.Labels.Problem, Smoothing: c.Smoothing, ClassWeights: c.ClassWeights}
	errs := []error{err, loss.Check(max(1, len(c.Labels.Names)))}
	if !(c.Mixup >= 0 && c.Mixup <= MaxMixup) {
		errs = append(errs, fmt.Errorf("`mixup` is %g; want 0 (none) to %d", c.Mixup, MaxMixup))
	}
	if c.Mixup > 0 && c.ClassWeights != nil {
		errs = append(errs, errors.New("`mixup` and `class_weights` exclude each other: a mixed image has two classes"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Task{p, tasks.Splits[*Set]{}, c, loss}, nil
}

// Add makes a file that [picture.File.Check] has returned a split of the task. It must not be called while the task is
// in use. The file must not be changed afterwards, nor its images.
func (t *Task) Add(_ context.Context, s batch.Split, f *picture.File) error {
	wanted, err := classification.TargetsOf(t.cfg.Labels, f)
	if err != nil {
		return err
	}
	set, err := t.set(imagesOf(f))
	if err != nil {
		return err
	}
	set.targets, set.outputs = wanted, t.head().Outputs()
	if s == batch.Train {
		set.augment, set.mixup = t.cfg.Augment, t.cfg.Mixup
		if err := set.checkMixup(t.cfg.Labels.Problem); err != nil {
			return err
		}
	}
	t.Splits[s] = set
	return nil
}

// Loss returns the summed loss of b and the number that its mean divides by: cross-entropy over classes (targets, or
// the sum of their class weights; of mixed images their number), binary cross-entropy or squared error (all values).
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	logits := t.Net.Logits(p, b)
	if t.loss.Problem == data.SingleLabel && b.Values != nil {
		return op.SoftCrossEntropy(p.Tape, logits, b.Values, t.loss.Smoothing), float64(b.Seqs.Len()), nil
	}
	sum, targets := t.loss.Sum(p.Tape, logits, b)
	return sum, targets, nil
}

// Evaluate scores a split with the adapter of the configuration.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	m, logits, err := t.loss.Evaluate(ctx, t.head(), set.targets,
		func(ctx context.Context, each func(*op.Tape, *batch.Batch, mat.Tensor)) ([]float32, error) {
			return t.logits(ctx, set, each)
		})
	if err != nil {
		return m, fmt.Errorf("imagecls: %v: %w", s, err)
	}
	if t.cfg.OnEvaluated != nil {
		t.cfg.OnEvaluated(s, set.targets, logits)
	}
	return m, nil
}

var _ train.Task = (*Task)(nil)
