package metrics

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// RegressionScores are the metrics of predicted numbers.
type RegressionScores struct {
	// Targets is the number of rows that count.
	Targets int
	// MSE is the mean of (prediction − target)².
	MSE Score
	// Pearson is the linear correlation, in [-1, 1]:
	//
	//	Σ (x−x̄)(y−ȳ) / √(Σ (x−x̄)² · Σ (y−ȳ)²)
	//
	// It is NaN where there are fewer than two rows or one side is constant, as in SciPy.
	Pearson Score
	// Spearman is Pearson's correlation of the ranks; equal numbers have the
	// mean of their ranks. It is NaN where Pearson is.
	Spearman Score
}

// Regression scores predictions against targets. Rows whose target is NaN do not count. It is an error if the lengths
// differ, a prediction is NaN or infinite, a target is infinite, or no row counts.
func Regression(targets, predictions []float32) (*RegressionScores, error) {
	if len(targets) != len(predictions) {
		return nil, fmt.Errorf("metrics: %d targets for %d predictions", len(targets), len(predictions))
	}
	var x, y []float64
	sum := 0.0
	for i, t := range targets {
		p := predictions[i]
		if t != t {
			continue
		}
		if p != p || math.IsInf(float64(p), 0) {
			return nil, fmt.Errorf("metrics: the prediction for row %d is %v: the model has diverged", i, p)
		}
		if math.IsInf(float64(t), 0) {
			return nil, fmt.Errorf("metrics: the target of row %d is %v", i, t)
		}
		x, y = append(x, float64(t)), append(y, float64(p))
		d := float64(p) - float64(t)
		sum += float64(d * d)
	}
	if len(x) == 0 {
		return nil, fmt.Errorf("metrics: %w", ErrNoTargets)
	}
	s := &RegressionScores{Targets: len(x), MSE: Score{Value: sum / float64(len(x))}}
	s.Pearson = pearson(x, y)
	s.Spearman = pearson(ranks(x), ranks(y))
	return s, nil
}

// pearson computes the correlation in two passes, so that a large mean does not cancel what varies.
func pearson(x, y []float64) Score {
	none := Score{Value: math.NaN()}
	switch {
	case len(x) < 2:
		none.Reason = "fewer than two rows have a target"
	case constant(x):
		none.Reason = "all targets are equal"
	case constant(y):
		none.Reason = "all predictions are equal"
	}
	if none.Reason != "" {
		return none
	}
	mx, my := mean(x), mean(y)
	var xx, yy, xy float64
	for i := range x {
		dx, dy := x[i]-mx, y[i]-my
		xx += float64(dx * dx)
		yy += float64(dy * dy)
		xy += float64(dx * dy)
	}
	return Score{Value: clamp(xy / (math.Sqrt(xx) * math.Sqrt(yy)))}
}

func constant(x []float64) bool {
	return !slices.ContainsFunc(x, func(v float64) bool { return v != x[0] })
}

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// ranks returns the rank of each number, from 1, the mean rank for equal ones.
func ranks(x []float64) []float64 {
	order := make([]int, len(x))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(x[a], x[b]) })
	out := make([]float64, len(x))
	for i := 0; i < len(order); {
		j := i + 1
		for j < len(order) && x[order[j]] == x[order[i]] {
			j++
		}
		for _, o := range order[i:j] {
			out[o] = float64(i+1+j) / 2 // mean of ranks i+1 … j
		}
		i = j
	}
	return out
}
