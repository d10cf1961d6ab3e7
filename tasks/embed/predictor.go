package embed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

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

// Config holds the settings by which texts become vectors, and the scale of the scores of pairs. The zero value is
// usable.
type Config struct {
	tasks.CoreConfig
	Pooling  Pooling
	MaxScore float64 // score of texts that mean the same: scores are divided by it; 0: 1
}

// Predictor computes the vectors of texts. It is safe for concurrent use and keeps the memory of a call for the next;
// Close releases it.
type Predictor struct {
	tasks.Core[models.Encoder]
	cfg Config
}

// NewPredictor returns a predictor. Settings that contradict the model or the tokenizer are reported in one error.
func NewPredictor(m models.Encoder, tok *tokenize.Tokenizer, c Config) (*Predictor, error) {
	errs := tasks.CheckText(m, c.MaxLength)
	if !(c.MaxScore >= 0) || math.IsInf(c.MaxScore, 0) {
		errs = append(errs, fmt.Errorf("`max_score` is %g; want more than 0", c.MaxScore))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("embed: %w", errors.Join(errs...))
	}
	c.MaxScore = cmp.Or(c.MaxScore, 1)
	return &Predictor{tasks.NewCore(m, tok, c.CoreConfig), c}, nil
}

// Width returns the number of values of a vector.
func (p *Predictor) Width() int { return p.Net.Width() }

// Pooling returns how the tokens of a text become one vector.
func (p *Predictor) Pooling() Pooling { return p.cfg.Pooling }

// Embed computes the vectors of the texts of a file, row after row: n×Width, for a file of pairs 2n×Width, where the
// vectors of a pair follow each other. truncated is the number of texts that were truncated to the length limit. A
// vector that is not finite is an error.
func (p *Predictor) Embed(ctx context.Context, f *text.File) (vectors []float32, truncated int, err error) {
	texts, err := p.encode(ctx, f)
	if err != nil {
		return nil, 0, err
	}
	if vectors, err = p.embed(ctx, texts); err == nil && f.Len() > 0 {
		err = tasks.CheckFinite(f.Name, vectors, len(vectors)/f.Len(), func(i int) int { return f.At(i).Line })
	}
	return vectors, texts.Cut, err
}

// embed computes the vectors of the texts of a set, one after another.
func (p *Predictor) embed(ctx context.Context, texts *tasks.TextSet) ([]float32, error) {
	return p.Rows(ctx, texts, texts.Len(), p.Width(), p.pooled, nil)
}

// pooled returns the vectors of the B sequences of b, B×Width.
func (p *Predictor) pooled(pass *nn.Pass, b *batch.Batch) mat.Tensor {
	if p.cfg.Pooling == First {
		pass = pass.With(b.Seqs)
		pass.Keep = nn.FirstRows(pass.Seqs)
		return p.Net.Forward(pass, b)
	}
	scope := pass.Tape.Scope()
	y := op.MeanRows(pass.Tape, p.Net.Forward(pass, b), b.Seqs.Starts)
	pass.Tape.Leave(scope, y)
	return y
}

// encode tokenises the texts of a file, those of a pair one after the other.
func (p *Predictor) encode(ctx context.Context, f *text.File) (*tasks.TextSet, error) {
	var list []text.Example // single texts with their lines
	for e := range f.Values() {
		list = append(list, text.Example{Text: e.Text, Line: e.Line})
		if e.HasPair {
			list = append(list, text.Example{Text: e.Pair, Line: e.Line})
		}
	}
	texts := tasks.Texts{
		Name: f.Name, Len: len(list), Line: func(i int) int { return list[i].Line },
		Input: func(i int) tokenize.Input { return tokenize.Input{Text: list[i].Text} },
	}
	return p.Encode(ctx, texts, tokenize.LongestFirst, nil)
}

// Score returns the correlations of the cosines of a file of pairs, those of [Cosines], with the scores of the pairs,
// and the mean squared error. Without scores the result is the zero Metrics.
func (p *Predictor) Score(f *text.File, cosines []float32) (train.Metrics, error) {
	scores, err := p.scores(f)
	if err != nil || scores == nil {
		return train.Metrics{}, err
	}
	m, err := correlations(scores, cosines)
	if err != nil {
		return m, fmt.Errorf("embed: %s: %w", f.Name, err)
	}
	return m, nil
}

func correlations(scores, cosines []float32) (train.Metrics, error) {
	s, err := metrics.Regression(scores, cosines)
	if err != nil {
		return train.Metrics{}, err
	}
	return train.Metrics{Main: "spearman", Values: []train.Metric{
		tasks.Metric("spearman", s.Spearman, false), tasks.Metric("pearson", s.Pearson, false),
		tasks.Metric("loss", s.MSE, true),
	}}, nil
}

// scores returns the scores of the pairs of a file, divided by the largest, or nil if no row has one.
func (p *Predictor) scores(f *text.File) ([]float32, error) {
	if f.Labelled() == 0 {
		return nil, nil
	}
	scores, err := f.Targets()
	if err != nil {
		return nil, fmt.Errorf("%w; the label of a pair is its score", err)
	}
	for i, v := range scores {
		line := f.At(i).Line
		switch top := float32(p.cfg.MaxScore); {
		case v != v:
			return nil, data.Errorf(f.Name, line, "the pair has no score, but others have: either all have one or none has")
		case v > top:
			return nil, data.Errorf(f.Name, line,
				"the score %g is above %g, that of texts that mean the same; "+
					"say with `max_score` what the largest is (5 for STS-B)", v, top)
		case v < -top:
			return nil, data.Errorf(f.Name, line,
				"the score %g is below %g, the opposite of that of texts that mean the same", v, -top)
		}
		scores[i] = float32(float64(v) / p.cfg.MaxScore)
	}
	return scores, nil
}

// Cosines returns the cosine of each pair of vectors (2n×width), n values. The cosine with a zero vector is 0.
func Cosines(vectors []float32, width int) []float32 {
	out := make([]float32, len(vectors)/width/2)
	for i := range out {
		u, v := vectors[2*i*width:(2*i+1)*width], vectors[(2*i+1)*width:(2*i+2)*width]
		var uv, uu, vv float64
		for j := range u {
			x, y := float64(u[j]), float64(v[j])
			uv += float64(x * y)
			uu += float64(x * x)
			vv += float64(y * y)
		}
		if norm := math.Sqrt(uu) * math.Sqrt(vv); norm > 0 {
			out[i] = float32(uv / norm)
		}
	}
	return out
}

// Normalize divides each vector (n×width) by its Euclidean norm, in place. A zero vector is not changed. It returns
// an error if a value is not finite.
func Normalize(vectors []float32, width int) error {
	for lo := 0; lo < len(vectors); lo += width {
		row := vectors[lo : lo+width]
		sum := 0.0
		for _, x := range row {
			sum += float64(float64(x) * float64(x))
		}
		if math.IsNaN(sum) || math.IsInf(sum, 0) {
			return errors.New("embed: a vector is not finite; the weights of the model or the adapter are damaged, " +
				"get them again")
		}
		if norm := math.Sqrt(sum); norm > 0 {
			for j, x := range row {
				row[j] = float32(float64(x) / norm)
			}
		}
	}
	return nil
}
