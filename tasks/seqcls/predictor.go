package seqcls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/classification"
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
	logits, err = p.RowsEach(ctx, set, t.Len, func(i int) int { return of(i).head().Outputs() },
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
	return p.Rows(ctx, set, set.Len(), p.head().Outputs(), p.Net.Logits, each)
}

// Class is what is predicted for one text.
type Class = classification.Class

// head says what the logits mean.
func (p *Predictor) head() classification.Head {
	return classification.Head{Labels: p.cfg.Labels, Single: []string{"accuracy", "macro_f1", "matthews"}}
}

// Class returns what the logits of one text say.
func (p *Predictor) Class(logits []float32) Class { return p.head().Class(logits) }

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
func (p *Predictor) MetricNames() []string { return p.head().MetricNames() }

// Score returns the metrics of logits that were computed before: those of [Predictor.Predict] for the same file. Rows
// without a label do not count; without any the result is the zero Metrics. The loss knows neither smoothing nor
// class weights.
func (p *Predictor) Score(f *text.File, logits []float32) (train.Metrics, error) {
	m, err := classification.ScoreFile(p.head(), f, logits)
	if err != nil {
		err = fmt.Errorf("seqcls: %s: %w", f.Name, err)
	}
	return m, err
}
