package kernel

import (
	"math"
	"os"
	"testing"
)

// ulp returns the distance of float32 numbers around v.
func ulp(v float64) float64 {
	_, e := math.Frexp(math.Abs(v))
	return math.Ldexp(1, max(e-24, -149))
}

// stride returns the step of tests through the bit patterns of float32; it is odd, so that all low bits occur. If the
// environment variable SPALORA_EXHAUSTIVE is set, every pattern is tested, which takes minutes.
func stride() uint64 {
	if os.Getenv("SPALORA_EXHAUSTIVE") != "" {
		return 1
	}
	return 4093
}

// everyFloat calls f with slices that together hold each bit pattern, or one in every stride.
func everyFloat(f func(x []float32)) {
	x := make([]float32, 0, 4096)
	for b := uint64(0); b < 1<<32; b += stride() {
		x = append(x, math.Float32frombits(uint32(b)))
		if len(x) == cap(x) {
			f(x)
			x = x[:0]
		}
	}
	f(x)
}

func phi(x float64) float64     { return math.Exp(-x*x/2) * invSqrt2Pi }
func capPhi(x float64) float64  { return math.Erfc(-x/math.Sqrt2) / 2 }
func tanhArg(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

// times returns a·b, but 0 for 0·Inf, because limits are meant.
func times(a, b float64) float64 {
	if a == 0 || b == 0 {
		return 0
	}
	return a * b
}

// geluSlope returns Φ(x) + x·φ(x).
func geluSlope(x float64) (slope, size float64) {
	a, b := capPhi(x), times(x, phi(x))
	return a + b, max(a, math.Abs(b))
}

// geluTanhSlope returns the derivative of x·σ(2u).
func geluTanhSlope(x float64) (slope, size float64) {
	if math.Abs(x) > 1e3 {
		x = math.Copysign(1e3, x)
	}
	e := math.Exp(-math.Abs(2 * tanhArg(x)))
	s, c := 1/(1+e), e/(1+e) // σ and 1-σ of |2u|
	d := c * s * 2 * math.Sqrt(2/math.Pi) * (1 + 3*0.044715*x*x) * x
	if x < 0 {
		s = c
	}
	return s + d, max(s, math.Abs(d))
}

// sigmoid64 returns 1/(1 + e^-x).
func sigmoid64(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// siluSlope64 returns the derivative of x·σ(x).
func siluSlope64(x float64) (slope, size float64) {
	s := sigmoid64(x)
	d := x * s * sigmoid64(-x)
	return s + d, max(s, math.Abs(d))
}

// onesTimes turns a gradient function into one that returns the factor of dy.
func onesTimes(f func(dx, dy, x []float32)) func(dst, x []float32) {
	ones := make([]float32, 4096)
	for i := range ones {
		ones[i] = 1
	}
	return func(dst, x []float32) { f(dst, ones[:len(x)], x) }
}

// TestActivationAccuracy compares with float64 over all of float32. The error of a result may be tiny plus limit(x) ULP
// of size, where size is the exact result unless the case says otherwise.
func TestActivationAccuracy(t *testing.T) {
	constant := func(v float64) func(float64) float64 { return func(float64) float64 { return v } }
	for _, test := range []struct {
		name  string
		f     map[string]func(dst, x []float32)
		exact func(x float64) (y, size float64)
		limit func(x float64) float64
		tiny  float64
	}{
		{"Tanh", versions(Tanh, tanhGeneric), one(math.Tanh), constant(3), 0},
		{"ReLU", versions(ReLU, reluGeneric), one(func(x float64) float64 { return math.Max(x, 0) }), constant(0), 0},
		{"GELU", versions(GELU, geluGeneric), one(func(x float64) float64 {
			return times(x, capPhi(x))
		}), constant(7), 0x1p-125},
		{"GELUBackward", versions(onesTimes(GELUBackward), onesTimes(geluBackwardGeneric)), geluSlope, constant(6), 0x1p-121},
		{"GELUTanh", versions(GELUTanh, geluTanhGeneric),
			one(func(x float64) float64 { return times(x, 1/(1+math.Exp(-2*tanhArg(x)))) }),
			func(x float64) float64 { return 3 + 5*math.Abs(tanhArg(max(x, -11))) }, 0x1p-122},
		{"SiLU", versions(SiLU, siluGeneric), one(func(x float64) float64 {
			return x * sigmoid64(x)
		}), constant(3), 0x1p-120},
		{
			"SiLUBackward", versions(onesTimes(SiLUBackward), onesTimes(siluBackwardGeneric)), siluSlope64, constant(5),
			0x1p-117,
		},
		{"GELUTanhBackward", versions(onesTimes(GELUTanhBackward), onesTimes(geluTanhBackwardGeneric)), geluTanhSlope,
			func(x float64) float64 { return 5 + 6*math.Abs(tanhArg(max(min(x, 11), -11))) }, 0x1p-117},
	} {
		for version, f := range test.f {
			t.Run(test.name+" "+version, func(t *testing.T) {
				dst := make([]float32, 4096)
				var worst, share, at float64
				everyFloat(func(xs []float32) {
					f(dst[:len(xs)], xs)
					for i, x := range xs {
						exact, size := test.exact(float64(x))
						y := float64(dst[i])
						if y == exact || exact != exact && y != y || math.IsInf(y, 0) && math.Abs(exact) > math.MaxFloat32 {
							continue
						}
						if test.tiny > 0 && math.Abs(y-exact) < test.tiny {
							continue
						}
						err := math.Abs(y-exact) / ulp(size)
						if s := err / test.limit(float64(x)); !(s <= share) {
							worst, share, at = err, s, float64(x)
						}
					}
				})
				t.Logf("nearest to the limit: %.2f ULP at %v", worst, at)
				if !(share <= 1) {
					t.Errorf("off by %.2f ULP at %v, limit %.2f", worst, at, test.limit(at))
				}
			})
		}
	}
}

// one makes a result function whose size is the exact value.
func one(f func(float64) float64) func(float64) (float64, float64) {
	return func(x float64) (float64, float64) { y := f(x); return y, y }
}

func TestActivationLimits(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, test := range []struct {
		name    string
		f       map[string]func(dst, x []float32)
		x, want float32
	}{
		{"Tanh", versions(Tanh, tanhGeneric), -inf, -1},
		{"Tanh", versions(Tanh, tanhGeneric), float32(math.Copysign(0, -1)), float32(math.Copysign(0, -1))},
		{"Tanh", versions(Tanh, tanhGeneric), 0x1p-149, 0x1p-149},
		{"GELU", versions(GELU, geluGeneric), inf, inf},
		{"GELU", versions(GELU, geluGeneric), 3e38, 3e38},
		{"ReLU", versions(ReLU, reluGeneric), -inf, 0},
		{"GELUTanh", versions(GELUTanh, geluTanhGeneric), inf, inf},
		{"SiLU", versions(SiLU, siluGeneric), inf, inf},
		{"SiLU", versions(SiLU, siluGeneric), -inf, nan},
		{"SiLU", versions(SiLU, siluGeneric), 3e38, 3e38},
		{"SiLU", versions(SiLU, siluGeneric), -3e38, float32(math.Copysign(0, -1))},
		{"SiLUBackward", versions(onesTimes(SiLUBackward), onesTimes(siluBackwardGeneric)), 200, 1},
		{"SiLUBackward", versions(onesTimes(SiLUBackward), onesTimes(siluBackwardGeneric)), inf, nan},
		{"SiLUBackward", versions(onesTimes(SiLUBackward), onesTimes(siluBackwardGeneric)), -inf, nan},
	} {
		for version, f := range test.f {
			got := []float32{0}
			if f(got, []float32{test.x}); !equalBits(got[0], test.want) {
				t.Errorf("%s %s: of %v is %v, want %v", test.name, version, test.x, got[0], test.want)
			}
			if f(got, []float32{nan}); got[0] == got[0] {
				t.Errorf("%s %s: of NaN is %v", test.name, version, got[0])
			}
		}
	}
	for version, f := range versions(GELU, geluGeneric) {
		got := []float32{-inf}
		if f(got, got); got[0] != 0 {
			t.Errorf("GELU %s of -Inf is %v", version, got[0])
		}
	}
}

// TestActivationGradients checks what the slopes above do not: that dy scales the gradients, and that some functions
// take y, not x.
func TestActivationGradients(t *testing.T) {
	dy, y := []float32{2, -3, 4, 5, float32(math.NaN())}, []float32{0.5, -0.25, 0, 1, -1}
	for version, f := range versions(TanhBackward, tanhBackwardGeneric) {
		dx := make([]float32, len(y))
		f(dx, dy, y)
		mustEqualBits(t, "TanhBackward "+version, dx, []float32{1.5, -2.8125, 4, 0, float32(math.NaN())})
	}
	for version, f := range versions(ReLUBackward, reluBackwardGeneric) {
		dx := make([]float32, len(y))
		f(dx, dy, y)
		mustEqualBits(t, "ReLUBackward "+version, dx, []float32{2, 0, 0, 5, 0})
	}
	for version, f := range versions(SwiGLUBackward, swigluBackwardGeneric) {
		dgate, dup := []float32{0, 0, 0}, []float32{0, 0, 0}
		f(dgate, dup, []float32{2, -1, float32(math.NaN())}, []float32{0, 200, 1}, []float32{3, 5, 1})
		mustEqualBits(t, "SwiGLUBackward gate "+version, dgate, []float32{3, -5, float32(math.NaN())})
		mustEqualBits(t, "SwiGLUBackward up "+version, dup, []float32{0, -200, float32(math.NaN())})
	}
	for version, f := range versions(SwiGLU, swigluGeneric) {
		y := []float32{0, 0, 0}
		f(y, []float32{0, 100, -100}, []float32{3, -2, 5})
		mustEqualBits(t, "SwiGLU "+version, y, []float32{0, -200, float32(math.Copysign(0, -1))})
	}
	for version, f := range versions(GELUBackward, geluBackwardGeneric) {
		dx := make([]float32, 1)
		f(dx, []float32{-4}, []float32{0})
		mustEqualBits(t, "GELUBackward "+version, dx, []float32{-2})
	}
}
