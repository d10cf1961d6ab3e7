package metrics

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"
)

// fixture is what reference/metrics_fixture.py writes. An undefined number is nil.
type fixture struct {
	Classes []struct {
		K                     int
		Labels, Predictions   []int32
		Accuracy, Matthews    *float64
		MacroF1               *float64 `json:"macro_f1"`
		Precision, Recall, F1 []float64
		Support, Confusion    []int
	}
	Multilabel []struct {
		K               int
		Targets, Scores []float32
		Subset          *float64
		MicroF1         *float64 `json:"micro_f1"`
		MacroF1         *float64 `json:"macro_f1"`
		F1              []float64
	}
	Regression []struct {
		Targets, Predictions   []*float32
		MSE, Pearson, Spearman *float64
	}
}

func loadFixture(t *testing.T) fixture {
	t.Helper()
	file, err := os.Open("testdata/cases.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var f fixture
	if err := json.NewDecoder(z).Decode(&f); err != nil {
		t.Fatal(err)
	}
	if n := len(f.Classes) + len(f.Multilabel) + len(f.Regression); n < 1000 {
		t.Fatalf("the fixture has %d cases, want at least 1000", n)
	}
	return f
}

// near compares a score with the reference: nil asks for NaN with a reason.
func near(t *testing.T, i int, name string, got Score, want *float64, tolerance float64) {
	t.Helper()
	switch {
	case want == nil && (!got.Undefined() || got.Reason == ""):
		t.Errorf("case %d: %s = %v, want it undefined, with a reason", i, name, got)
	case want != nil && !(math.Abs(got.Value-*want) <= tolerance*max(1, math.Abs(*want))):
		t.Errorf("case %d: %s = %v, want %v", i, name, got.Value, *want)
	}
}

func nearAll(t *testing.T, i int, name string, want []float64, got func(c int) float64) {
	t.Helper()
	for c, w := range want {
		if !(math.Abs(got(c)-w) <= 1e-12) {
			t.Errorf("case %d: %s of class %d = %v, want %v", i, name, c, got(c), w)
		}
	}
}

func TestClassesEqualsScikitLearn(t *testing.T) {
	for i, c := range loadFixture(t).Classes {
		got, err := Classes(c.Labels, c.Predictions, c.K)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		near(t, i, "accuracy", got.Accuracy, c.Accuracy, 1e-12)
		near(t, i, "macro-F1", got.MacroF1, c.MacroF1, 1e-12)
		near(t, i, "Matthews", got.Matthews, c.Matthews, 1e-12)
		nearAll(t, i, "precision", c.Precision, func(k int) float64 { return got.PerClass[k].Precision })
		nearAll(t, i, "recall", c.Recall, func(k int) float64 { return got.PerClass[k].Recall })
		nearAll(t, i, "F1", c.F1, func(k int) float64 { return got.PerClass[k].F1 })
		for k, want := range c.Support {
			if got.PerClass[k].Targets != want {
				t.Errorf("case %d: class %d has %d targets, want %d", i, k, got.PerClass[k].Targets, want)
			}
		}
		confusion, err := Confusion(c.Labels, c.Predictions, c.K)
		if err != nil || !slices.Equal(confusion, c.Confusion) {
			t.Errorf("case %d: confusion %v (%v), want %v", i, confusion, err, c.Confusion)
		}
	}
}

func TestMultiLabelEqualsScikitLearn(t *testing.T) {
	for i, c := range loadFixture(t).Multilabel {
		got, err := MultiLabel(c.Targets, c.Scores, c.K, 0.5)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		near(t, i, "subset accuracy", got.SubsetAccuracy, c.Subset, 1e-12)
		near(t, i, "micro-F1", got.MicroF1, c.MicroF1, 1e-12)
		near(t, i, "macro-F1", got.MacroF1, c.MacroF1, 1e-12)
		nearAll(t, i, "F1", c.F1, func(k int) float64 { return got.PerClass[k].F1 })
	}
}

func TestRegressionEqualsSciPy(t *testing.T) {
	numbers := func(v []*float32) []float32 {
		out := make([]float32, len(v))
		for i, p := range v {
			out[i] = float32(math.NaN())
			if p != nil {
				out[i] = *p
			}
		}
		return out
	}
	for i, c := range loadFixture(t).Regression {
		got, err := Regression(numbers(c.Targets), numbers(c.Predictions))
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		near(t, i, "MSE", got.MSE, c.MSE, 1e-10)
		near(t, i, "Pearson", got.Pearson, c.Pearson, 1e-10)
		near(t, i, "Spearman", got.Spearman, c.Spearman, 1e-10)
	}
}
