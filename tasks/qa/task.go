package tasks

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
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// What transformers' examples take where nothing is said.
const (
	standardWindow = 384 // tokens
	standardStride = 128 // tokens that windows share
	standardNBest  = 20
	standardAnswer = 30 // tokens
)

// NoOverlap is the DocStride of windows that share no tokens.
const NoOverlap = -1

// QuestionAnsweringConfig says how questions on contexts become logits, a loss and answers. The zero value is usable: it has the defaults of transformers'
// run_qa.py.
type QuestionAnsweringConfig struct {
	MaxLength      int // tokens of a window, with question and special tokens; 0: 384, or what model and tokenizer allow
	DocStride      int // tokens that a context's windows have in common; 0: 128, less where windows have no room for more
	MaxQueryLength int // tokens that are kept of a question; 0: all
	NBest          int // answers that are kept of a question, best starts and ends that are paired; 0: 20
	MaxAnswer      int // tokens of an answer that is predicted; 0: 30
	// NullAnswers says that a question may have no answer (SQuAD 2): the first token of a window stands for it.
	NullAnswers bool
	// NullThreshold is by how much the score of no answer must exceed that of the best answer to be predicted.
	NullThreshold float64
	// ZeroTypes gives all tokens the type 0, as PEFT does with an adapter for QUESTION_ANS.
	ZeroTypes  bool
	EvalTokens int // tokens of an evaluation batch; 0: 4096
	Pool       *op.Pool
	Adapter    nn.AdapterSet // in use when evaluating and predicting; nil: the base model
}

// QuestionAnswering is extractive question answering: the answer to a question is a part of a context. A context that is too long for one sequence becomes
// several, each an example of its own, which overlap; where the answer is not in a window, the window's first token is the target. It
// implements [train.Task]. Once made it is not changed and is safe for concurrent use.
type QuestionAnswering struct {
	model     models.QuestionAnswerer
	tok       *tokenize.Tokenizer
	cfg       QuestionAnsweringConfig
	cut       tokenize.Windowing
	sets      map[batch.Split]*questionSet
	questions map[batch.Split]*question.File
}

