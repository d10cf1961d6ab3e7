package tasks

import (
	"fmt"
	"math"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/tasks/metrics"
	"github.com/spalora/spalora/train"
)

// Probabilities returns the probabilities of classes for logits (n×k, row after row): the softmax of each row for a
// single label, the sigmoid of each logit for several. Logits of a regression are the values themselves and are
// returned as they are. Logits that are infinite or NaN give NaN somewhere in their row.
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
		norm := LogSumExp(row)
		for j, x := range row {
			out[lo+j] = float32(math.Exp(float64(x) - norm))
		}
	}
	return out
}

// LogSumExp returns ln Σ exp(x), without overflow.
func LogSumExp(row []float32) float64 {
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

// Largest returns the index of the largest value, the first among equals.
func Largest(row []float32) int { return int(ArgMax(row, len(row))[0]) }

// Metric converts a score into a metric of the training loop.
func Metric(name string, s metrics.Score, lowerIsBetter bool) train.Metric {
	return train.Metric{Name: name, Value: s.Value, LowerIsBetter: lowerIsBetter, Reason: s.Reason}
}

// CheckLoss returns the errors about options of a cross-entropy over k classes.
func CheckLoss(smoothing float32, weights []float32, k int) []error {
	var errs []error
	if !(smoothing >= 0 && smoothing < 1) {
		errs = append(errs, fmt.Errorf("`label_smoothing_factor` is %g; want at least 0 and below 1", smoothing))
	}
	if weights != nil && len(weights) != k {
		errs = append(errs, fmt.Errorf("`class_weights` has %d weights for %d classes; give one for each", len(weights), k))
	}
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(float64(w), 0) {
			errs = append(errs, fmt.Errorf("`class_weights`: weight %d is %g; want 0 or more", i, w))
		}
	}
	return errs
}

// CheckFinite returns an error if one of the logits of the rows of a file, k for each, is NaN or infinite. line returns
// the line of row i.
func CheckFinite(file string, logits []float32, k int, line func(i int) int) error {
	for i, v := range logits {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%s:%d: logit %d is %v; the weights of the model or the adapter are damaged, get them again",
				file, line(i/k), i%k, f)
		}
	}
	return nil
}
