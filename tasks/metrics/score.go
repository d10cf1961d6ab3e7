package metrics

import (
	"errors"
	"fmt"
)

// ErrNoTargets is wrapped by errors about predictions none of which has a
// target.
var ErrNoTargets = errors.New("no row has a target")

// Score is the value of a metric, always finite.
type Score struct {
	Value float64 `json:"value"`
	// Reason says why the metric is not defined for the data and Value is a
	// convention; "" if it is defined.
	Reason string `json:"reason,omitempty"`
}

// String returns the value with four decimals, and the reason if there is one.
func (s Score) String() string {
	if s.Reason != "" {
		return fmt.Sprintf("%.4f (%s)", s.Value, s.Reason)
	}
	return fmt.Sprintf("%.4f", s.Value)
}

// ClassScore is how well one class is found.
type ClassScore struct {
	Precision float64 // right among the predicted, 0 if none is predicted
	Recall    float64 // right among the targets, 0 if none is a target
	F1        float64 // harmonic mean of both, 0 if both are 0
	Targets   int     // rows whose target is the class
	Predicted int     // rows for which it is predicted
	Correct   int     // rows for which both are so
}

// classScore computes the ratios of counts.
func classScore(targets, predicted, correct int) ClassScore {
	return ClassScore{
		Precision: ratio(correct, predicted), Recall: ratio(correct, targets), F1: ratio(2*correct, targets+predicted),
		Targets: targets, Predicted: predicted, Correct: correct,
	}
}

// ratio returns a/b, 0 for 0/0.
func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}
