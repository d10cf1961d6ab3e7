package classification

import (
	"math"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/tasks"
)

// Targets are the classes or values that rows should have.
type Targets struct {
	Labels []int32   // one for each row, or nil
	Values []float32 // equally many for each row, or nil
}

// TargetsOf returns the targets of the rows of a file.
func TargetsOf[E data.LabelledRow[E], K any, P labelledFile[E, K]](l *data.Labels, f P) (t Targets, err error) {
	switch l.Problem {
	case data.SingleLabel:
		t.Labels, err = f.Classes(l)
	case data.MultiLabel:
		t.Values, err = f.Indicators(l)
	case data.Regression:
		t.Values, err = f.Targets()
	}
	return t, err
}

// labelledFile is a file of rows with labels.
type labelledFile[E data.LabelledRow[E], K any] interface {
	data.LabelledOf[E, K]
	Classes(l *data.Labels) ([]int32, error)
	Indicators(l *data.Labels) ([]float32, error)
	Targets() ([]float32, error)
	Labelled() int
}

// none reports whether every class is to be ignored.
func (t Targets) none() bool {
	for _, c := range t.Labels {
		if c != batch.Ignore {
			return false
		}
	}
	return t.Labels != nil
}

// meanLoss returns the mean over rows of −ln softmax(logits)[label], over all values of the binary cross-entropy,
// or over all values of the squared error.
func (t Targets) meanLoss(p data.Problem, logits []float32, k int) float64 {
	sum, n := 0.0, 0
	switch p {
	case data.SingleLabel:
		for i, c := range t.Labels {
			if c != batch.Ignore {
				row := logits[i*k : (i+1)*k]
				sum += tasks.LogSumExp(row) - float64(row[c])
				n++
			}
		}
	case data.MultiLabel:
		for i, y := range t.Values {
			x := float64(logits[i])
			sum += math.Max(x, 0) - x*float64(y) + math.Log1p(math.Exp(-math.Abs(x)))
			n++
		}
	case data.Regression:
		for i, y := range t.Values {
			d := float64(logits[i]) - float64(y)
			sum += d * d
			n++
		}
	}
	return sum / float64(n)
}
