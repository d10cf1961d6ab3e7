package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// MultipleChoiceConfig says how questions become sequences. The zero value is usable.
type MultipleChoiceConfig struct {
	MaxLength  int               // tokens of a choice with what stands before it, special tokens included; 0: what model and tokenizer allow
	Truncation tokenize.Strategy // what to cut of a longer one
	EvalTokens int               // tokens of an evaluation batch; 0: 4096
	Pool       *op.Pool
	Adapter    nn.AdapterSet // in use when evaluating and predicting; nil: the base model
}

// MultipleChoice picks one of the choices of a question: each choice is a pair of texts ([choice.Question.Pair]) that the model gives a
// score, and the scores of a question are compared with each other. Questions may have different numbers of choices. It implements
// [train.Task], whose examples are questions. Once made and given its examples it is not changed and is safe for concurrent use.
type MultipleChoice struct {
	model  models.MultipleChoice
	tok    *tokenize.Tokenizer
	cfg    MultipleChoiceConfig
	sets   map[batch.Split]*choiceSet
	length int
}

// NewMultipleChoice returns a task without examples; Add gives it some. Settings that contradict each other, the model or the
// tokenizer are reported in one error.
func NewMultipleChoice(m models.MultipleChoice, tok *tokenize.Tokenizer, c MultipleChoiceConfig) (*MultipleChoice, error) {
	if errs := checkText(m, tok, c.MaxLength); len(errs) > 0 {
		return nil, fmt.Errorf("tasks: %w", errors.Join(errs...))
	}
	t := &MultipleChoice{model: m, tok: tok, cfg: c, sets: map[batch.Split]*choiceSet{}, length: textLimit(m, tok, c.MaxLength)}
	if c.EvalTokens == 0 {
		t.cfg.EvalTokens = 4096
	}
	return t, nil
}

// Add tokenises questions and makes them one of the task's splits. It must not be called while the task is in use.
func (t *MultipleChoice) Add(ctx context.Context, s batch.Split, c *choice.File) error {
	set, err := t.encode(ctx, c)
	if err != nil {
		return err
	}
	t.sets[s] = set
	return nil
}

// encode tokenises every choice of every question.
func (t *MultipleChoice) encode(ctx context.Context, c *choice.File) (*choiceSet, error) {
	set := &choiceSet{starts: make([]int, 1, c.Len()+1)}
	var inputs []tokenize.Input
	var questions []int // of each choice
	for q, e := range c.All() {
		if e.Label >= len(e.Endings) || len(e.Endings) == 0 {
			return nil, &data.Error{File: c.Name, Line: e.Line, Msg: fmt.Sprintf("the question has %d choices and the label %d", len(e.Endings), e.Label)}
		}
		for i := range e.Endings {
			first, second := e.Pair(i)
			inputs = append(inputs, tokenize.Input{Text: first, Pair: second, HasPair: true})
			questions = append(questions, q)
		}
		set.starts = append(set.starts, len(inputs))
		label := int32(e.Label)
		if label < 0 {
			label = batch.Ignore
		}
		set.labels = append(set.labels, label)
	}
	o := tokenize.Options{MaxLength: t.length, Truncation: t.cfg.Truncation}
	texts, cut, err := encodeInputs(ctx, t.tok, c.Name, inputs, func(i int) int { return c.At(questions[i]).Line }, o, t.cfg.Pool.Workers())
	if err != nil {
		return nil, err
	}
	if t.model.TokenTypes() < 2 {
		texts.types = nil
	}
	set.texts = texts
	for q := range c.Len() {
		if slices.Contains(cut[set.starts[q]:set.starts[q+1]], true) {
			set.cut++
		}
	}
	return set, nil
}

// choiceSet is a list of questions: the batch.Set of multiple choice.
type choiceSet struct {
	texts  *textSet // all choices of all questions, one after another
	starts []int    // n+1: question q has the choices starts[q] to starts[q+1]
	labels []int32  // index of the right choice of each question, batch.Ignore for none
	cut    int      // questions of which a choice was cut to the length limit
}

// Len returns the number of questions.
func (s *choiceSet) Len() int { return len(s.labels) }

// Tokens returns the length of all choices of question q.
func (s *choiceSet) Tokens(q int) int {
	return s.texts.starts[s.starts[q+1]] - s.texts.starts[s.starts[q]]
}

// Batch makes a batch of questions: Seqs has a sequence for each choice, numbered among all choices of the set. It
// never fails.
func (s *choiceSet) Batch(ctx context.Context, questions []int, key op.Key) (*batch.Batch, error) {
	var choices []int
	groups := make([]int, 1, len(questions)+1)
	labels := make([]int32, len(questions))
	for g, q := range questions {
		for i := s.starts[q]; i < s.starts[q+1]; i++ {
			choices = append(choices, i)
		}
		groups = append(groups, len(choices))
		labels[g] = s.labels[q]
	}
	b, err := s.texts.Batch(ctx, choices, key)
	if err != nil {
		return nil, err
	}
	b.Groups, b.Labels = groups, labels
	return b, nil
}

