package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestRMSNorm(t *testing.T) {
	rng := rand.New(rand.NewPCG(31, 32))
	for _, n := range rowLengths() {
		for _, eps := range []float32{1e-5, 0.5} {
			x, gain := normalSlice(rng, n), normalSlice(rng, n)
			var squares float64
			for _, v := range x {
				squares += float64(v) * float64(v)
			}
			rstd := 1 / math.Sqrt(squares/float64(n)+float64(eps))
			what := fmt.Sprintf("RMSNorm of %d, eps %v", n, eps)
			y := fence(make([]float32, n), n%9)
			got := RMSNorm(y.data, x, gain, eps)
			if math.Abs(float64(got)/rstd-1) > 0x1p-23 {
				t.Errorf("%s: rstd is %v, want %v", what, got, rstd)
			}
			for i, v := range x { // in PyTorch's order of roundings
				if want := gain[i] * (v * got); y.data[i] != want {
					t.Fatalf("%s: element %d is %v, want %v", what, i, y.data[i], want)
				}
			}
			y.check(t, what)
			over := fence(x, (n+3)%9)
			RMSNorm(over.data, over.data, gain, eps)
			mustEqualBits(t, what+" over x", over.data, y.data)
			over.check(t, what)
			plain := make([]float32, n)
			scaleByGainGeneric(plain, x, gain, got)
			mustEqualBits(t, what+" go", plain, y.data)
		}
	}
}

func TestRMSNormLimits(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	if got := RMSNorm(nil, nil, nil, 1); got != 0 {
		t.Errorf("rstd of an empty row is %v", got)
	}
	gain, y := []float32{1, 2, 3}, make([]float32, 3)
	RMSNorm(y, []float32{1, inf, 2}, gain, 0)
	mustEqualBits(t, "with infinity", y, []float32{0, nan, 0})
	RMSNorm(y, []float32{1, nan, 2}, gain, 0)
	mustEqualBits(t, "with NaN", y, []float32{nan, nan, nan})
	if rstd := RMSNorm(y, []float32{0, 0, 0}, gain, 0.25); rstd != 2 || y[2] != 0 {
		t.Errorf("of zeros: %v, rstd %v", y, rstd)
	}
	if RMSNorm(y, []float32{1e30, 0, 0}, []float32{1, 1, 1}, 0); math.Abs(float64(y[0])-math.Sqrt(3)) > 1e-6 {
		t.Errorf("squares overflow: %v", y)
	}
}

func TestRMSNormBackward(t *testing.T) {
	rng := rand.New(rand.NewPCG(33, 34))
	for _, n := range rowLengths() {
		x, dy, gain := normalSlice(rng, n), normalSlice(rng, n), normalSlice(rng, n)
		y := make([]float32, n)
		rstd := RMSNorm(y, x, gain, 0.01)
		r, mean := float64(rstd), 0.0
		for i := range x {
			mean += float64(dy[i]) * float64(gain[i]) * float64(x[i]) / float64(n)
		}
		want := make([]float64, n)
		for i := range want {
			want[i] = r * (float64(dy[i])*float64(gain[i]) - float64(x[i])*r*r*mean)
		}
		what := fmt.Sprintf("RMSNormBackward of %d", n)
		dx := fence(dy, n%9)
		RMSNormBackward(dx.data, dx.data, x, gain, rstd)
		mustBeNear(t, what, dx.data, want, 1e-5*r)
		dx.check(t, what)
		over := append([]float32(nil), x...)
		RMSNormBackward(over, dy, over, gain, rstd)
		mustEqualBits(t, what+" over x", over, dx.data)
	}
}

func TestRMSNormParams(t *testing.T) {
	rng := rand.New(rand.NewPCG(35, 36))
	for version, f := range versions(RMSNormParams, addGainGradientGeneric) {
		for _, n := range rowLengths() {
			dy, x, before := normalSlice(rng, n), normalSlice(rng, n), normalSlice(rng, n)
			dgain := fence(before, n%9)
			f(dgain.data, dy, x, 0.7)
			for i := range dy {
				want := float64(before[i]) + float64(dy[i])*float64(x[i])*float64(float32(0.7))
				if math.Abs(float64(dgain.data[i])-want) > 1e-6*(1+math.Abs(want)) {
					t.Fatalf("%s, %d of %d: %v, want %v", version, i, n, dgain.data[i], want)
				}
			}
			dgain.check(t, version)
		}
	}
}
