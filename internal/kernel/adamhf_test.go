package kernel

import (
	"math"
	"testing"
)

// TestAdamHF compares steps with the formula in float64; a step without weight decay, one with eps of the size of √v.
func TestAdamHF(t *testing.T) {
	const n = 40
	for _, c := range []AdamWConfig{{0.01, 0.9, 0.999, 1e-6, 0}, {0.1, 0.8, 0.95, 0.5, 0.3}} {
		p, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		want, wantM, wantV := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range p {
			p[i] = float32(i%7) - 3
			want[i] = float64(p[i])
		}
		for step := 1; step <= 20; step++ {
			for i := range g {
				g[i] = gradientOf(step, i)
				x := float64(g[i])
				wantM[i] = wantM[i]*c.Beta1 + x*(1-c.Beta1)
				wantV[i] = wantV[i]*c.Beta2 + x*x*(1-c.Beta2)
				size := c.LR * math.Sqrt(1-math.Pow(c.Beta2, float64(step))) / (1 - math.Pow(c.Beta1, float64(step)))
				want[i] -= size * wantM[i] / (math.Sqrt(wantV[i]) + c.Eps)
				want[i] -= want[i] * c.LR * c.WeightDecay
			}
			AdamHF(p, g, m, v, c, step)
		}
		for i := range p {
			if d := math.Abs(float64(p[i]) - want[i]); !(d <= 1e-5) {
				t.Errorf("%+v: element %d is %g, want %g", c, i, p[i], want[i])
			}
		}
	}
}