// Truncated returns how many questions of a split have choices that were cut to the length limit, and the limit.
func (t *MultipleChoice) Truncated(s batch.Split) (questions, limit int) {
	if set, ok := t.sets[s]; ok {
		return set.cut, t.length
	}
	return 0, t.length
}

// Limit returns how many tokens a choice, with what stands before it, may have before it is cut.
func (t *MultipleChoice) Limit() int { return t.length }

// Set returns the examples of a split, or nil.
func (t *MultipleChoice) Set(s batch.Split) batch.Set {
	if set, ok := t.sets[s]; ok {
		return set
	}
	return nil
}

// Loss returns the summed cross-entropy of the questions of b, each over its choices, and the number of questions that have an answer.
func (t *MultipleChoice) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, targets := op.GroupCrossEntropy(p.Tape, t.model.Logits(p, b), b.Groups, b.Labels)
	return sum, targets, nil
}

// MetricNames lists the metrics of Evaluate, the deciding one first.
func (t *MultipleChoice) MetricNames() []string { return []string{"accuracy", "loss"} }

// Evaluate scores a split with the adapter of the configuration. Questions without an answer do not count.
func (t *MultipleChoice) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, ok := t.sets[s]
	if !ok {
		return train.Metrics{}, fmt.Errorf("tasks: there are no %v examples to evaluate", s)
	}
	logits, err := t.logits(ctx, set)
	if err != nil {
		return train.Metrics{}, err
	}
	m := choiceMetrics(set.labels, func(q int) []float32 { return logits[set.starts[q]:set.starts[q+1]] })
	if len(m.Values) == 0 {
		return m, fmt.Errorf("tasks: %v: no question has an answer to compare with", s)
	}
	return m, nil
}

// logits computes one number for each choice of a set.
func (t *MultipleChoice) logits(ctx context.Context, set *choiceSet) ([]float32, error) {
	out := make([]float32, set.starts[set.Len()])
	err := infer(ctx, set, t.cfg.EvalTokens, t.cfg.Pool, t.cfg.Adapter, t.model.Logits, func(b *batch.Batch, y mat.Tensor) {
		x := op.Values(y)
		for i, choice := range b.Seqs.Index {
			out[choice] = x[i]
		}
	})
	return out, err
}

// choiceMetrics returns accuracy and mean loss of the questions that have a label, the zero Metrics if none has.
func choiceMetrics(labels []int32, logits func(q int) []float32) train.Metrics {
	right, n, loss := 0, 0, 0.0
	for q, label := range labels {
		if label == batch.Ignore {
			continue
		}
		row := logits(q)
		if ArgMax(row, len(row))[0] == label {
			right++
		}
		loss += logSumExp(row) - float64(row[label])
		n++
	}
	if n == 0 {
		return train.Metrics{}
	}
	return train.Metrics{Main: "accuracy", Values: []train.Metric{
		{Name: "accuracy", Value: float64(right) / float64(n)},
		{Name: "loss", Value: loss / float64(n), LowerIsBetter: true},
	}}
}

// ChoicePrediction is what a model says about one question.
type ChoicePrediction struct {
	Index         int       // of the most probable choice; the first among equals
	Logits        []float32 // one for each choice
	Probabilities []float32 // their softmax
}

// Predict scores the choices of all questions, and counts the questions of which a choice was cut to the length limit.
func (t *MultipleChoice) Predict(ctx context.Context, c *choice.File) (list []ChoicePrediction, truncated int, err error) {
	set, err := t.encode(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	logits, err := t.logits(ctx, set)
	if err != nil {
		return nil, 0, err
	}
	list = make([]ChoicePrediction, set.Len())
	for q := range list {
		row := logits[set.starts[q]:set.starts[q+1]:set.starts[q+1]]
		list[q] = ChoicePrediction{Index: int(ArgMax(row, len(row))[0]), Logits: row, Probabilities: Probabilities(data.SingleLabel, row, len(row))}
	}
	return list, set.cut, nil
}

// Score returns the metrics of Evaluate for predictions that were made before, those of [MultipleChoice.Predict] for the same questions.
// Questions without an answer do not count; without any the result is the zero Metrics.
func (t *MultipleChoice) Score(c *choice.File, predictions []ChoicePrediction) (train.Metrics, error) {
	if len(predictions) != c.Len() {
		return train.Metrics{}, fmt.Errorf("tasks: %d predictions for %d questions", len(predictions), c.Len())
	}
	labels := make([]int32, c.Len())
	for q, e := range c.All() {
		labels[q] = batch.Ignore
		if e.Label >= 0 {
			labels[q] = int32(e.Label)
		}
		if n := len(e.Endings); n != len(predictions[q].Logits) || e.Label >= n {
			return train.Metrics{}, fmt.Errorf("tasks: %d logits for the %d choices of question %d (label %d)", len(predictions[q].Logits), n, q, e.Label)
		}
	}
	m := choiceMetrics(labels, func(q int) []float32 { return predictions[q].Logits })
	for _, v := range m.Values {
		if math.IsNaN(v.Value) {
			return m, fmt.Errorf("tasks: %s: %s is no number; the weights of the model or the adapter are damaged", c.Name, v.Name)
		}
	}
	return m, nil
}
