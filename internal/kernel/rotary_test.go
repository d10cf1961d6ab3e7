package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestRotate checks that every value follows PyTorch's order of roundings, and that rotating back restores it.
func TestRotate(t *testing.T) {
	rng := rand.New(rand.NewPCG(37, 38))
	for half := range 70 {
		for _, rest := range []int{0, 1, 9} {
			d := 2*half + rest
			x := normalSlice(rng, d)
			cos, sin := make([]float32, half), make([]float32, half)
			for i := range cos {
				s, c := math.Sincos(rng.NormFloat64())
				cos[i], sin[i] = float32(c), float32(s)
			}
			what := fmt.Sprintf("Rotate of %d with %d angles", d, half)
			want := append([]float32(nil), x...)
			for i := range half {
				a, b := x[i], x[i+half]
				want[i] = float32(a*cos[i]) - float32(b*sin[i])
				want[i+half] = float32(b*cos[i]) + float32(a*sin[i])
			}
			dst := fence(make([]float32, d), d%9)
			Rotate(dst.data, x, cos, sin, false)
			mustEqualBits(t, what, dst.data, want)
			dst.check(t, what)
			over := fence(x, (d+5)%9)
			Rotate(over.data, over.data, cos, sin, false)
			mustEqualBits(t, what+" over x", over.data, want)
			over.check(t, what)
			Rotate(over.data, over.data, cos, sin, true)
			mustBeNear(t, what+" and back", over.data, wide(x), 1e-6)
			plain := make([]float32, d)
			rotateGeneric(plain[:half], plain[half:2*half], x[:half], x[half:2*half], cos, sin, 1)
			mustEqualBits(t, what+" go", plain[:2*half], want[:2*half])
		}
	}
}

func TestRotateNonFinite(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	x := []float32{1, nan, 2, inf, 1, 3}
	Rotate(x, x, []float32{0.6, 0.6, 0.6}, []float32{0.8, 0.8, 0.8}, false)
	mustEqualBits(t, "a pair with NaN or Inf", x, []float32{
		-inf, nan, float32(2*float32(0.6)) - float32(3*float32(0.8)), inf, nan,
		float32(3*float32(0.6)) + float32(2*float32(0.8)),
	})
}
