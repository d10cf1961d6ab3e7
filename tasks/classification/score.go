package classification

import (
	"context"
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/train"
)

// top is the number of classes of top_5_accuracy.
const top = 5

// MetricNames lists the metrics of rows with labels, the deciding one first.
func (h Head) MetricNames() []string {
	switch h.Labels.Problem {
	case data.MultiLabel:
		return []string{"micro_f1", "macro_f1", "subset_accuracy", "loss"}
	case data.Regression:
		return []string{"pearson", "spearman", "mse", "loss"}
	}
	names := append(slices.Clone(h.Single), "loss")
	if len(h.Labels.Names) <= top { // the class always is among them
		names = slices.DeleteFunc(names, func(name string) bool { return name == "top_5_accuracy" })
	}
	return names
}

// Score returns the metrics of the logits of rows but the loss.
func (h Head) Score(t Targets, logits []float32) ([]train.Metric, error) {
	k := h.Outputs()
	var scores map[string]metrics.Score
	switch h.Labels.Problem {
	case data.MultiLabel:
		s, err := metrics.MultiLabel(t.Values, logits, k, 0)
		if err != nil {
			return nil, err
		}
		scores = map[string]metrics.Score{
			"micro_f1": s.MicroF1, "macro_f1": s.MacroF1, "subset_accuracy": s.SubsetAccuracy,
		}
	case data.Regression:
		s, err := metrics.Regression(t.Values, logits)
		if err != nil {
			return nil, err
		}
		scores = map[string]metrics.Score{"pearson": s.Pearson, "spearman": s.Spearman, "mse": s.MSE}
	default:
		s, err := metrics.Classes(t.Labels, tasks.ArgMax(logits, k), k)
		if err != nil {
			return nil, err
		}
		among, err := metrics.TopK(t.Labels, logits, k, top)
		if err != nil {
			return nil, err
		}
		scores = map[string]metrics.Score{
			"accuracy": s.Accuracy, "macro_f1": s.MacroF1, "matthews": s.Matthews, "top_5_accuracy": among,
		}
	}
	var list []train.Metric
	for _, name := range h.MetricNames() {
		if s, ok := scores[name]; ok {
			list = append(list, tasks.Metric(name, s, name == "mse"))
		}
	}
	return list, nil
}

// ScoreFile returns the metrics of logits that were computed for the rows of a file, row after row. Rows without a
// label do not count; without any the result is the zero Metrics. The loss knows neither smoothing nor class weights.
func ScoreFile[E data.LabelledRow[E], K any, P labelledFile[E, K]](
	h Head, f P, logits []float32,
) (train.Metrics, error) {
	k, problem := h.Outputs(), h.Labels.Problem
	if len(logits) != k*f.Len() {
		return train.Metrics{}, fmt.Errorf("classification: %d logits for %d rows of %d", len(logits), f.Len(), k)
	}
	var kept []float32
	for i := range f.Len() {
		if f.At(i).LabelOf().HasTarget(problem) {
			kept = append(kept, logits[i*k:(i+1)*k]...)
		}
	}
	wanted, err := TargetsOf[E, K](h.Labels, data.WithTargets[E, K](f, problem))
	if err != nil {
		return train.Metrics{}, err
	}
	if len(kept) == 0 || wanted.none() {
		return train.Metrics{}, nil
	}
	values, err := h.Score(wanted, kept)
	if err != nil {
		return train.Metrics{}, err
	}
	return withLoss(values, wanted.meanLoss(problem, kept, k)), nil
}

// withLoss adds the loss to metrics, of which the first decides.
func withLoss(values []train.Metric, loss float64) train.Metrics {
	values = append(values, train.Metric{Name: "loss", Value: loss, LowerIsBetter: true})
	return train.Metrics{Main: values[0].Name, Values: values}
}

// Evaluate scores a set: rows computes its logits, row after row, and calls each with every batch. It returns the
// logits too. The loss is that of training.
func (l Loss) Evaluate(
	ctx context.Context, h Head, t Targets,
	rows func(ctx context.Context, each func(tape *op.Tape, b *batch.Batch, logits mat.Tensor)) ([]float32, error),
) (train.Metrics, []float32, error) {
	loss, weight := 0.0, 0.0
	logits, err := rows(ctx, func(tape *op.Tape, b *batch.Batch, y mat.Tensor) {
		sum, n := l.Sum(tape, y, b)
		loss += float64(op.Values(sum)[0])
		weight += n
	})
	if err != nil {
		return train.Metrics{}, nil, err
	}
	values, err := h.Score(t, logits)
	if err != nil {
		return train.Metrics{}, nil, err
	}
	return withLoss(values, loss/weight), logits, nil
}
