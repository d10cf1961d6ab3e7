package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// versions returns the two ways to compute f: the version that this processor runs, and plain Go.
func versions[F any](chosen, plain F) map[string]F {
	return map[string]F{"chosen": chosen, "go": plain}
}

// slicewise is a function of this package that computes each element of dst from the same element of its inputs.
type slicewise struct {
	name   string
	inputs int
	run    func(dst []float32, in [][]float32) // dst may be any of in
}

// map1, map2 and update make a slicewise from a function of one input, of two inputs, and one whose dst is also its
// first input.
func map1(name string, f func(dst, x []float32)) slicewise {
	return slicewise{name, 1, func(dst []float32, in [][]float32) { f(dst, in[0]) }}
}

func map2(name string, f func(dst, a, b []float32)) slicewise {
	return slicewise{name, 2, func(dst []float32, in [][]float32) { f(dst, in[0], in[1]) }}
}

func update(name string, f func(dst, x []float32)) slicewise {
	return slicewise{name, 2, func(dst []float32, in [][]float32) {
		if len(dst) > 0 && &dst[0] == &in[1][0] {
			in[1] = append([]float32(nil), in[1]...) // dst overwrites in[1] here; keep the input
		}
		copy(dst, in[0])
		f(dst, in[1])
	}}
}

func slicewiseFunctions() []slicewise {
	const s = -1.3
	list := []slicewise{
		map2("Add", Add), map2("Add go", addGeneric),
		update("AddTo", AddTo),
		update("AddScaled", func(dst, x []float32) { AddScaled(dst, x, s) }),
		update("AddScaled go", func(dst, x []float32) { addScaledGeneric(dst, x, s) }),
		map1("Scale", func(dst, x []float32) { Scale(dst, x, s) }),
		map1("Scale go", func(dst, x []float32) { scaleGeneric(dst, x, s) }),
		map1("GELU", GELU), map1("GELU go", geluGeneric),
		map2("GELUBackward", GELUBackward), map2("GELUBackward go", geluBackwardGeneric),
		map1("GELUTanh", GELUTanh), map1("GELUTanh go", geluTanhGeneric),
		map2("GELUTanhBackward", GELUTanhBackward), map2("GELUTanhBackward go", geluTanhBackwardGeneric),
		map1("Tanh", Tanh), map1("Tanh go", tanhGeneric),
		map2("TanhBackward", TanhBackward), map2("TanhBackward go", tanhBackwardGeneric),
		map1("ReLU", ReLU), map1("ReLU go", reluGeneric),
		map2("ReLUBackward", ReLUBackward), map2("ReLUBackward go", reluBackwardGeneric),
		map1("SiLU", SiLU), map1("SiLU go", siluGeneric),
		map2("SiLUBackward", SiLUBackward), map2("SiLUBackward go", siluBackwardGeneric),
		map2("SwiGLU", SwiGLU), map2("SwiGLU go", swigluGeneric),
		map2("softmaxBackward", func(dx, dp, p []float32) { softmaxBackward(dx, dp, p, s, 0.3) }),
		map2("softmaxBackward go", func(dx, dp, p []float32) { softmaxBackwardGeneric(dx, dp, p, s, 0.3) }),
		{"normalize", 3, func(dst []float32, in [][]float32) { normalize(dst, nil, in[0], in[1], in[2], 0.2, s) }},
		{"normalize go", 3, func(dst []float32, in [][]float32) { normalizeGeneric(dst, nil, in[0], in[1], in[2], 0.2, s) }},
		map1("normalize xhat", func(dst, x []float32) { normalize(nil, dst, x, nil, nil, 0.2, s) }),
		map2("scaleByGain", func(y, x, gain []float32) { scaleByGain(y, x, gain, s) }),
		map2("scaleByGain go", func(y, x, gain []float32) { scaleByGainGeneric(y, x, gain, s) }),
		{"normalizeBackward", 3, func(dst []float32, in [][]float32) {
			normalizeBackward(dst, in[0], in[1], in[2], s, 0.1, 0.2)
		}},
	}
	for name, f := range versions(SwiGLUBackward, swigluBackwardGeneric) {
		list = append(list,
			slicewise{"SwiGLUBackward gate " + name, 3, func(dst []float32, in [][]float32) {
				f(dst, make([]float32, len(dst)), in[0], in[1], in[2])
			}},
			slicewise{"SwiGLUBackward up " + name, 3, func(dst []float32, in [][]float32) {
				f(make([]float32, len(dst)), dst, in[0], in[1], in[2])
			}})
	}
	return list
}

// special lists numbers that arithmetic often gets wrong.
var special = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32,
	0x1p-126, -0x1.fffffcp-127,
	math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	88.72, -87.34, -103.9, 13.2, -13.2,
}

// randomSlice returns n numbers, most of them normally distributed, one in sixteen special.
func randomSlice(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * 2)
		if rng.IntN(16) == 0 {
			x[i] = special[rng.IntN(len(special))]
		}
	}
	return x
}

