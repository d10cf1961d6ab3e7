package qa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"

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

// The defaults of transformers' run_qa.py.
const (
	standardWindow = 384 // tokens
	standardStride = 128 // tokens that windows share

	// StandardNBest is the default of the setting n_best_size, StandardAnswer that of max_answer_length.
	StandardNBest, StandardAnswer = 20, 30
)

// Config says how questions on contexts become logits, a loss and answers. The zero value has the defaults of
// transformers' run_qa.py.
type Config struct {
	tasks.CoreConfig // MaxLength counts the tokens of a window, with its question; 0: 384, or what the model allows
	// DocStride is the number of tokens that neighbouring windows of a context share; nil: 128, or half of a window's
	// part of the context if that has no room for more.
	DocStride      *int
	MaxQueryLength int // tokens that are kept of a question; 0: all
	NBest          int // answers that are kept of a question, best starts and ends that are paired; 0: 20
	MaxAnswer      int // tokens of the longest answer that is predicted; 0: 30
	// NullAnswers says that a question may have no answer (SQuAD 2), which the first token of a window represents.
	NullAnswers bool
	// NullThreshold is the difference by which the score of no answer must exceed that of the best answer to be predicted.
	NullThreshold float64
	// ZeroTypes gives all tokens the type 0, as PEFT does with an adapter for QUESTION_ANS.
	ZeroTypes bool
}

// check returns the errors about settings that need neither model nor tokenizer.
func (c Config) check() []error {
	var errs []error
	for _, n := range []struct {
		option string
		value  int
	}{
		{"max_query_length", c.MaxQueryLength}, {"n_best_size", c.NBest}, {"max_answer_length", c.MaxAnswer},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("`%s` is %d; want 1 or more, or 0 for the default", n.option, n.value))
		}
	}
	if c.DocStride != nil && *c.DocStride < 0 {
		errs = append(errs, fmt.Errorf("`doc_stride` is %d; want 0 or more", *c.DocStride))
	}
	if math.IsNaN(c.NullThreshold) {
		errs = append(errs, errors.New("`null_score_diff_threshold` is NaN; want a number"))
	}
	if !c.NullAnswers && c.NullThreshold != 0 {
		errs = append(errs, errors.New("`null_score_diff_threshold` needs `version_2_with_negative`"))
	}
	return errs
}

// Predictor finds the answers to questions and scores them. It is safe for concurrent use and keeps the memory of a
// call for the next; Close releases it.
type Predictor struct {
	tasks.Core[models.QuestionAnswerer]
	cfg Config
	cut tokenize.Windowing
}

// NewPredictor returns a predictor. Settings that contradict each other, the model or the tokenizer are reported in one
// error.
func NewPredictor(m models.QuestionAnswerer, tok *tokenize.Tokenizer, c Config) (*Predictor, error) {
	if errs := append(tasks.CheckText(m, c.MaxLength), c.check()...); len(errs) > 0 {
		return nil, fmt.Errorf("qa: %w", errors.Join(errs...))
	}
	p := &Predictor{Core: tasks.NewCore(m, tok, c.CoreConfig), cfg: c}
	p.cut = tokenize.Windowing{MaxLength: p.Core.Limit(), MaxText: c.MaxQueryLength}
	if c.MaxLength == 0 {
		p.cut.MaxLength = min(p.cut.MaxLength, standardWindow)
	}
	if c.DocStride == nil {
		p.cut.Stride, p.cut.Shrink = standardStride, true
	} else {
		p.cut.Stride = *c.DocStride
	}
	p.cfg.NBest, p.cfg.MaxAnswer = cmp.Or(c.NBest, StandardNBest), cmp.Or(c.MaxAnswer, StandardAnswer)
	return p, nil
}

// Limit returns how many tokens a window may have.
func (p *Predictor) Limit() int { return p.cut.MaxLength }

// NullAnswers reports whether questions may have no answer.
func (p *Predictor) NullAnswers() bool { return p.cfg.NullAnswers }

// logits computes the logits of all tokens of a set, start and end of one after the other; each, if set, is called with
// every batch.
func (p *Predictor) logits(
	ctx context.Context, s *set, each func(*op.Tape, *batch.Batch, mat.Tensor),
) ([]float32, error) {
	return windowLogits(ctx, p.Inference(p.Net.Logits), s, each)
}

