package lora

import (
	"math"
	"testing"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestDrawRows: rows of new tokens have the mean of the others and 1e-9 of their covariance, and depend on the seed.
func TestDrawRows(t *testing.T) {
	const vocabulary, drawn = 700, 4000
	w := op.NewMatrix(vocabulary, 3)
	r := nn.NewRand(1, "table")
	values := make([]float32, w.Len())
	for i := range vocabulary { // deviations of 1000, so that float32 holds those of new rows beside the mean
		a, b := r.NormFloat64(), r.NormFloat64()
		values[3*i], values[3*i+1], values[3*i+2] = float32(1000*a), float32(1000*(a+b)), float32(-2000*a)
	}
	if err := w.SetValues(values); err != nil {
		t.Fatal(err)
	}
	covariance := func(v []float32) (mean [3]float64, c [3][3]float64) {
		n := len(v) / 3
		for i, x := range v {
			mean[i%3] += float64(x) / float64(n)
		}
		for i := range n {
			for j := range 3 {
				for k := range 3 {
					c[j][k] += (float64(v[3*i+j]) - mean[j]) * (float64(v[3*i+k]) - mean[k]) / float64(n)
				}
			}
		}
		return mean, c
	}
	got := drawRows(w, drawn, nn.NewRand(42, "new"))
	mean, want := covariance(values)
	m, c := covariance(got)
	for j := range 3 {
		deviation := math.Sqrt(noise * want[j][j])
		if d := math.Abs(m[j] - mean[j]); d > 5*deviation/math.Sqrt(drawn)+1e-5 {
			t.Errorf("mean %d is %g, want %g", j, m[j], mean[j])
		}
		for k := range 3 {
			if d := math.Abs(c[j][k] - noise*want[j][k]); d > 0.1*noise*math.Sqrt(want[j][j]*want[k][k]) {
				t.Errorf("covariance %d, %d is %g, want %g", j, k, c[j][k], noise*want[j][k])
			}
		}
	}
	again, other := drawRows(w, 1, nn.NewRand(42, "new")), drawRows(w, 1, nn.NewRand(43, "new"))
	if again[0] != drawRows(w, 1, nn.NewRand(42, "new"))[0] || again[0] == other[0] && again[1] == other[1] {
		t.Errorf("rows %v and %v of two seeds", again, other)
	}
}
