package tasks_test

import (
	"math"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/tasks"
)

func TestProbabilities(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		problem      data.Problem
		logits, want []float32
		k            int
	}{
		{data.SingleLabel, []float32{0, 0, 1000, 0}, []float32{0.5, 0.5, 1, 0}, 2},
		{data.SingleLabel, []float32{-1000, -1000, -1000}, []float32{1. / 3, 1. / 3, 1. / 3}, 3},
		{data.MultiLabel, []float32{0, 1000, -1000}, []float32{0.5, 1, 0}, 3},
		{data.Regression, []float32{-3, inf}, []float32{-3, inf}, 1},
	} {
		got := tasks.Probabilities(c.problem, c.logits, c.k)
		for i, w := range c.want {
			if math.Abs(float64(got[i]-w)) > 1e-7 && got[i] != w {
				t.Errorf("%v of %v: %v, want %v", c.problem, c.logits, got, c.want)
				break
			}
		}
	}
}
