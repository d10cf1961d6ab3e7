package seqcls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// Config says how texts become logits. The zero value of each field but Labels is usable.
type Config struct {
	tasks.CoreConfig
	Labels     *data.Labels
	Outputs    int               // of the adapter's head, if the model's has another number; 0: of the model's
	Truncation tokenize.Strategy // what to cut of a text or pair that is longer than MaxLength
}

// Predictor computes logits, classes and scores. It is safe for concurrent use and keeps the memory of a call for the
// next; Close releases it.
type Predictor struct {
	tasks.Core[models.SequenceClassifier]
	cfg Config
}

// NewPredictor returns a predictor. Settings that contradict each other, the model or the tokenizer are reported in
// one error.
func NewPredictor(m models.SequenceClassifier, tok *tokenize.Tokenizer, c Config) (*Predictor, error) {
	errs := tasks.CheckText(m, c.MaxLength)
	if k, n := max(1, len(c.Labels.Names)), cmp.Or(c.Outputs, m.Labels()); n != k {
		errs = append(errs, fmt.Errorf("the model's head has %d outputs for %d labels", n, k))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("seqcls: %w", errors.Join(errs...))
	}
	return &Predictor{tasks.NewCore(m, tok, c.CoreConfig), c}, nil
}

// Labels returns the classes, and the problem that they are for.
func (p *Predictor) Labels() *data.Labels { return p.cfg.Labels }

// outputs returns the number of logits of a text.
func (p *Predictor) outputs() int { return max(1, len(p.cfg.Labels.Names)) }

// texts returns the rows of a file.
func texts(f *text.File) tasks.Texts {
	return tasks.Texts{Name: f.Name, Len: f.Len(), Line: func(i int) int { return f.At(i).Line },
		Input: func(i int) tokenize.Input {
			e := f.At(i)
			return tokenize.Input{Text: e.Text, Pair: e.Pair, HasPair: e.HasPair}
		}}
}

// Predict computes the logits of the rows of a file, n×Labels row after row, and counts the texts that were cut to
// the length limit. A logit that is not finite is an error.
func (p *Predictor) Predict(ctx context.Context, f *text.File) (logits []float32, truncated int, err error) {
	rows, truncated, err := PredictEach(ctx, f, p.all)
	return slices.Concat(rows...), truncated, err
}

// all is the function of [PredictEach] for a predictor that serves all rows.
func (p *Predictor) all(int) *Predictor { return p }

// PredictEach computes the logits of each row of a file with the predictor that of returns for it, and counts the texts
// that were cut to the limit of theirs. The predictors have one model in common, see [tasks.Opening], and their rows
// share batches; the logits are bit for bit those of [Predictor.Predict]. A logit that is not finite is an error.
func PredictEach(
	ctx context.Context, f *text.File, of func(row int) *Predictor,
) (logits [][]float32, truncated int, err error) {
	return predictEach(ctx, texts(f), of)
}

func predictEach(
	ctx context.Context, t tasks.Texts, of func(row int) *Predictor,
) (logits [][]float32, truncated int, err error) {
	if t.Len == 0 {
		return nil, 0, ctx.Err()
	}
	p := of(0)
	options := func(i int) tokenize.Options { return of(i).TextOptions(of(i).cfg.Truncation) }
	set, err := p.EncodeEach(ctx, t, options, nil)
	if err != nil {
		return nil, 0, err
	}
	logits, err = p.RowsEach(ctx, set, t.Len, func(i int) int { return of(i).outputs() },
		func(i int) nn.AdapterSet { return of(i).Adapter }, p.Net.Logits)
	for i, row := range logits {
		if err == nil {
			err = tasks.CheckFinite(t.Name, row, len(row), func(int) int { return t.Line(i) })
		}
	}
	return logits, set.Cut, err
}

// logits computes the logits of a set, row after row; each, if set, is called with every batch.
func (p *Predictor) logits(
	ctx context.Context, set *tasks.TextSet, each func(*op.Tape, *batch.Batch, mat.Tensor),
) ([]float32, error) {
	return p.Rows(ctx, set, set.Len(), p.outputs(), p.Net.Logits, each)
}

// threshold is the probability above which a text has a class of several.
const threshold = 0.5

// Class is what is predicted for one text.
type Class struct {
	// Label is the most probable class; "" for a regression and for several labels.
	Label string
	// Score is the probability of Label; of a regression the predicted value.
	Score float32
	// Labels are the classes with a probability above 0.5, for several labels.
	Labels []string
	// Scores has the probability of each class in the order of [Predictor.Labels]; of a regression the value.
	Scores []float32
	// Logits has the raw output for each class.
	Logits []float32
}

// Class returns what the logits of one text say.
func (p *Predictor) Class(logits []float32) Class {
	l := p.cfg.Labels
	c := Class{Logits: logits, Scores: tasks.Probabilities(l.Problem, logits, len(logits))}
	switch l.Problem {
	case data.SingleLabel:
		best := tasks.Largest(logits)
		c.Label, c.Score = l.Names[best], c.Scores[best]
	case data.MultiLabel:
		c.Labels = []string{}
		for i, v := range c.Scores {
			if v > threshold {
				c.Labels = append(c.Labels, l.Names[i])
			}
		}
	case data.Regression:
		c.Score = logits[0]
	}
	return c
}

// Classify returns the classes of texts and pairs. Texts that are too long are cut. A logit that is not finite is an
// error.
func (p *Predictor) Classify(ctx context.Context, inputs []tokenize.Input) ([]Class, error) {
	return ClassifyEach(ctx, inputs, p.all)
}

