package metrics

import (
	"fmt"
	"math"

	"github.com/spalora/spalora/batch"
)

// ClassScores are the metrics of predictions of one class for each row.
type ClassScores struct {
	// Targets is the number of rows that count.
	Targets int
	// Accuracy is the part of the rows whose class is predicted.
	Accuracy Score
	// MacroF1 is the mean F1 of the classes that are a target or predicted in at least one row, as computed by
	// scikit-learn's f1_score with average="macro" and zero_division=0.
	MacroF1 Score
	// Matthews is the correlation coefficient of Matthews for any number of classes (Gorodkin 2004), in [-1, 1]. With s
	// rows, c of them correct, t_k targets and p_k predictions of class k:
	//
	//	(c·s − Σ p_k·t_k) / √((s² − Σ p_k²)·(s² − Σ t_k²))
	//
	// It is 0 where all targets or all predictions are one class, as in scikit-learn.
	Matthews Score
	// PerClass has a score for each of the k classes.
	PerClass []ClassScore
}

// Classes scores predicted classes against labels, both of k classes. Rows whose label is [batch.Ignore] do not count.
// It is an error if the lengths differ, a class is not in 0 to k-1, or no row counts.
func Classes(labels, predictions []int32, k int) (*ClassScores, error) {
	targets, predicted, correct := make([]int, k), make([]int, k), make([]int, k)
	s := &ClassScores{PerClass: make([]ClassScore, k)}
	right := 0
	err := eachClass(labels, predictions, k, func(label, prediction int32) {
		s.Targets++
		targets[label]++
		predicted[prediction]++
		if label == prediction {
			correct[label]++
			right++
		}
	})
	if err != nil {
		return nil, err
	}
	sum, present := 0.0, 0
	for c := range s.PerClass {
		s.PerClass[c] = classScore(targets[c], predicted[c], correct[c])
		if targets[c]+predicted[c] > 0 {
			sum += s.PerClass[c].F1
			present++
		}
	}
	s.Accuracy.Value = ratio(right, s.Targets)
	s.MacroF1.Value = sum / float64(present)
	s.Matthews = matthews(targets, predicted, right, s.Targets)
	return s, nil
}

// matthews computes the coefficient from counts. The sums are exact in float64 up to 9·10⁷ rows.
func matthews(targets, predicted []int, correct, rows int) Score {
	n := float64(rows)
	cov, pp, tt := float64(correct)*n, n*n, n*n
	for c, t := range targets {
		p := predicted[c]
		cov -= float64(p) * float64(t)
		pp -= float64(p) * float64(p)
		tt -= float64(t) * float64(t)
	}
	switch {
	case tt == 0:
		return Score{Reason: "all targets are of one class"}
	case pp == 0:
		return Score{Reason: "all predictions are of one class"}
	}
	return Score{Value: clamp(cov / (math.Sqrt(pp) * math.Sqrt(tt)))}
}

// clamp takes the rounding off a correlation.
func clamp(r float64) float64 { return max(-1, min(1, r)) }

// Confusion counts predictions by label and prediction: element
// label·k + prediction of k×k. It ignores rows and fails as [Classes] does.
func Confusion(labels, predictions []int32, k int) ([]int, error) {
	counts := make([]int, k*k)
	err := eachClass(labels, predictions, k, func(label, prediction int32) {
		counts[int(label)*k+int(prediction)]++
	})
	if err != nil {
		return nil, err
	}
	return counts, nil
}

// eachClass calls f for each row that counts.
func eachClass(labels, predictions []int32, k int, f func(label, prediction int32)) error {
	if len(labels) != len(predictions) {
		return fmt.Errorf("metrics: %d labels for %d predictions", len(labels), len(predictions))
	}
	rows := 0
	for i, l := range labels {
		if l == batch.Ignore {
			continue
		}
		if l < 0 || int(l) >= k {
			return fmt.Errorf("metrics: label %d of row %d is not in 0 to %d", l, i, k-1)
		}
		if p := predictions[i]; p < 0 || int(p) >= k {
			return fmt.Errorf("metrics: prediction %d of row %d is not in 0 to %d", p, i, k-1)
		}
		f(l, predictions[i])
		rows++
	}
	if rows == 0 {
		return fmt.Errorf("metrics: %w", ErrNoTargets)
	}
	return nil
}