// windowLogits is logits with a forward pass.
func windowLogits(
	ctx context.Context, run tasks.Inference, s *set, each func(*op.Tape, *batch.Batch, mat.Tensor),
) ([]float32, error) {
	out := make([]float32, 2*s.Start(s.Len()))
	return out, run.Run(ctx, s, func(examples []int, tape *op.Tape, b *batch.Batch, y mat.Tensor) error {
		v := op.Values(y)
		for i, e := range examples {
			copy(out[2*s.Start(e):2*s.Start(e+1)], v[2*b.Seqs.Starts[i]:2*b.Seqs.Starts[i+1]])
		}
		if each != nil {
			each(tape, b, y)
		}
		return nil
	})
}

// Predict answers the questions of a file. It returns an answer for each, in order, and the counts of their windows.
// It returns an error if a logit is not finite.
func (p *Predictor) Predict(ctx context.Context, f *question.File) ([]Answer, Counts, error) {
	return PredictEach(ctx, f, p.all)
}

// all is the function of [PredictEach] for a predictor that serves all questions.
func (p *Predictor) all(int) *Predictor { return p }

// PredictEach is like [Predictor.Predict] for a file whose questions several predictors serve: of returns that of each.
// The predictors have one model in common, see [tasks.Opening], and their questions share batches, which changes no bit
// of the results.
func PredictEach(ctx context.Context, f *question.File, of func(row int) *Predictor) ([]Answer, Counts, error) {
	if f.Len() == 0 {
		return nil, Counts{}, ctx.Err()
	}
	p := of(0)
	s, err := p.encodeEach(ctx, f, of, true)
	if err != nil {
		return nil, Counts{}, err
	}
	run := p.Inference(p.Net.Logits)
	adapters := make([]nn.AdapterSet, 0, s.Len()) // of each window
	for i := range f.Len() {
		for range s.first[i+1] - s.first[i] {
			adapters = append(adapters, of(i).Adapter)
		}
	}
	run.AdapterOf = func(window int) nn.AdapterSet { return adapters[window] }
	logits, err := windowLogits(ctx, run, s, nil)
	if err != nil {
		return nil, s.counts, err
	}
	list, err := answersEach(f, s, logits, of)
	return list, s.counts, err
}

// MetricNames lists the metrics of a file with answers, the deciding one first, as transformers names them.
func (p *Predictor) MetricNames() []string {
	if p.cfg.NullAnswers {
		return []string{
			"f1", "exact_match", "HasAns_f1", "HasAns_exact", "NoAns_f1", "NoAns_exact",
			"best_f1", "best_f1_thresh", "best_exact", "best_exact_thresh", "loss",
		}
	}
	return []string{"f1", "exact_match", "loss"}
}

// Score returns the metrics but the loss, in percent, of answers that were predicted before: those of
// [Predictor.Predict] for the same file. Questions whose answers are not given do not count; if none counts, the result
// is the zero Metrics. The best values are found as transformers' run_qa.py finds them: with answers that the threshold
// has replaced by no answer already, so that only a lower threshold can be better.
func (p *Predictor) Score(f *question.File, answers []Answer) (train.Metrics, error) {
	if len(answers) != f.Len() {
		return train.Metrics{}, fmt.Errorf("qa: %d answers for %d questions", len(answers), f.Len())
	}
	if f.Labelled() == 0 {
		return train.Metrics{}, nil
	}
	texts := make(map[string]string, len(answers))
	var null map[string]float64
	if p.cfg.NullAnswers {
		null = make(map[string]float64, len(answers))
	}
	for i, q := range f.All() {
		texts[q.ID] = answers[i].Text
		if null != nil {
			null[q.ID] = answers[i].NullDiff
		}
	}
	s, err := metrics.SQuAD(texts, f.Values(), null)
	if err != nil {
		return train.Metrics{}, fmt.Errorf("qa: %s: %w", f.Name, err)
	}
	values := []float64{s.F1, s.Exact}
	if p.cfg.NullAnswers {
		values = append(values, orNaN(s.HasAnsF1, s.HasAnsTotal), orNaN(s.HasAnsExact, s.HasAnsTotal),
			orNaN(s.NoAnsF1, s.NoAnsTotal), orNaN(s.NoAnsExact, s.NoAnsTotal),
			s.BestF1, s.BestF1Thresh, s.BestExact, s.BestExactThresh)
	}
	m := train.Metrics{Main: "f1"}
	for i, v := range values {
		m.Values = append(m.Values, train.Metric{Name: p.MetricNames()[i], Value: v})
	}
	return m, nil
}

// orNaN returns v, the mean of n values, or NaN if n is 0.
func orNaN(v float64, n int) float64 {
	if n == 0 {
		return math.NaN()
	}
	return v
}
