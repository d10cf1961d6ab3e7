package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
)

// exactF16 returns the value of a binary16.
func exactF16(h uint16) float64 {
	sign := 1 - 2*float64(h>>15)
	e, m := int(h>>10&31), float64(h&1023)
	switch e {
	case 31:
		if m != 0 {
			return math.NaN()
		}
		return sign * math.Inf(1)
	case 0:
		return sign * math.Ldexp(m, -24)
	}
	return sign * math.Ldexp(1024+m, e-25)
}

// TestWidenNarrowAll widens every 16-bit number and narrows it again.
func TestWidenNarrowAll(t *testing.T) {
	src := make([]uint16, 1<<16)
	for i := range src {
		src[i] = uint16(i)
	}
	dst, back := make([]float32, len(src)), make([]uint16, len(src))
	for _, kind := range []Type{F16, BF16} {
		for version, f := range versions(Widen, widenRow) {
			f(dst, src, kind)
			for i, h := range src {
				want := exactF16(h)
				if kind == BF16 {
					want = float64(math.Float32frombits(uint32(h) << 16))
				}
				if got := float64(dst[i]); got != want && want == want || math.Signbit(got) != (h>>15 == 1) ||
					(got == got) != (want == want) {
					t.Fatalf("%s %v: %#x becomes %v, want %v", version, kind, h, got, want)
				}
			}
		}
		for version, f := range map[string]func([]uint16, []float32){
			"chosen": func(dst []uint16, src []float32) { Narrow(dst, src, kind) },
			"go":     func(dst []uint16, src []float32) { narrowPlain(dst, src, kind) },
		} {
			f(back, dst)
			for i, h := range src {
				if back[i] != h && !(dst[i] != dst[i] && back[i]&^0x240 == h&^0x240) { // NaN may become quiet
					t.Fatalf("%s %v: %#x comes back as %#x", version, kind, h, back[i])
				}
			}
		}
	}
}

func narrowPlain(dst []uint16, src []float32, t Type) {
	if t == F16 {
		narrowF16Generic(dst, src)
	} else {
		narrowBF16Generic(dst, src)
	}
}

// TestNarrowRounds checks that no neighbour is nearer than the result of Narrow, that ties go to even, and that
// versions agree.
func TestNarrowRounds(t *testing.T) {
	dst, plain := make([]uint16, 4096), make([]uint16, 4096)
	around, values := make([]uint16, 3), make([]float32, 3)
	for _, kind := range []Type{F16, BF16} {
		everyFloat(func(x []float32) {
			Narrow(dst[:len(x)], x, kind)
			narrowPlain(plain, x, kind)
			for i, v := range x {
				h := dst[i]
				if h != plain[i] {
					t.Fatalf("%v: %v becomes %#x, in Go %#x", kind, v, h, plain[i])
				}
				if v != v {
					continue
				}
				magnitude := h &^ 0x8000
				around[0], around[1], around[2] = max(magnitude, 1)-1, magnitude, magnitude+1
				Widen(values, around, kind)
				largest := map[Type]float64{F16: 65504, BF16: 0x1.fep127}[kind]
				step := map[Type]float64{F16: 32, BF16: 0x1p120}[kind]
				size := math.Abs(float64(v))
				if math.IsInf(float64(values[1]), 1) {
					if size < largest+step/2 {
						t.Fatalf("%v: %v becomes infinite", kind, v)
					}
					continue
				}
				err := math.Abs(float64(values[1]) - size)
				down := math.Abs(float64(values[0]) - size)
				up := math.Abs(float64(values[2]) - size)
				if math.IsInf(float64(values[2]), 1) {
					up = math.Abs(largest + step - size)
				}
				if magnitude > 0 && down < err || up < err || h&1 == 1 && (down == err || up == err) ||
					math.Signbit(float64(v)) != (h>>15 == 1) {
					t.Fatalf("%v: %v becomes %#x, that is %v between %v and %v", kind, v, h, values[1], values[0], values[2])
				}
			}
		})
	}
}

func TestWidenNarrowLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(25, 26))
	longest := 2*maxCall + 9
	x := randomSlice(rng, longest)
	for _, kind := range []Type{F16, BF16} {
		halves, values := make([]uint16, longest), make([]float32, longest)
		narrowPlain(halves, x, kind)
		widenRow(values, halves, kind)
		for _, n := range lengths() {
			f := fence(make([]float32, n), n%9)
			Widen(f.data, halves[:n], kind)
			mustEqualBits(t, "Widen", f.data, values[:n])
			f.check(t, "Widen")
			all := make([]uint16, n+n%9+17)
			Narrow(all[n%9:n%9+n], x[:n], kind)
			for i, h := range all {
				if k := i - n%9; k < 0 || k >= n {
					if h != 0 {
						t.Fatalf("Narrow of %d writes element %d", n, k)
					}
				} else if h != halves[k] {
					t.Fatalf("Narrow of %d: element %d is %#x, want %#x", n, k, h, halves[k])
				}
			}
		}
	}
}
