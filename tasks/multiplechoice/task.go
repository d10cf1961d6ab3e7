package multiplechoice

import (
	"context"
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Task is the training of a model that picks choices. It implements [train.Task]; its examples are questions. Once it
// has its examples it is not changed and is safe for concurrent use.
type Task struct {
	*Predictor
	tasks.Splits[*questions]
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or the
// tokenizer are reported in one error.
func NewTask(m models.MultipleChoice, tok *tokenize.Tokenizer, c Config) (*Task, error) {
	p, err := NewPredictor(m, tok, c)
	if err != nil {
		return nil, err
	}
	return &Task{p, tasks.Splits[*questions]{}}, nil
}

// Add tokenises a file and makes it a split of the task. It must not be called while the task is in use.
func (t *Task) Add(ctx context.Context, s batch.Split, f *choice.File) error {
	set, err := t.encode(ctx, f)
	if err != nil {
		return err
	}
	t.Splits[s] = set
	return nil
}

// Loss returns the summed cross-entropy of the questions of b, each over its choices, and the number of questions that
// have an answer.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, targets := op.GroupCrossEntropy(p.Tape, t.Net.Logits(p, b), b.Groups, b.Labels)
	return sum, targets, nil
}

// Evaluate scores a split with the adapter of the configuration. Questions without an answer do not count; a split
// without any answer is an error.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	logits, err := t.logits(ctx, set)
	if err != nil {
		return train.Metrics{}, err
	}
	m := score(set.labels, func(q int) []float32 { return logits[set.starts[q]:set.starts[q+1]] })
	if len(m.Values) == 0 {
		return m, fmt.Errorf("multiplechoice: %v: no question has an answer to compare with", s)
	}
	return m, nil
}

var _ train.Task = (*Task)(nil)
