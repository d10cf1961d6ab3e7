package metrics

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// ErrNoTargets is wrapped by errors about predictions none of which has a target.
var ErrNoTargets = errors.New("no row has a target")

// Score is the value of a metric.
type Score struct {
	Value float64 // finite, or NaN
	// Reason says why the metric is not defined for the data: Value is then a
	// convention, or NaN if there is none. "" if it is defined.
	Reason string
}

// Undefined reports whether there is no value, not even by convention.
func (s Score) Undefined() bool { return math.IsNaN(s.Value) }

// String returns the value with four decimals, or "undefined", and the reason if there is one.
func (s Score) String() string {
	value := fmt.Sprintf("%.4f", s.Value)
	if s.Undefined() {
		value = "undefined"
	}
	if s.Reason != "" {
		return fmt.Sprintf("%s (%s)", value, s.Reason)
	}
	return value
}

// MarshalJSON writes {"value": …, "reason": …}, the value null where it is NaN, the reason only if there is one.
func (s Score) MarshalJSON() ([]byte, error) {
	var out struct {
		Value  *float64 `json:"value"`
		Reason string   `json:"reason,omitempty"`
	}
	if !s.Undefined() {
		out.Value = &s.Value
	}
	out.Reason = s.Reason
	return json.Marshal(out)
}

// ClassScore is how well one class is found.
type ClassScore struct {
	Precision float64 // right among the predicted, 0 if none is predicted
	Recall    float64 // right among the targets, 0 if none is a target
	F1        float64 // harmonic mean of both, 0 if both are 0
	Targets   int     // rows whose target is the class
	Predicted int     // rows for which it is predicted
	Correct   int     // rows for which the class is both the target and predicted
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
