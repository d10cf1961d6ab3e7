package tasks

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// Probabilities turns logits (n×k, row after row) into what they say about classes: softmax over each row for a single
// label, the sigmoid of each for several. Logits of a regression are the values themselves and are returned as they are.
// Logits that are infinite or NaN give NaN somewhere in their row.
func Probabilities(p data.Problem, logits []float32, k int) []float32 {
	if p == data.Regression {
		return logits
	}
	out := make([]float32, len(logits))
	if p == data.MultiLabel {
		for i, x := range logits {
			out[i] = float32(1 / (1 + math.Exp(-float64(x))))
		}
		return out
	}
	for lo := 0; lo < len(logits); lo += k {
		row := logits[lo : lo+k]
		norm := logSumExp(row)
		for j, x := range row {
			out[lo+j] = float32(math.Exp(float64(x) - norm))
		}
	}
	return out
}

// logSumExp returns ln Σ exp(x), without overflow.
func logSumExp(row []float32) float64 {
	top := math.Inf(-1)
	for _, x := range row {
		top = math.Max(top, float64(x))
	}
	sum := 0.0
	for _, x := range row {
		sum += math.Exp(float64(x) - top)
	}
	return top + math.Log(sum)
}

// Predict computes the logits of a table as Logits does, and counts the texts that were cut to the length limit.
func (t *SeqCls) Predict(ctx context.Context, table *text.File) (logits []float32, truncated int, err error) {
	set, cut, err := t.encode(ctx, table)
	if err != nil {
		return nil, 0, err
	}
	out := make([]float32, set.Len()*t.model.Labels())
	err = t.forward(ctx, set, func(rows []int, _ *op.Tape, logits mat.Tensor, _ *batch.Batch) { t.scatter(out, rows, logits) })
	return out, cut, err
}

// Limit returns how many tokens a text or pair may have before it is cut.
func (t *SeqCls) Limit() int { return t.length }

// Score returns the metrics of Evaluate for logits that were computed before: n×Labels, those of [SeqCls.Predict] for the
// same table. Rows without a label do not count; without any the result is the zero Metrics. The loss knows neither
// smoothing nor class weights.
func (t *SeqCls) Score(table *text.File, logits []float32) (train.Metrics, error) {
	k, problem := t.model.Labels(), t.cfg.Labels.Problem
	if len(logits) != k*table.Len() {
		return train.Metrics{}, fmt.Errorf("tasks: %d logits for %d rows of %d", len(logits), table.Len(), k)
	}
	var kept []float32
	for i, e := range table.All() {
		if e.HasTarget(problem) {
			kept = append(kept, logits[i*k:(i+1)*k]...)
		}
	}
	set, err := targets(t.cfg.Labels, table.WithTargets(problem))
	if err != nil {
		return train.Metrics{}, err
	}
	if len(kept) == 0 || set.labels != nil && !slices.ContainsFunc(set.labels, func(c int32) bool { return c != batch.Ignore }) {
		return train.Metrics{}, nil
	}
	values, err := t.score(set, kept)
	if err != nil {
		return train.Metrics{}, fmt.Errorf("tasks: %s: %w", table.Name, err)
	}
	values = append(values, train.Metric{Name: "loss", Value: meanLoss(problem, set, kept, k), LowerIsBetter: true})
	return train.Metrics{Main: values[0].Name, Values: values}, nil
}

// targets returns a set that holds only what the rows of a table should come out as.
func targets(l *data.Labels, table *text.File) (*textSet, error) {
	set := textSet{width: max(1, len(l.Names))}
	var err error
	switch l.Problem {
	case data.SingleLabel:
		set.labels, err = table.Classes(l)
	case data.MultiLabel:
		set.values, err = table.Indicators(l)
	case data.Regression:
		set.values, err = table.Targets()
	}
	return &set, err
}

// meanLoss returns the mean over rows of −ln softmax(logits)[label], over all values of the binary cross-entropy, or over
// all values of the squared error.
func meanLoss(p data.Problem, set *textSet, logits []float32, k int) float64 {
	sum, n := 0.0, 0
	switch p {
	case data.SingleLabel:
		for i, c := range set.labels {
			if c != batch.Ignore {
				row := logits[i*k : (i+1)*k]
				sum += logSumExp(row) - float64(row[c])
				n++
			}
		}
	case data.MultiLabel:
		for i, y := range set.values {
			x := float64(logits[i])
			sum += math.Max(x, 0) - x*float64(y) + math.Log1p(math.Exp(-math.Abs(x)))
			n++
		}
	case data.Regression:
		for i, y := range set.values {
			d := float64(logits[i]) - float64(y)
			sum += d * d
			n++
		}
	}
	return sum / float64(n)
}