// normalSlice returns n normally distributed numbers.
func normalSlice(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// fenced is a slice between two others that must not change.
type fenced struct {
	all  []float32
	data []float32
}

const fenceValue = 12345.678

// fence copies x to an address that is offset elements after the beginning of an allocation.
func fence(x []float32, offset int) fenced {
	all := make([]float32, offset+len(x)+17)
	for i := range all {
		all[i] = fenceValue
	}
	data := all[offset : offset+len(x)]
	copy(data, x)
	return fenced{all, data}
}

func (g fenced) check(t *testing.T, what string) {
	t.Helper()
	offset := len(g.all) - len(g.data) - 17
	for i, v := range g.all {
		if (i < offset || i >= offset+len(g.data)) && v != fenceValue {
			t.Fatalf("%s: element %d outside a slice of %d was written", what, i-offset, len(g.data))
		}
	}
}

func equalBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func mustEqualBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if !equalBits(got[i], want[i]) {
			t.Fatalf("%s: element %d of %d is %v, want %v", what, i, len(want), got[i], want[i])
		}
	}
}

// lengths returns lengths around the sizes of vectors, unrolled turns and blocks of the assembly.
func lengths() []int {
	var ns []int
	for n := range 258 {
		ns = append(ns, n)
	}
	return append(ns, 1023, maxCall-1, maxCall, maxCall+1, maxCall+33, 2*maxCall+9)
}

// TestSlicewise checks that an element's bits depend only on its inputs, not on the length, its position, the
// alignment, or whether dst is an input; and that nothing else is written.
func TestSlicewise(t *testing.T) {
	for _, f := range slicewiseFunctions() {
		t.Run(f.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			longest := 2*maxCall + 9
			in, want := make([][]float32, f.inputs), make([]float32, longest)
			for k := range in {
				in[k] = randomSlice(rng, longest)
			}
			one := make([][]float32, f.inputs)
			for i := range want {
				for k := range in {
					one[k] = in[k][i : i+1]
				}
				f.run(want[i:i+1], one)
			}
			for _, n := range lengths() {
				for offset := range 9 {
					if n > 257 && offset != n%9 {
						continue
					}
					testSlicewiseAt(t, f, in, want[:n], offset)
				}
			}
		})
	}
}

// testSlicewiseAt runs f on the first elements of in, with a separate dst and with each of the inputs as dst.
func testSlicewiseAt(t *testing.T, f slicewise, in [][]float32, want []float32, offset int) {
	t.Helper()
	n := len(want)
	for alias := -1; alias < f.inputs; alias++ {
		what := fmt.Sprintf("length %d, offset %d, dst is input %d", n, offset, alias)
		args, fences := make([][]float32, f.inputs), make([]fenced, f.inputs+1)
		for k := range in {
			fences[k] = fence(in[k][:n], (offset+k*alias*3+27)%9)
			args[k] = fences[k].data
		}
		fences[f.inputs] = fence(make([]float32, n), offset)
		dst := fences[f.inputs].data
		if alias >= 0 {
			dst = args[alias]
		}
		given := append([][]float32(nil), args...)
		f.run(dst, args)
		mustEqualBits(t, what, dst, want)
		for k := range in {
			if k != alias {
				mustEqualBits(t, what+", an input", given[k], in[k][:n])
			}
		}
		for _, g := range fences {
			g.check(t, what)
		}
	}
}

func TestSumsAndProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n, s = 1000, float32(0.37)
	a, b := randomSlice(rng, n), randomSlice(rng, n)
	sum, scaled, added := make([]float32, n), make([]float32, n), append([]float32(nil), a...)
	Add(sum, a, b)
	Scale(scaled, a, s)
	AddScaled(added, b, s)
	for i := range n {
		if !equalBits(sum[i], a[i]+b[i]) || !equalBits(scaled[i], a[i]*s) {
			t.Fatalf("of %v and %v: sum %v, times %v %v", a[i], b[i], sum[i], s, scaled[i])
		}
		fused, plain := float32(math.FMA(float64(b[i]), float64(s), float64(a[i]))), a[i]+float32(b[i]*s)
		if !equalBits(added[i], fused) && !equalBits(added[i], plain) {
			t.Fatalf("%v + %v·%v is %v", a[i], s, b[i], added[i])
		}
	}
}