// NewQuestionAnswering returns a task without examples; Add gives it some. Settings that contradict each other, the model or the tokenizer are reported in
// one error.
func NewQuestionAnswering(m models.QuestionAnswerer, tok *tokenize.Tokenizer, c QuestionAnsweringConfig) (*QuestionAnswering, error) {
	errs := checkText(m, tok, c.MaxLength)
	negative := func(what string, n int) {
		if n < 0 {
			errs = append(errs, fmt.Errorf("%s is %d; want 1 or more, or 0 for the default", what, n))
		}
	}
	negative("max_query_length", c.MaxQueryLength)
	negative("n_best_size", c.NBest)
	negative("max_answer_length", c.MaxAnswer)
	if c.DocStride < NoOverlap {
		errs = append(errs, fmt.Errorf("doc_stride is %d; want 0 or more", c.DocStride))
	}
	if math.IsNaN(c.NullThreshold) {
		errs = append(errs, errors.New("null_score_diff_threshold is NaN"))
	}
	if !c.NullAnswers && c.NullThreshold != 0 {
		errs = append(errs, errors.New("null_score_diff_threshold needs questions that may have no answer"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("tasks: %w", errors.Join(errs...))
	}
	t := &QuestionAnswering{model: m, tok: tok, cfg: c, sets: map[batch.Split]*questionSet{}, questions: map[batch.Split]*question.File{}}
	t.cut = tokenize.Windowing{MaxLength: textLimit(m, tok, c.MaxLength), Stride: max(c.DocStride, 0), MaxText: c.MaxQueryLength}
	if c.MaxLength == 0 {
		t.cut.MaxLength = min(t.cut.MaxLength, standardWindow)
	}
	if c.DocStride == 0 {
		t.cut.Stride, t.cut.Shrink = standardStride, true
	}
	t.cfg.NBest, t.cfg.MaxAnswer = cmp.Or(c.NBest, standardNBest), cmp.Or(c.MaxAnswer, standardAnswer)
	t.cfg.EvalTokens = cmp.Or(c.EvalTokens, 4096)
	return t, nil
}

// Add tokenises questions and makes them one of the task's splits. It must not be called while the task is in use.
func (t *QuestionAnswering) Add(ctx context.Context, s batch.Split, q *question.File) error {
	set, err := t.encode(ctx, q)
	if err != nil {
		return err
	}
	t.sets[s], t.questions[s] = set, q
	return nil
}

// Counts tells what became of the questions of a split.
func (t *QuestionAnswering) Counts(s batch.Split) QuestionCounts {
	if set, ok := t.sets[s]; ok {
		return set.counts
	}
	return QuestionCounts{}
}

// Limit returns how many tokens a window may have.
func (t *QuestionAnswering) Limit() int { return t.cut.MaxLength }

// Set returns the windows of a split, or nil.
func (t *QuestionAnswering) Set(s batch.Split) batch.Set {
	if set, ok := t.sets[s]; ok {
		return set
	}
	return nil
}

// Loss returns the summed cross-entropy of the starts and of the ends of b, each a softmax over the tokens of a window, and the number of
// both: their mean is the mean of transformers' two means.
func (t *QuestionAnswering) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, targets := op.GroupCrossEntropy(p.Tape, t.model.Logits(p, b), b.Seqs.Starts, b.Labels)
	return sum, targets, nil
}

// forward computes the logits of all tokens of a set, start and end of one after the other, without recording. each is called for each
// batch; nil: nothing.
func (t *QuestionAnswering) forward(ctx context.Context, set *questionSet, each func(tape *op.Tape, logits mat.Tensor, b *batch.Batch)) ([]float32, error) {
	out := make([]float32, 2*len(set.ids))
	tape := op.NewEvalTape(t.cfg.Pool)
	err := eachBatch(ctx, set, t.cfg.EvalTokens, func(rows []int, b *batch.Batch) error {
		logits := t.model.Logits(&nn.Pass{Tape: tape, Adapter: t.cfg.Adapter}, b)
		v := op.Values(logits)
		for i, r := range rows {
			copy(out[2*set.starts[r]:2*set.starts[r+1]], v[2*b.Seqs.Starts[i]:2*b.Seqs.Starts[i+1]])
		}
		if each != nil {
			each(tape, logits, b)
		}
		tape.Reset()
		return nil
	})
	return out, errors.Join(err, tape.Close())
}

// Predict answers questions. It returns an answer for each, in order, and what became of the questions.
func (t *QuestionAnswering) Predict(ctx context.Context, q *question.File) ([]AnswerPrediction, QuestionCounts, error) {
	set, err := t.encode(ctx, q)
	if err != nil {
		return nil, QuestionCounts{}, err
	}
	logits, err := t.forward(ctx, set, nil)
	if err != nil {
		return nil, set.counts, err
	}
	answers, err := t.answers(q, set, logits)
	return answers, set.counts, err
}

// MetricNames lists the metrics of Evaluate, the deciding one first, as transformers names them.
func (t *QuestionAnswering) MetricNames() []string {
	if t.cfg.NullAnswers {
		return []string{"f1", "exact_match", "HasAns_f1", "HasAns_exact", "NoAns_f1", "NoAns_exact",
			"best_f1", "best_f1_thresh", "best_exact", "best_exact_thresh", "loss"}
	}
	return []string{"f1", "exact_match", "loss"}
}

// Evaluate answers the questions of a split with the adapter of the configuration and scores the answers.
func (t *QuestionAnswering) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, ok := t.sets[s]
	if !ok {
		return train.Metrics{}, fmt.Errorf("tasks: there are no %v questions to evaluate", s)
	}
	if t.questions[s].Labelled() == 0 {
		return train.Metrics{}, fmt.Errorf("tasks: %s: %w", t.questions[s].Name, metrics.ErrNoTargets)
	}
	loss, targets := 0.0, 0.0
	logits, err := t.forward(ctx, set, func(tape *op.Tape, logits mat.Tensor, b *batch.Batch) {
		sum, n := op.GroupCrossEntropy(tape, logits, b.Seqs.Starts, b.Labels)
		loss += float64(op.Values(sum)[0])
		targets += n
	})
	if err != nil {
		return train.Metrics{}, err
	}
	answers, err := t.answers(t.questions[s], set, logits)
	if err != nil {
		return train.Metrics{}, err
	}
	m, err := t.Score(t.questions[s], answers)
	if err != nil {
		return train.Metrics{}, err
	}
	m.Values = append(m.Values, train.Metric{Name: "loss", Value: loss / targets, LowerIsBetter: true})
	return m, nil
}

// Score returns the metrics of Evaluate but the loss, in percent, for answers that were predicted before. Questions whose answers are not
// given do not count; if none counts, the result is the zero Metrics. The best values are found as transformers' run_qa.py finds them: with
// answers that NullThreshold has made no answer already, so that only a lower threshold can be better.
func (t *QuestionAnswering) Score(q *question.File, answers []AnswerPrediction) (train.Metrics, error) {
	if len(answers) != q.Len() {
		return train.Metrics{}, fmt.Errorf("tasks: %d answers for %d questions", len(answers), q.Len())
	}
	if q.Labelled() == 0 {
		return train.Metrics{}, nil
	}
	texts := make(map[string]string, len(answers))
	var null map[string]float64
	if t.cfg.NullAnswers {
		null = make(map[string]float64, len(answers))
	}
	for i, e := range q.All() {
		texts[e.ID] = answers[i].Text
		if null != nil {
			null[e.ID] = answers[i].NullDiff
		}
	}
	s, err := metrics.SQuAD(texts, q.Values(), null)
	if err != nil {
		return train.Metrics{}, fmt.Errorf("tasks: %s: %w", q.Name, err)
	}
	values := []float64{s.F1, s.Exact}
	if t.cfg.NullAnswers {
		values = append(values, orNaN(s.HasAnsF1, s.HasAnsTotal), orNaN(s.HasAnsExact, s.HasAnsTotal), orNaN(s.NoAnsF1, s.NoAnsTotal),
			orNaN(s.NoAnsExact, s.NoAnsTotal), s.BestF1, s.BestF1Thresh, s.BestExact, s.BestExactThresh)
	}
	m := train.Metrics{Main: "f1"}
	for i, v := range values {
		m.Values = append(m.Values, train.Metric{Name: t.MetricNames()[i], Value: v})
	}
	return m, nil
}

// orNaN returns v, or NaN for the mean of nothing.
func orNaN(v float64, n int) float64 {
	if n == 0 {
		return math.NaN()
	}
	return v
}
