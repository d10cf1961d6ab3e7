package metrics

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
)

func TestErrors(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	tests := []struct {
		name, want string
		call       func() error
	}{
		{"classes, lengths", "2 labels for 1 predictions",
			func() error { _, err := Classes([]int32{0, 1}, []int32{0}, 2); return err }},
		{"classes, label too large", "label 2 of row 0 is not in 0 to 1",
			func() error { _, err := Classes([]int32{2}, []int32{0}, 2); return err }},
		{"classes, label negative", "label -1 of row 1",
			func() error { _, err := Classes([]int32{0, -1}, []int32{0, 0}, 2); return err }},
		{"classes, prediction", "prediction 5 of row 0",
			func() error { _, err := Classes([]int32{1}, []int32{5}, 2); return err }},
		{"confusion, prediction", "prediction -3 of row 0",
			func() error { _, err := Confusion([]int32{1}, []int32{-3}, 2); return err }},
		{"multi-label, sizes", "not both rows of 2 classes",
			func() error { _, err := MultiLabel(make([]float32, 3), make([]float32, 3), 2, 0); return err }},
		{"multi-label, no classes", "not both rows of 0 classes",
			func() error { _, err := MultiLabel(nil, nil, 0, 0); return err }},
		{"multi-label, target", "target 0.5 of row 0, class 1",
			func() error { _, err := MultiLabel([]float32{0, 0.5}, make([]float32, 2), 2, 0); return err }},
		{"multi-label, NaN value", "row 1, class 0 is NaN", func() error {
			_, err := MultiLabel([]float32{0, 1}, []float32{0, nan}, 1, 0)
			return err
		}},
		{"multi-label, half a row", "1 of 2 targets of row 0", func() error {
			_, err := MultiLabel([]float32{0, nan}, make([]float32, 2), 2, 0)
			return err
		}},
		{"regression, lengths", "1 targets for 0 predictions",
			func() error { _, err := Regression([]float32{1}, nil); return err }},
		{"regression, NaN prediction", "prediction for row 1 is NaN", func() error {
			_, err := Regression([]float32{1, 2}, []float32{1, nan})
			return err
		}},
		{"regression, infinite prediction", "prediction for row 0 is +Inf",
			func() error { _, err := Regression([]float32{1}, []float32{inf}); return err }},
		{"regression, infinite target", "target of row 0 is +Inf",
			func() error { _, err := Regression([]float32{inf}, []float32{1}); return err }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.call()
			if err == nil || !strings.HasPrefix(err.Error(), "metrics: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestNoTargets(t *testing.T) {
	nan := float32(math.NaN())
	_, a := Classes([]int32{batch.Ignore}, []int32{0}, 2)
	_, b := Classes(nil, nil, 2)
	_, c := Confusion(nil, nil, 2)
	_, d := MultiLabel([]float32{nan, nan}, make([]float32, 2), 2, 0)
	_, e := Regression([]float32{nan}, []float32{1})
	for i, err := range []error{a, b, c, d, e} {
		if !errors.Is(err, ErrNoTargets) {
			t.Errorf("call %d: got %v, want ErrNoTargets", i, err)
		}
	}
}

// A row without targets must not count, even if its prediction is not finite.
func TestMissingTargets(t *testing.T) {
	nan := float32(math.NaN())
	r, err := Regression([]float32{1, nan, 2}, []float32{1, nan, 2})
	if err != nil || r.Targets != 2 || r.Pearson.Value < 1-1e-12 || r.MSE.Value != 0 {
		t.Errorf("regression: %+v, %v", r, err)
	}
	m, err := MultiLabel([]float32{1, 0, nan, nan}, []float32{2, -1, 1, nan}, 2, 0)
	if err != nil || m.Targets != 1 || m.SubsetAccuracy.Value != 1 {
		t.Errorf("multi-label: %+v, %v", m, err)
	}
	c, err := Classes([]int32{1, batch.Ignore}, []int32{1, -7}, 2)
	if err != nil || c.Targets != 1 || c.Accuracy.Value != 1 {
		t.Errorf("classes: %+v, %v", c, err)
	}
}

func TestReasons(t *testing.T) {
	c, _ := Classes([]int32{1, 1}, []int32{0, 1}, 2)
	if c.Matthews.Reason != "all targets are of one class" {
		t.Errorf("constant target: %v", c.Matthews)
	}
	c, _ = Classes([]int32{0, 1}, []int32{0, 0}, 2)
	if c.Matthews.Reason != "all predictions are of one class" {
		t.Errorf("constant prediction: %v", c.Matthews)
	}
	r, _ := Regression([]float32{1}, []float32{1})
	if r.Pearson.Reason == "" || r.Spearman.Reason == "" || r.MSE.Reason != "" {
		t.Errorf("one row: %+v", r)
	}
	m, _ := MultiLabel([]float32{0, 0}, []float32{0, 0}, 2, 0.5)
	if m.MicroF1.Reason == "" || m.MacroF1.Reason == "" {
		t.Errorf("no yes: %+v", m)
	}
	if got, want := r.Pearson.String(), "undefined (fewer than two rows have a target)"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if b, err := json.Marshal(Score{Value: 0.5}); err != nil || string(b) != `{"value":0.5}` {
		t.Errorf("JSON: %s, %v", b, err)
	}
	if b, err := json.Marshal(r.Pearson); err != nil ||
		string(b) != `{"value":null,"reason":"fewer than two rows have a target"}` {
		t.Errorf("JSON: %s, %v", b, err)
	}
}
