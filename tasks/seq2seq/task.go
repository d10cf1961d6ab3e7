package seq2seq

import (
	"cmp"
	"context"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// TaskConfig is the configuration of a [Task].
type TaskConfig struct {
	Config
	// LabelSmoothing is the share of the loss that is spread over the whole vocabulary (label_smoothing_factor). As in
	// Trainer, the loss of evaluations has it too; their perplexity does not.
	LabelSmoothing float32
	// Generate, if set, lets evaluations generate targets with these settings and score them.
	Generate *generate.Config
	// Main is the first of the measures of generated texts, which decides which state is best: MainRouge or MainBLEU.
	Main string
}

// Task is the training of an encoder–decoder. It implements [train.Task]. Once it has its examples it is not changed
// and is safe for concurrent use.
type Task struct {
	*Predictor
	tasks.Splits[*set]
	settings TaskConfig
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or the
// tokenizer are reported in one error.
func NewTask(m models.Seq2SeqLM, tok *tokenize.Tokenizer, c TaskConfig) (*Task, error) {
	p, err := NewPredictor(m, tok, c.Config)
	if err != nil {
		return nil, err
	}
	return &Task{p, tasks.Splits[*set]{}, c}, nil
}

// Add tokenises rows, each of which must have a target, and makes them a split of the task. It must not be called while
// the task is in use.
func (t *Task) Add(ctx context.Context, s batch.Split, rows *pair.File) error {
	list, err := t.encode(ctx, rows)
	if err != nil {
		return err
	}
	if t.settings.Generate != nil && s != batch.Train {
		list.rows = rows
	}
	t.Splits[s] = list
	return nil
}

// Counts returns the counts of the rows of a split.
func (t *Task) Counts(s batch.Split) Counts { return cmp.Or(t.Splits[s], &set{}).counts }

// Loss returns the cross-entropy of the labels, with label smoothing, summed over the tokens of the targets in b, and
// their number.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	q := *p
	q.Smoothing = t.settings.LabelSmoothing
	sum, stats := t.Net.Loss(&q, b)
	return sum, float64(stats.Targets), nil
}

// MetricNames lists the metrics of Evaluate, the deciding one first.
func (t *Task) MetricNames() []string {
	names := tasks.TargetMetricNames()
	if t.settings.Generate != nil {
		names = append(measureNames(t.settings.Main), names...)
	}
	return names
}

// Evaluate scores a split with the adapter of the configuration: the mean loss of a target's token in nats, the
// exponential of the loss without label smoothing, the share of tokens with the largest logit and, if the configuration
// says so, the measures of the texts that the model generates.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	list, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	var values []train.Metric
	if t.settings.Generate != nil {
		if values, err = t.measure(ctx, list); err != nil {
			return train.Metrics{}, err
		}
	}
	r, err := tasks.ScoreTargets(ctx, &t.Runner, list, t.settings.LabelSmoothing)
	if err != nil {
		return train.Metrics{}, err
	}
	values = append(values, r.Metrics()...)
	return train.Metrics{Main: values[0].Name, Values: values}, nil
}

// measure generates a target for each row of a split and compares it with the row's references.
func (t *Task) measure(ctx context.Context, list *set) ([]train.Metric, error) {
	prompts := make([]generate.Prompt, list.Len())
	for i := range prompts {
		prompts[i] = generate.Prompt{IDs: list.source.IDs(nil, i), Number: i, Adapter: t.Adapter}
	}
	c := *t.settings.Generate
	c.NumReturnSequences = 1
	m := NewMeasures(true)
	err := t.decode(ctx, prompts, c, func(i int, s []generate.Sequence) error {
		m.Add(s[0].Text, list.rows.At(i).Targets)
		return nil
	})
	return m.Metrics(t.settings.Main), err
}

var _ train.Task = (*Task)(nil)
