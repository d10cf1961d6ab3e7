package tasks

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// SeqClsConfig says how texts become logits and logits a loss. The zero value of each field but Labels is usable.
type SeqClsConfig struct {
	Labels       *data.Labels
	MaxLength    int               // tokens of a text or pair, special tokens included; 0: what model and tokenizer allow
	Truncation   tokenize.Strategy // what to cut of a longer one
	Smoothing    float32           // label_smoothing_factor, single label only
	ClassWeights []float32         // one for each class, or nil; single label only
	EvalTokens   int               // tokens of an evaluation batch; 0: 4096
	Pool         *op.Pool
	Adapter      nn.AdapterSet // in use when evaluating and predicting; nil: the base model
}

// SeqCls is sequence classification (or regression) of single texts and pairs. It implements [train.Task]. Once made it
// is not changed and is safe for concurrent use.
type SeqCls struct {
	model  models.SequenceClassifier
	tok    *tokenize.Tokenizer
	cfg    SeqClsConfig
	sets   map[batch.Split]*textSet
	cut    map[batch.Split]int
	length int
}

// NewSeqCls returns a task without examples; Add gives it some. Settings that contradict each other, the model or the
// tokenizer are reported in one error.
func NewSeqCls(m models.SequenceClassifier, tok *tokenize.Tokenizer, c SeqClsConfig) (*SeqCls, error) {
	errs := checkText(m, tok, c.MaxLength)
	k := len(c.Labels.Names)
	if c.Labels.Problem == data.Regression {
		k = 1
	}
	if m.Labels() != k {
		errs = append(errs, fmt.Errorf("the model's head has %d outputs for %d labels", m.Labels(), k))
	}
	if single := c.Labels.Problem == data.SingleLabel; !single && (c.Smoothing != 0 || c.ClassWeights != nil) {
		errs = append(errs, fmt.Errorf("label smoothing and class weights need single-label classification, not %v", c.Labels.Problem))
	}
	errs = append(errs, checkLoss(c.Smoothing, c.ClassWeights, k)...)
	if len(errs) > 0 {
		return nil, fmt.Errorf("tasks: %w", errors.Join(errs...))
	}
	t := &SeqCls{model: m, tok: tok, cfg: c, sets: map[batch.Split]*textSet{}, cut: map[batch.Split]int{}}
	t.length = textLimit(m, tok, c.MaxLength)
	if c.EvalTokens == 0 {
		t.cfg.EvalTokens = 4096
	}
	return t, nil
}

// Add tokenises a table and makes it one of the task's splits. It must not be called while the task is in use.
func (t *SeqCls) Add(ctx context.Context, s batch.Split, table *text.File) error {
	set, cut, err := t.encode(ctx, table)
	if err != nil {
		return err
	}
	wanted, err := targets(t.cfg.Labels, table)
	if err != nil {
		return err
	}
	set.labels, set.values, set.width = wanted.labels, wanted.values, wanted.width
	t.sets[s], t.cut[s] = set, cut
	return nil
}

func (t *SeqCls) encode(ctx context.Context, table *text.File) (*textSet, int, error) {
	o := tokenize.Options{MaxLength: t.length, Truncation: t.cfg.Truncation}
	return encode(ctx, t.tok, table, o, t.cfg.Pool.Workers())
}

// Truncated returns how many texts of a split were cut to the length limit, and the limit.
func (t *SeqCls) Truncated(s batch.Split) (texts, limit int) { return t.cut[s], t.length }

// Set returns the examples of a split, or nil.
func (t *SeqCls) Set(s batch.Split) batch.Set {
	if set, ok := t.sets[s]; ok {
		return set
	}
	return nil
}

// Loss returns the summed loss of b and what its mean divides by: cross-entropy over classes (targets, or the sum of
// their class weights), binary cross-entropy or squared error (all values).
func (t *SeqCls) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, targets := t.loss(p.Tape, t.model.Logits(p, b), b)
	return sum, targets, nil
}

func (t *SeqCls) loss(tape *op.Tape, logits mat.Tensor, b *batch.Batch) (mat.Tensor, float64) {
	switch t.cfg.Labels.Problem {
	case data.MultiLabel:
		return op.BCEWithLogits(tape, logits, b.Values), float64(len(b.Values))
	case data.Regression:
		return op.MSE(tape, logits, b.Values), float64(len(b.Values))
	}
	return op.CrossEntropy(tape, logits, b.Labels, op.CrossEntropyConfig{ClassWeights: t.cfg.ClassWeights, Smoothing: t.cfg.Smoothing})
}

