package metrics

import "fmt"

// MultiLabelScores are the metrics of a yes or no for each row and class.
type MultiLabelScores struct {
	// Targets is the number of rows that count.
	Targets int
	// SubsetAccuracy is the part of the rows whose classes are all right.
	SubsetAccuracy Score
	// MicroF1 is the F1 of all decisions together; 0 where neither a target nor a prediction is a yes.
	MicroF1 Score
	// MacroF1 is the mean F1 of all k classes, 0 for a class that is neither a target nor predicted, as scikit-learn has
	// it for indicator matrices. (For [Classes] such a class is left out of the mean, as scikit-learn does too.)
	MacroF1 Score
	// PerClass has a score for each of the k classes.
	PerClass []ClassScore
}

// MultiLabel scores values against targets, both B×k. Targets are 0 or 1; a row whose targets are all NaN does not
// count. A class is predicted where its value is above threshold: 0.5 for probabilities, 0 for logits. It is an error
// if the sizes do not fit, a target is something else, a value is NaN, or no row counts.
func MultiLabel(targets, values []float32, k int, threshold float32) (*MultiLabelScores, error) {
	if len(targets) != len(values) || k <= 0 || len(targets)%k != 0 {
		return nil, fmt.Errorf("metrics: %d targets and %d values are not both rows of %d classes",
			len(targets), len(values), k)
	}
	wanted, predicted, correct := make([]int, k), make([]int, k), make([]int, k)
	s := &MultiLabelScores{PerClass: make([]ClassScore, k)}
	exact := 0
	for from := 0; from < len(targets); from += k {
		missing, err := missingRow(targets[from:from+k], values[from:from+k], from/k)
		if err != nil {
			return nil, err
		}
		if missing {
			continue
		}
		s.Targets++
		same := true
		for c := range k {
			t, p := targets[from+c] == 1, values[from+c] > threshold
			same = same && t == p
			if t {
				wanted[c]++
			}
			if p {
				predicted[c]++
			}
			if t && p {
				correct[c]++
			}
		}
		if same {
			exact++
		}
	}
	if s.Targets == 0 {
		return nil, fmt.Errorf("metrics: %w", ErrNoTargets)
	}
	s.SubsetAccuracy.Value = ratio(exact, s.Targets)
	s.average(wanted, predicted, correct)
	return s, nil
}

// average fills in the F1 scores from counts by class.
func (s *MultiLabelScores) average(wanted, predicted, correct []int) {
	both, all, empty := 0, 0, 0
	sum := 0.0
	for c := range s.PerClass {
		s.PerClass[c] = classScore(wanted[c], predicted[c], correct[c])
		sum += s.PerClass[c].F1
		both += correct[c]
		all += wanted[c] + predicted[c]
		if wanted[c]+predicted[c] == 0 {
			empty++
		}
	}
	k := len(s.PerClass)
	s.MicroF1.Value = ratio(2*both, all)
	s.MacroF1.Value = sum / float64(k)
	if all == 0 {
		s.MicroF1.Reason = "no class is a target or predicted in any row"
	}
	if empty > 0 {
		s.MacroF1.Reason = fmt.Sprintf("%d of %d classes are neither a target nor predicted and count as 0", empty, k)
	}
}

// missingRow checks a row and reports whether it has no targets.
func missingRow(targets, values []float32, row int) (bool, error) {
	missing := 0
	for c, t := range targets {
		switch {
		case t != t:
			missing++
		case t != 0 && t != 1:
			return false, fmt.Errorf("metrics: target %v of row %d, class %d is neither 0 nor 1", t, row, c)
		case values[c] != values[c]:
			return false, fmt.Errorf("metrics: the prediction for row %d, class %d is NaN: the model has diverged", row, c)
		}
	}
	if missing > 0 && missing < len(targets) {
		return false, fmt.Errorf("metrics: %d of %d targets of row %d are NaN", missing, len(targets), row)
	}
	return missing > 0, nil
}
