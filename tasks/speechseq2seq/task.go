package speechseq2seq

import (
	"cmp"
	"context"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/audio"
	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/speech"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
	"github.com/spalora/spalora/transcribe"
)

// TaskConfig is the configuration of a [Task].
type TaskConfig struct {
	Config
	// LabelSmoothing is the share of the loss that is spread over the whole vocabulary (label_smoothing_factor). As in
	// Trainer, the loss of evaluations has it too; their perplexity does not.
	LabelSmoothing float32
	// Transcribe, if set, lets evaluations write transcripts with these settings and score them.
	Transcribe *Decoding
}

// Task is the training of a model of speech. It implements [train.Task]. Once it has its examples it is not changed and
// is safe for concurrent use.
type Task struct {
	*Predictor
	tasks.Splits[*set]
	settings TaskConfig
}

// NewTask returns a task without examples; [Task.Add] adds them. Settings that contradict each other, the model or its
// tokens are reported in one error.
func NewTask(m models.SpeechSeq2SeqLM, f *Front, c TaskConfig) (*Task, error) {
	p, err := NewPredictor(m, f, c.Config)
	if err != nil {
		return nil, err
	}
	return &Task{p, tasks.Splits[*set]{}, c}, nil
}

// Add makes rows, each of which must have a transcript, a split of the task. It must not be called while the task is in
// use.
func (t *Task) Add(_ context.Context, s batch.Split, rows *speech.File) error {
	list, err := t.encode(rows)
	if err != nil {
		return err
	}
	t.Splits[s] = list
	return nil
}

// Counts returns the counts of the rows of a split.
func (t *Task) Counts(s batch.Split) Counts { return cmp.Or(t.Splits[s], &set{}).counts }

// Loss returns the cross-entropy of the labels, with label smoothing, summed over the tokens of the transcripts in b,
// and their number.
func (t *Task) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	q := *p
	q.Smoothing = t.settings.LabelSmoothing
	sum, stats := t.Net.Loss(&q, b)
	return sum, float64(stats.Targets), nil
}

// MetricNames lists the metrics of Evaluate, the deciding one first.
func (t *Task) MetricNames() []string {
	names := tasks.TargetMetricNames()
	if t.settings.Transcribe != nil {
		names = append(measureNames(), names...)
	}
	return names
}

// Evaluate scores a split with the adapter of the configuration: the mean loss of a token in nats, the exponential of
// the loss without label smoothing, the share of tokens with the largest logit and, if the configuration says so, the
// error rates of the transcripts that the model writes.
func (t *Task) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	list, err := t.Examples(s)
	if err != nil {
		return train.Metrics{}, err
	}
	var values []train.Metric
	if t.settings.Transcribe != nil {
		m := NewMeasures(t.English())
		err := t.Write(ctx, list.rows, *t.settings.Transcribe, func(i int, text *transcribe.Transcript) error {
			m.Add(text.Text, list.rows.At(i).Text)
			return nil
		})
		if err != nil {
			return train.Metrics{}, err
		}
		values = m.Metrics()
	}
	r, err := tasks.ScoreTargets(ctx, &t.Runner, list, t.settings.LabelSmoothing)
	if err != nil {
		return train.Metrics{}, err
	}
	values = append(values, r.Metrics()...)
	return train.Metrics{Main: values[0].Name, Values: values}, nil
}

// Write writes down what is said in the recordings of rows and calls each in order.
func (p *Predictor) Write(
	ctx context.Context, rows *speech.File, d Decoding, each func(i int, t *transcribe.Transcript) error,
) error {
	o := d.options(p)
	return TranscribeEach(ctx, rows.Len(), LoadFrom(rows), func(int) *Predictor { return p },
		func(int) transcribe.Options { return o }, each)
}

// LoadFrom returns a function that decodes the recording of a row. Its errors name the row.
func LoadFrom(rows *speech.File) func(i int) (*audio.Clip, error) {
	return func(i int) (*audio.Clip, error) {
		clip, err := rows.At(i).Load(audio.Limits{})
		if err != nil {
			return nil, inRow(rows, rows.At(i), err)
		}
		return clip, nil
	}
}

var _ train.Task = (*Task)(nil)