func TestReductions(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	longest := 2*maxCall + 9
	a, b := normalSlice(rng, longest), normalSlice(rng, longest)
	for _, n := range lengths() {
		var dotWant, dotSize, sumWant, sumSize, squares float64
		for i := range n {
			dotWant += float64(a[i]) * float64(b[i])
			dotSize += math.Abs(float64(a[i]) * float64(b[i]))
			sumWant += float64(a[i])
			sumSize += math.Abs(float64(a[i]))
			squares += float64(a[i]) * float64(a[i])
		}
		// Each of n terms is rounded once and in at most n/8 + 7 additions; blocks are summed in float64.
		eps := 0x1p-24 * float64(min(n, maxCall)/8+8)
		for name, f := range versions(Dot, dotGeneric) {
			if got := float64(f(a[:n], b[:n])); math.Abs(got-dotWant) > dotSize*eps && (name == "chosen" || n < maxCall) {
				t.Errorf("Dot (%s) of %d is %v, want %v", name, n, got, dotWant)
			}
		}
		for name, f := range versions(Sum, sumGeneric) {
			if got := float64(f(a[:n])); math.Abs(got-sumWant) > sumSize*eps && (name == "chosen" || n < maxCall) {
				t.Errorf("Sum (%s) of %d is %v, want %v", name, n, got, sumWant)
			}
		}
		for name, f := range versions(SumSquares, sumSquaresGeneric) {
			if got := f(a[:n]); math.Abs(got-squares) > squares*1e-12 {
				t.Errorf("SumSquares (%s) of %d is %v, want %v", name, n, got, squares)
			}
		}
		for offset := range 9 { // if NaN around the slice were used, the result would show it
			around := make([]float32, offset+n+9)
			for i := range around {
				around[i] = float32(math.NaN())
			}
			x := around[offset : offset+n]
			copy(x, a)
			if Dot(x, b[:n]) != Dot(a[:n], b[:n]) || Sum(x) != Sum(a[:n]) || SumSquares(x) != SumSquares(a[:n]) ||
				FirstNonFinite(x) != -1 {
				t.Fatalf("length %d: offset %d changes a reduction", n, offset)
			}
		}
	}
	if got := SumSquares([]float32{math.MaxFloat32, math.MaxFloat32}); got != 2*math.MaxFloat32*math.MaxFloat32 {
		t.Errorf("SumSquares of the largest numbers is %v", got)
	}
}

func TestFirstNonFinite(t *testing.T) {
	for name, f := range versions(FirstNonFinite, firstNonFiniteGeneric) {
		for _, n := range lengths() {
			x := make([]float32, n)
			for i := range x {
				x[i] = -math.MaxFloat32
			}
			if got := f(x); got != -1 {
				t.Fatalf("%s: finite numbers: %d", name, got)
			}
			for i := max(0, n-37); i < n; i++ {
				for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -math.NaN()} {
					x[i] = float32(bad)
					if got := f(x); got != i {
						t.Fatalf("%s: %v at %d of %d: got %d", name, bad, i, n, got)
					}
				}
				x[i] = math.SmallestNonzeroFloat32
			}
		}
	}
}

func TestLengthsMustMatch(t *testing.T) {
	x, y := make([]float32, 3), make([]float32, 4)
	for name, f := range map[string]func(){
		"Add":              func() { Add(x, x, y) },
		"AddTo":            func() { AddTo(x, y) },
		"Dot":              func() { Dot(x, y) },
		"GELU":             func() { GELU(y, x) },
		"SoftmaxBackward":  func() { SoftmaxBackward(x, y, x, 1) },
		"LayerNorm":        func() { LayerNorm(x, nil, x, x, y, 1) },
		"LayerNorm xhat":   func() { LayerNorm(nil, y, x, nil, nil, 1) },
		"LayerNormParams":  func() { LayerNormParams(x, y, x, x) },
		"RMSNorm":          func() { RMSNorm(x, x, y, 1) },
		"RMSNormBackward":  func() { RMSNormBackward(x, x, x, y, 1) },
		"RMSNormParams":    func() { RMSNormParams(x, y, x, 1) },
		"SiLU":             func() { SiLU(x, y) },
		"SiLUBackward":     func() { SiLUBackward(x, y, x) },
		"SwiGLU":           func() { SwiGLU(x, x, y) },
		"SwiGLUBackward":   func() { SwiGLUBackward(x, x, x, x, y) },
		"Rotate":           func() { Rotate(x, y, x[:1], x[:1], false) },
		"Rotate angles":    func() { Rotate(x, x, x[:2], x[:2], false) },
		"Rotate sines":     func() { Rotate(y, y, x[:2], x[:1], false) },
		"CrossEntropyRow":  func() { CrossEntropyRow(x, 3, true) },
		"CrossEntropyRow0": func() { CrossEntropyRow(x, -1, false) },
		"Dropout":          func() { Dropout(x, y, Key{}, Site{}, 0, 0.5) },
		"Dropout p":        func() { Dropout(x, x, Key{}, Site{}, 0, 1) },
		"Dropout NaN":      func() { Dropout(x, x, Key{}, Site{}, 0, float32(math.NaN())) },
		"DropoutAdd first": func() { DropoutAdd(x, x, Key{}, Site{}, -1, 0.5) },
		"AdamW":            func() { AdamW(x, x, x, y, AdamWConfig{}, 1) },
		"AdamW step":       func() { AdamW(x, x, x, x, AdamWConfig{}, 0) },
		"Widen":            func() { Widen(x, make([]uint16, 4), F16) },
		"Widen F32":        func() { Widen(x, make([]uint16, 3), F32) },
		"Narrow F32":       func() { Narrow(make([]uint16, 3), x, F32) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