// Logits computes the logits of a table, row after row: n×Labels.
func (t *SeqCls) Logits(ctx context.Context, table *text.File) ([]float32, error) {
	logits, _, err := t.Predict(ctx, table)
	return logits, err
}

// forward runs the model over a set without recording.
func (t *SeqCls) forward(ctx context.Context, set batch.Set, f func(rows []int, tape *op.Tape, logits mat.Tensor, b *batch.Batch)) error {
	tape := op.NewEvalTape(t.cfg.Pool)
	err := eachBatch(ctx, set, t.cfg.EvalTokens, func(rows []int, b *batch.Batch) error {
		f(rows, tape, t.model.Logits(&nn.Pass{Tape: tape, Adapter: t.cfg.Adapter}, b), b)
		tape.Reset()
		return nil
	})
	return errors.Join(err, tape.Close())
}

func (t *SeqCls) scatter(out []float32, rows []int, logits mat.Tensor) {
	k, v := t.model.Labels(), op.Values(logits)
	for i, r := range rows {
		copy(out[r*k:(r+1)*k], v[i*k:(i+1)*k])
	}
}

// MetricNames lists the metrics of Evaluate, the deciding one first.
func (t *SeqCls) MetricNames() []string {
	switch t.cfg.Labels.Problem {
	case data.MultiLabel:
		return []string{"micro_f1", "macro_f1", "subset_accuracy", "loss"}
	case data.Regression:
		return []string{"pearson", "spearman", "mse", "loss"}
	}
	return []string{"accuracy", "macro_f1", "matthews", "loss"}
}

// Evaluate scores a split with the adapter of the configuration.
func (t *SeqCls) Evaluate(ctx context.Context, s batch.Split) (train.Metrics, error) {
	set, ok := t.sets[s]
	if !ok {
		return train.Metrics{}, fmt.Errorf("tasks: there are no %v examples to evaluate", s)
	}
	logits := make([]float32, set.Len()*t.model.Labels())
	loss, targets := 0.0, 0.0
	err := t.forward(ctx, set, func(rows []int, tape *op.Tape, x mat.Tensor, b *batch.Batch) {
		t.scatter(logits, rows, x)
		sum, n := t.loss(tape, x, b)
		loss += float64(op.Values(sum)[0])
		targets += n
	})
	if err != nil {
		return train.Metrics{}, err
	}
	values, err := t.score(set, logits)
	if err != nil {
		return train.Metrics{}, fmt.Errorf("tasks: %v: %w", s, err)
	}
	values = append(values, train.Metric{Name: "loss", Value: loss / targets, LowerIsBetter: true})
	return train.Metrics{Main: values[0].Name, Values: values}, nil
}

func (t *SeqCls) score(set *textSet, logits []float32) ([]train.Metric, error) {
	k := t.model.Labels()
	names := t.MetricNames()
	list := func(scores ...metrics.Score) []train.Metric {
		var ms []train.Metric
		for i, s := range scores {
			ms = append(ms, metric(names[i], s, names[i] == "mse"))
		}
		return ms
	}
	switch t.cfg.Labels.Problem {
	case data.MultiLabel:
		s, err := metrics.MultiLabel(set.values, logits, k, 0)
		if err != nil {
			return nil, err
		}
		return list(s.MicroF1, s.MacroF1, s.SubsetAccuracy), nil
	case data.Regression:
		s, err := metrics.Regression(set.values, logits)
		if err != nil {
			return nil, err
		}
		return list(s.Pearson, s.Spearman, s.MSE), nil
	}
	s, err := metrics.Classes(set.labels, ArgMax(logits, k), k)
	if err != nil {
		return nil, err
	}
	return list(s.Accuracy, s.MacroF1, s.Matthews), nil
}

// metric makes a score what a training loop takes.
func metric(name string, s metrics.Score, lowerIsBetter bool) train.Metric {
	return train.Metric{Name: name, Value: s.Value, LowerIsBetter: lowerIsBetter, Reason: s.Reason}
}

// ArgMax returns the column of the largest value of each row of n×k; the first among equals.
func ArgMax(v []float32, k int) []int32 {
	out := make([]int32, len(v)/k)
	for i := range out {
		row := v[i*k : (i+1)*k]
		for j, x := range row {
			if x > row[out[i]] {
				out[i] = int32(j)
			}
		}
	}
	return out
}

// byLength returns the numbers of all examples, the longest first, in their own order among equals.
func byLength(s batch.Set) []int {
	order := make([]int, s.Len())
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return s.Tokens(order[a]) > s.Tokens(order[b]) })
	return order
}
