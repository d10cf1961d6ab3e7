package qa

import (
	"cmp"
	"context"
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Task is the training of a question answerer. Each window of a context is an example; where the answer is not in a
// window, the window's first token is the target. It implements [train.Task]. Once it has its examples it is not
// changed and is safe for concurrent use.
type Task struct {
	*Predictor
	tasks.Splits[*set]
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or the
// tokenizer are reported in one error.
func NewTask(m models.QuestionAnswerer, tok *tokenize.Tokenizer, c Config) (*Task, error) {
	p, err := NewPredictor(m, tok, c)
	if err != nil {
		return nil, err
	}
	return &Task{p, tasks.Splits[*set]{}}, nil
}

// Add tokenises the questions of a file and makes them a split of the task. The task keeps the file of a split that can
// be evaluated, but not of [batch.Train]. Add must not be called while the task is in use.
func (t *Task) Add(ctx context.Context, s batch.Split, f *question.File) error {
	evaluated := s != batch.Train
	set, err := t.encode(ctx, f, evaluated)
	if err != nil {
		return err
	}
	if evaluated {
		set.file = f
	}
	t.Splits[s] = set
	return nil
}

// Counts returns how the questions of a split were cut into windows.
func (t *Task) Counts(s batch.Split) Counts { return cmp.Or(t.Splits[s], &set{}).counts }

// Loss returns the summed cross-entropy of the starts and of the ends of b, each a softmax over the tokens of a window,
// and the number of both: their mean is the mean of transformers' two means.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, targets := loss(p.Tape, t.Net.Logits(p, b), b)
	return sum, targets, nil
}

func loss(tape *op.Tape, logits mat.Tensor, b *batch.Batch) (mat.Tensor, float64) {
	return op.GroupCrossEntropy(tape, logits, b.Seqs.Starts, b.Labels)
}

// Evaluate answers the questions of a split other than [batch.Train] with the adapter of the configuration and scores
// the answers.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	f := set.file
	if f == nil {
		return train.Metrics{}, fmt.Errorf("qa: the %v questions are not kept for an evaluation", s)
	}
	if f.Labelled() == 0 {
		return train.Metrics{}, fmt.Errorf("qa: %s: %w", f.Name, metrics.ErrNoTargets)
	}
	sum, targets := 0.0, 0.0
	logits, err := t.logits(ctx, set, func(tape *op.Tape, b *batch.Batch, y mat.Tensor) {
		l, n := loss(tape, y, b)
		sum += float64(op.Values(l)[0])
		targets += n
	})
	if err != nil {
		return train.Metrics{}, err
	}
	answers, err := t.answers(f, set, logits)
	if err != nil {
		return train.Metrics{}, err
	}
	m, err := t.Score(f, answers)
	if err != nil {
		return train.Metrics{}, err
	}
	m.Values = append(m.Values, train.Metric{Name: "loss", Value: sum / targets, LowerIsBetter: true})
	return m, nil
}

var _ train.Task = (*Task)(nil)
