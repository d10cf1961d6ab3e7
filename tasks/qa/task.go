package qa

import (
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
	sets  map[batch.Split]*set
	files map[batch.Split]*question.File // of the splits that are evaluated
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or the
// tokenizer are reported in one error.
func NewTask(m models.QuestionAnswerer, tok *tokenize.Tokenizer, c Config) (*Task, error) {
	p, err := NewPredictor(m, tok, c)
	if err != nil {
		return nil, err
	}
	return &Task{Predictor: p, sets: map[batch.Split]*set{}, files: map[batch.Split]*question.File{}}, nil
}

// Add tokenises the questions of a file and makes them a split of the task. The task keeps the file of a split that can
// be evaluated, but not of [batch.Train]. Add must not be called while the task is in use.
func (t *Task) Add(ctx context.Context, s batch.Split, f *question.File) error {
	evaluated := s != batch.Train
	set, err := t.encode(ctx, f, evaluated)
	if err != nil {
		return err
	}
	t.sets[s] = set
	if evaluated {
		t.files[s] = f
	}
	return nil
}

// Counts returns how the questions of a split were cut into windows.
func (t *Task) Counts(s batch.Split) Counts {
	if set, ok := t.sets[s]; ok {
		return set.counts
	}
	return Counts{}
}

// Set returns the windows of a split, or nil.
func (t *Task) Set(s batch.Split) batch.Set {
	if set, ok := t.sets[s]; ok {
		return set
	}
	return nil
}

// Loss returns the summed cross-entropy of the starts and of the ends of b, each a softmax over the tokens of a window,
// and the number of both: their mean is the mean of transformers' two means.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, targets := loss(p.Tape, t.model.Logits(p, b), b)
	return sum, targets, nil
}

func loss(tape *op.Tape, logits mat.Tensor, b *batch.Batch) (mat.Tensor, float64) {
	return op.GroupCrossEntropy(tape, logits, b.Seqs.Starts, b.Labels)
}

// Evaluate answers the questions of a split other than [batch.Train] with the adapter of the configuration and scores
// the answers.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	f, ok := t.files[s]
	if !ok {
		return train.Metrics{}, tasks.NoExamples(s)
	}
	if f.Labelled() == 0 {
		return train.Metrics{}, fmt.Errorf("qa: %s: %w", f.Name, metrics.ErrNoTargets)
	}
	sum, targets := 0.0, 0.0
	logits, err := t.logits(ctx, t.sets[s], func(tape *op.Tape, b *batch.Batch, y mat.Tensor) {
		l, n := loss(tape, y, b)
		sum += float64(op.Values(l)[0])
		targets += n
	})
	if err != nil {
		return train.Metrics{}, err
	}
	answers, err := t.answers(f, t.sets[s], logits)
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
