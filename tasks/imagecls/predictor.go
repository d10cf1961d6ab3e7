package imagecls

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"slices"

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

// Config says how images become logits.
type Config struct {
	tasks.CoreConfig
	Pixels  Pixels
	Labels  *data.Labels
	Outputs int // of the adapter's head, if the model's has another number; 0: of the model's
}

// Predictor computes logits, classes and scores. It is safe for concurrent use and keeps the memory of a call for the
// next; Close releases it.
type Predictor struct {
	tasks.Runner[models.ImageClassifier]
	cfg Config
}

// NewPredictor returns a predictor. Settings that contradict each other or the model are reported in one error.
func NewPredictor(m models.ImageClassifier, c Config) (*Predictor, error) {
	var errs []error
	if k, n := max(1, len(c.Labels.Names)), cmp.Or(c.Outputs, m.Labels()); n != k {
		errs = append(errs, fmt.Errorf("the model's head has %d outputs for %d labels", n, k))
	}
	if c.Pixels.Processor == nil {
		errs = append(errs, errors.New("nothing says how images become pixels"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("imagecls: %w", errors.Join(errs...))
	}
	return &Predictor{tasks.NewRunner(m, c.CoreConfig), c}, nil
}

// Labels returns the classes, and the problem that they are for.
func (p *Predictor) Labels() *data.Labels { return p.cfg.Labels }

// Pixels returns how images become the input of the model.
func (p *Predictor) Pixels() Pixels { return p.cfg.Pixels }

// set returns images as a set.
func (p *Predictor) set(m images) (*Set, error) {
	workers := 1
	if p.Pool != nil {
		workers = p.Pool.Workers()
	}
	return newSet(m, p.cfg.Pixels, workers)
}

// Predict computes the logits of the rows of a file that [picture.File.Check] has returned, n×Labels row after row. A
// logit that is not finite is an error.
func (p *Predictor) Predict(ctx context.Context, f *picture.File) ([]float32, error) {
	rows, err := PredictEach(ctx, f, p.all)
	return slices.Concat(rows...), err
}

// all is the function of [PredictEach] for a predictor that serves all rows.
func (p *Predictor) all(int) *Predictor { return p }

// PredictEach computes the logits of each row of a file that [picture.File.Check] has returned, with the predictor that
// of returns for it. The predictors have one model in common, see [tasks.Opening], and their rows share batches; the
// logits are bit for bit those of [Predictor.Predict]. A logit that is not finite is an error.
func PredictEach(
	ctx context.Context, f *picture.File, of func(row int) *Predictor,
) ([][]float32, error) {
	return predictEach(ctx, imagesOf(f), of)
}

func predictEach(ctx context.Context, m images, of func(row int) *Predictor) ([][]float32, error) {
	if m.n == 0 {
		return nil, ctx.Err()
	}
	p := of(0)
	set, err := p.set(m)
	if err != nil {
		return nil, err
	}
	logits, err := p.RowsEach(ctx, set, m.n, func(i int) int { return of(i).head().Outputs() },
		func(i int) nn.AdapterSet { return of(i).Adapter }, p.Net.Logits)
	for i, row := range logits {
		if err == nil {
			err = tasks.CheckFinite(m.file, row, len(row), func(int) int { return m.line(i) })
		}
	}
	return logits, err
}

// logits computes the logits of a set, row after row; each, if set, is called with every batch.
func (p *Predictor) logits(
	ctx context.Context, set *Set, each func(*op.Tape, *batch.Batch, mat.Tensor),
) ([]float32, error) {
	return p.Rows(ctx, set, set.Len(), p.head().Outputs(), p.Net.Logits, each)
}

// Class is what is predicted for one image.
type Class = classification.Class

// head says what the logits mean.
func (p *Predictor) head() classification.Head {
	return classification.Head{Labels: p.cfg.Labels, Single: []string{"accuracy", "top_5_accuracy", "macro_f1"}}
}

// Class returns what the logits of one image say.
func (p *Predictor) Class(logits []float32) Class { return p.head().Class(logits) }

// Classify returns the classes of images. A logit that is not finite is an error.
func (p *Predictor) Classify(ctx context.Context, list []image.Image) ([]Class, error) {
	return ClassifyEach(ctx, list, p.all)
}

// ClassifyEach returns the classes of images, each with the predictor that of returns for it; see [PredictEach].
func ClassifyEach(ctx context.Context, list []image.Image, of func(i int) *Predictor) ([]Class, error) {
	m, err := imagesIn(list)
	if err != nil {
		return nil, err
	}
	logits, err := predictEach(ctx, m, of)
	if err != nil {
		return nil, err
	}
	out := make([]Class, len(list))
	for i, row := range logits {
		out[i] = of(i).Class(row)
	}
	return out, nil
}

// Seen returns what the model sees of row i of a file: the values of channels×height×width pixels, rows of a channel
// from top to bottom.
func (p *Predictor) Seen(f *picture.File, i int) (values []float32, width, height int, err error) {
	m, err := f.Load(i, vision.Limits{})
	if err != nil {
		return nil, 0, 0, err
	}
	return p.cfg.Pixels.Pixels(m)
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
func (p *Predictor) Score(f *picture.File, logits []float32) (train.Metrics, error) {
	m, err := classification.ScoreFile(p.head(), f, logits)
	if err != nil {
		err = fmt.Errorf("imagecls: %s: %w", f.Name, err)
	}
	return m, err
}