// ClassifyEach returns the classes of texts and pairs, each with the predictor that of returns for it; see
// [PredictEach].
func ClassifyEach(ctx context.Context, inputs []tokenize.Input, of func(i int) *Predictor) ([]Class, error) {
	logits, _, err := predictEach(ctx, tasks.Inputs(inputs), of)
	if err != nil {
		return nil, err
	}
	out := make([]Class, len(inputs))
	for i, row := range logits {
		out[i] = of(i).Class(row)
	}
	return out, nil
}

// WithLabels returns a predictor for the same model with other classes, which share its memory: of the same number.
func (p *Predictor) WithLabels(l *data.Labels) *Predictor {
	q := *p
	q.cfg.Labels = l
	return &q
}

// MetricNames lists the metrics of a file with labels, the deciding one first.
func (p *Predictor) MetricNames() []string {
	switch p.cfg.Labels.Problem {
	case data.MultiLabel:
		return []string{"micro_f1", "macro_f1", "subset_accuracy", "loss"}
	case data.Regression:
		return []string{"pearson", "spearman", "mse", "loss"}
	}
	return []string{"accuracy", "macro_f1", "matthews", "loss"}
}

// Score returns the metrics of logits that were computed before: those of [Predictor.Predict] for the same file. Rows
// without a label do not count; without any the result is the zero Metrics. The loss knows neither smoothing nor
// class weights.
func (p *Predictor) Score(f *text.File, logits []float32) (train.Metrics, error) {
	k, problem := p.outputs(), p.cfg.Labels.Problem
	if len(logits) != k*f.Len() {
		return train.Metrics{}, fmt.Errorf("seqcls: %d logits for %d rows of %d", len(logits), f.Len(), k)
	}
	var kept []float32
	for i, e := range f.All() {
		if e.Label.HasTarget(problem) {
			kept = append(kept, logits[i*k:(i+1)*k]...)
		}
	}
	wanted, err := targetsOf(p.cfg.Labels, f.WithTargets(problem))
	if err != nil {
		return train.Metrics{}, err
	}
	if len(kept) == 0 || wanted.none() {
		return train.Metrics{}, nil
	}
	values, err := p.score(wanted, kept)
	if err != nil {
		return train.Metrics{}, fmt.Errorf("seqcls: %s: %w", f.Name, err)
	}
	return withLoss(values, wanted.meanLoss(problem, kept, k)), nil
}

// withLoss adds the loss to metrics, of which the first decides.
func withLoss(values []train.Metric, loss float64) train.Metrics {
	values = append(values, train.Metric{Name: "loss", Value: loss, LowerIsBetter: true})
	return train.Metrics{Main: values[0].Name, Values: values}
}

// score returns the metrics of logits but the loss.
func (p *Predictor) score(t targets, logits []float32) ([]train.Metric, error) {
	k, names := p.outputs(), p.MetricNames()
	list := func(scores ...metrics.Score) []train.Metric {
		var ms []train.Metric
		for i, s := range scores {
			ms = append(ms, tasks.Metric(names[i], s, names[i] == "mse"))
		}
		return ms
	}
	switch p.cfg.Labels.Problem {
	case data.MultiLabel:
		s, err := metrics.MultiLabel(t.values, logits, k, 0)
		if err != nil {
			return nil, err
		}
		return list(s.MicroF1, s.MacroF1, s.SubsetAccuracy), nil
	case data.Regression:
		s, err := metrics.Regression(t.values, logits)
		if err != nil {
			return nil, err
		}
		return list(s.Pearson, s.Spearman, s.MSE), nil
	}
	s, err := metrics.Classes(t.labels, tasks.ArgMax(logits, k), k)
	if err != nil {
		return nil, err
	}
	return list(s.Accuracy, s.MacroF1, s.Matthews), nil
}

// targets are the classes or values that rows should have.
type targets struct {
	labels []int32   // one for each row, or nil
	values []float32 // equally many for each row, or nil
}

// targetsOf returns the targets of the rows of a file.
func targetsOf(l *data.Labels, f *text.File) (t targets, err error) {
	switch l.Problem {
	case data.SingleLabel:
		t.labels, err = f.Classes(l)
	case data.MultiLabel:
		t.values, err = f.Indicators(l)
	case data.Regression:
		t.values, err = f.Targets()
	}
	return t, err
}

// none reports whether every class is to be ignored.
func (t targets) none() bool {
	for _, c := range t.labels {
		if c != batch.Ignore {
			return false
		}
	}
	return t.labels != nil
}

// meanLoss returns the mean over rows of −ln softmax(logits)[label], over all values of the binary cross-entropy,
// or over all values of the squared error.
func (t targets) meanLoss(p data.Problem, logits []float32, k int) float64 {
	sum, n := 0.0, 0
	switch p {
	case data.SingleLabel:
		for i, c := range t.labels {
			if c != batch.Ignore {
				row := logits[i*k : (i+1)*k]
				sum += tasks.LogSumExp(row) - float64(row[c])
				n++
			}
		}
	case data.MultiLabel:
		for i, y := range t.values {
			x := float64(logits[i])
			sum += math.Max(x, 0) - x*float64(y) + math.Log1p(math.Exp(-math.Abs(x)))
			n++
		}
	case data.Regression:
		for i, y := range t.values {
			d := float64(logits[i]) - float64(y)
			sum += d * d
			n++
		}
	}
	return sum / float64(n)
}
