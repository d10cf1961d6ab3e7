package nn_test

import (
	"math"
	"testing"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestNewRand pins the numbers that fresh adapters and heads are drawn from. If a version of Go draws others, every
// seed gives other weights: then this package must contain the generator itself.
func TestNewRand(t *testing.T) {
	r := nn.NewRand(42, "bert.encoder.layer.0.attention.self.query")
	for i, want := range []uint64{16291994838498266903, 13243893333237504157, 6549806976455013263} {
		if got := r.Uint64(); got != want {
			t.Errorf("number %d is %d, want %d", i, got, want)
		}
	}
	for i, want := range []float64{0.07731278015099718, 0.2638435898265661} {
		if got := r.Float64(); got != want {
			t.Errorf("uniform number %d is %v, want %v", i, got, want)
		}
	}
	for i, want := range []float64{2.1475336505513063, -1.7740873417355556, 0.6247494963213726} {
		if got := r.NormFloat64(); got != want {
			t.Errorf("normal number %d is %v, want %v", i, got, want)
		}
	}
	a, b, c := nn.NewRand(42, "x").Uint64(), nn.NewRand(43, "x").Uint64(), nn.NewRand(42, "y").Uint64()
	if a == b || a == c || b == c {
		t.Error("seed and name must both matter")
	}
}

func TestKaimingUniform(t *testing.T) {
	const n, fanIn = 20000, 384
	for _, a := range []float64{0, math.Sqrt(5)} {
		v := make([]float32, n)
		nn.KaimingUniform(v, fanIn, a, nn.NewRand(1, "kaiming"))
		bound := math.Sqrt(6 / ((1 + a*a) * fanIn)) // for a = √5: 1/√fanIn
		top, mean, square := 0.0, 0.0, 0.0
		for _, x := range v {
			top = max(top, math.Abs(float64(x)))
			mean += float64(x) / n
			square += float64(x) * float64(x) / n
		}
		if top > bound || top < 0.99*bound {
			t.Errorf("a = %.3g: the largest is %g, the bound %g", a, top, bound)
		}
		if math.Abs(mean) > 5*bound/math.Sqrt(3*n) || math.Abs(square/(bound*bound/3)-1) > 0.05 {
			t.Errorf("a = %.3g: mean %g, mean square %g for a bound of %g", a, mean, square, bound)
		}
	}
	empty := []float32{}
	nn.KaimingUniform(empty, 0, math.Sqrt(5), nn.NewRand(1, ""))
}

func TestNormal(t *testing.T) {
	w := op.NewMatrix(100, 200)
	if err := nn.Normal(w, 0.02, nn.NewRand(7, "w")); err != nil {
		t.Fatal(err)
	}
	mean, square := 0.0, 0.0
	for _, x := range w.Float32() {
		mean += float64(x) / 20000
		square += float64(x) * float64(x) / 20000
	}
	if math.Abs(mean) > 1e-3 || math.Abs(math.Sqrt(square)/0.02-1) > 0.03 {
		t.Errorf("mean %g, deviation %g; want 0 and 0.02", mean, math.Sqrt(square))
	}
	bias := op.NewVector(5)
	if err := nn.Normal(bias, 0.02, nn.NewRand(7, "b")); err != nil {
		t.Fatal(err)
	}
	for _, x := range bias.Float32() {
		if x != 0 {
			t.Errorf("a fresh bias is %g, want 0", x)
		}
	}
}
