package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestPhilox uses the known answers that the authors publish with Random123 (kat_vectors).
func TestPhilox(t *testing.T) {
	const ones = math.MaxUint32
	pi := [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}
	for _, test := range []struct {
		rounds  int
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{7, [4]uint32{}, [2]uint32{}, [4]uint32{0x5f6fb709, 0x0d893f64, 0x4f121f81, 0x4f730a48}},
		{
			7, [4]uint32{ones, ones, ones, ones}, [2]uint32{ones, ones},
			[4]uint32{0x5207ddc2, 0x45165e59, 0x4d8ee751, 0x8c52f662},
		},
		{7, pi, [2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0x4dfccaba, 0x190a87f0, 0xc47362ba, 0xb6b5242a}},
		{10, [4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{
			10, [4]uint32{ones, ones, ones, ones}, [2]uint32{ones, ones},
			[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
		},
		{10, pi, [2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox4x32(test.counter, test.key, test.rounds); got != test.want {
			t.Errorf("%d rounds of %x under %x: %x, want %x", test.rounds, test.counter, test.key, got, test.want)
		}
	}
}

// dropped returns what Dropout writes, by its definition.
func dropped(x []float32, k Key, s Site, first int, p float32) []float32 {
	y := make([]float32, len(x))
	key := k.hash()
	for i := range x {
		c := first + i
		w := philox4x32([4]uint32{uint32(c / 4), s.Row, s.Example, s.Op}, [2]uint32{uint32(key), uint32(key >> 32)}, 7)
		if w[c%4] >= uint32(float64(p)*(1<<32)) {
			y[i] = x[i] * float32(1/(1-float64(p)))
		}
	}
	return y
}

// TestDropout checks that all versions give the same bits for all parts of a row, and write nothing else.
func TestDropout(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	k, s := Key{Seed: 42, Step: 1 << 40}, Site{Op: 0xfffffff0, Example: 77, Row: 0x80000001}
	for _, p := range []float32{0.1, 0.5, 0.999, 0x1p-32, math.Nextafter32(1, 0)} {
		longest := 2*maxCall + 9
		x, before := randomSlice(rng, longest), randomSlice(rng, longest)
		const base = 1<<34 - 3*maxCall // the last columns that have counters
		for _, n := range lengths() {
			first := n % 7
			if n%2 == 1 {
				first += base
			}
			want := dropped(x[:n], k, s, first, p)
			sum := make([]float32, n)
			for i := range sum {
				sum[i] = before[i] + want[i]
			}
			what := fmt.Sprintf("%d elements from column %d", n, first)
			for version, f := range versions(dropout, dropoutGeneric) {
				from, to := fence(x[:n], n%9), fence(before[:n], (n+3)%9)
				f(to.data, from.data, newMask(k, s, p), first)
				mustEqualBits(t, version+": "+what, to.data, want)
				to.check(t, what)
				f(from.data, from.data, newMask(k, s, p), first)
				mustEqualBits(t, version+" in place: "+what, from.data, want)
				from.check(t, what)
			}
			for version, f := range versions(dropoutAdd, dropoutAddGeneric) {
				from, to := fence(x[:n], (n+5)%9), fence(before[:n], n%9)
				f(to.data, from.data, newMask(k, s, p), first)
				mustEqualBits(t, version+" added: "+what, to.data, sum)
				to.check(t, what)
				mustEqualBits(t, version+" added, input: "+what, from.data, x[:n])
			}
		}
	}
}

func TestDropoutOfNothing(t *testing.T) {
	x := randomSlice(rand.New(rand.NewPCG(9, 10)), 1000)
	y := make([]float32, len(x))
	Dropout(y, x, Key{}, Site{}, 5, 0)
	for i := range x {
		if math.Float32bits(x[i]) != math.Float32bits(y[i]) {
			t.Fatalf("with p = 0 %v became %v", x[i], y[i])
		}
	}
	sum := make([]float32, len(x))
	Add(sum, x, x)
	DropoutAdd(y, x, Key{}, Site{}, 5, 0)
	mustEqualBits(t, "DropoutAdd with p = 0", y, sum)
}

// TestDropoutStatistics counts how many of a million elements are dropped, and how often two rows agree if their keys
// or sites differ in one number.
func TestDropoutStatistics(t *testing.T) {
	const n, p = 1 << 20, 0.1
	kept := func(k Key, s Site) []float32 {
		y := make([]float32, n)
		for i := range y {
			y[i] = 1
		}
		Dropout(y, y, k, s, 0, p)
		return y
	}
	k, s := Key{Seed: 1, Step: 1}, Site{1, 1, 1}
	base := kept(k, s)
	for name, other := range map[string][]float32{
		"seed":    kept(Key{Seed: 2, Step: 1}, s),
		"step":    kept(Key{Seed: 1, Step: 2}, s),
		"op":      kept(k, Site{2, 1, 1}),
		"example": kept(k, Site{1, 2, 1}),
		"row":     kept(k, Site{1, 1, 2}),
		"zero":    kept(Key{}, Site{}),
	} {
		var dropped, both float64
		for i := range other {
			if other[i] == 0 {
				dropped++
				if base[i] == 0 {
					both++
				}
			}
		}
		// Six standard deviations of a binomial distribution.
		if want := n * float64(float32(p)); math.Abs(dropped-want) > 6*math.Sqrt(want*(1-p)) {
			t.Errorf("other %s: %v dropped, want %v", name, dropped, want)
		}
		if want := n * float64(p*p); math.Abs(both-want) > 6*math.Sqrt(want) {
			t.Errorf("other %s: %v dropped in both, want %v", name, both, want)
		}
	}
}

func TestKeyHash(t *testing.T) {
	seen := map[uint64]Key{}
	for seed := range uint64(64) {
		for step := range uint64(512) {
			k := Key{seed, step}
			if other, ok := seen[k.hash()]; ok {
				t.Fatalf("%v and %v have one hash", k, other)
			}
			seen[k.hash()] = k
		}
	}
	// The first outputs of SplitMix64, which newMask relies on, for state 0: mix64(golden), mix64(2·golden).
	const golden = 0x9e3779b97f4a7c15
	const two = golden & (1<<63 - 1) << 1
	if a, b := mix64(golden), mix64(two); a != 0xe220a8397b1dcdaf || b != 0x6e789e6aa1b965f4 {
		t.Errorf("SplitMix64 gives %x, %x", a, b)
	}
}
