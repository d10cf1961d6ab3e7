//go:build amd64 && !purego

package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// forEachVectors runs f with each version of the functions on slices that this processor has.
func forEachVectors(t *testing.T, f func(t *testing.T)) {
	chosen := wide512
	t.Cleanup(func() { wide512 = chosen })
	for _, wide := range []bool{false, true} {
		if wide && !hasAVX512 {
			continue
		}
		name := avx2
		if wide {
			name = avx512
		}
		t.Run(name, func(t *testing.T) {
			wide512 = wide
			f(t)
		})
	}
}

// TestWideSameBits: the functions on slices give the same bits in AVX2 and in AVX-512, for every length, whatever the
// numbers are.
func TestWideSameBits(t *testing.T) {
	if !hasAVX512 {
		t.Skip("this processor has no AVX-512, or SPALORA_KERNEL forbids it")
	}
	for _, n := range append(lengths(), maxCall-16, maxCall+47) {
		for seed := range uint64(3) {
			var want []float32
			forEachVectors(t, func(t *testing.T) {
				got := resultsOf(rand.New(rand.NewPCG(seed, uint64(n))), n)
				if want == nil {
					want = got
				}
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("length %d: number %d of the results is %v, want %v", n, i, got[i], want[i])
					}
				}
			})
		}
	}
}

// TestWideProductsSameBits is TestWideSameBits for a row times a matrix of every type, and for blocks.
func TestWideProductsSameBits(t *testing.T) {
	if !hasAVX512 {
		t.Skip("this processor has no AVX-512, or SPALORA_KERNEL forbids it")
	}
	p := NewPool(1)
	defer p.Close()
	for _, kind := range Types() {
		per := kind.BlockValues()
		for blocks := range 21 {
			n, k := 1+blocks%7, (blocks+1)*per
			for _, trans := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v, %d×%d, transposed %v", kind, n, k, trans), func(t *testing.T) {
					var want []float32
					forEachVectors(t, func(t *testing.T) {
						rng := rand.New(rand.NewPCG(uint64(kind), uint64(blocks)))
						c := newVecCase(rng, 2, n, k, kind, trans, false)
						c.x = randomSlice(rng, len(c.x))
						got := c.run(t, p, 0, 2)
						if kind.Quantised() {
							values := make([]float32, k)
							Dequantize(values, randomBlocks(rng, kind, k), kind)
							got = append(got, values...)
						}
						if want == nil {
							want = got
						}
						mustEqualBits(t, "product", got, want)
					})
				})
			}
		}
	}
}

// resultsOf returns what the functions on slices make of random slices of n elements, one after the other.
func resultsOf(rng *rand.Rand, n int) (all []float32) {
	keep := func(results ...[]float32) {
		for _, r := range results {
			all = append(all, r...)
		}
	}
	number := func(x float64) { // both halves of a float64
		bits := math.Float64bits(x)
		keep([]float32{math.Float32frombits(uint32(bits)), math.Float32frombits(uint32(bits >> 32))})
	}
	var wild, tame [4][]float32
	for i := range wild {
		wild[i], tame[i] = randomSlice(rng, n), normalSlice(rng, n)
	}
	dst, second := make([]float32, n), make([]float32, n)
	functions := slicewiseFunctions()
	slices.SortFunc(functions, func(a, b slicewise) int { return strings.Compare(a.name, b.name) })
	for _, f := range functions {
		for _, in := range [][4][]float32{wild, tame} {
			f.run(dst, append([][]float32(nil), in[:f.inputs]...))
			keep(dst)
		}
	}
	for _, x := range [][4][]float32{wild, tame} {
		keep([]float32{Dot(x[0], x[1]), Sum(x[0])})
		number(SumSquares(x[0]))
		number(float64(FirstNonFinite(x[0])))
		copy(dst, x[0])
		keep([]float32{Softmax(dst, 0.7)}, dst)
		copy(dst, x[1])
		LogSoftmax(dst)
		keep(dst)
		SoftmaxBackward(dst, x[0], x[1], 0.3)
		keep(dst)
		rstd := LayerNorm(dst, second, x[0], x[1], x[2], 1e-5)
		keep([]float32{rstd}, dst, second)
		LayerNormBackward(dst, x[0], x[1], x[2], 0.4)
		keep(dst)
		LayerNormParams(dst, second, x[0], x[1])
		keep(dst, second)
		keep([]float32{RMSNorm(dst, x[0], x[1], 1e-6)}, dst)
		RMSNormBackward(dst, x[0], x[1], x[2], 0.4)
		keep(dst)
		RMSNormParams(dst, x[0], x[1], 0.4)
		keep(dst)
		if n%2 == 0 {
			Rotate(dst, x[0], x[1][:n/2], x[2][:n/2], n%4 == 0)
			keep(dst)
		}
		if n > 0 {
			for _, grad := range []bool{false, true} {
				copy(dst, x[3])
				loss, _ := CrossEntropyRow(dst, n/2, grad)
				number(loss)
				keep(dst)
			}
		}
		key, site := Key{Seed: 7, Step: 3}, Site{Op: 5, Example: 6, Row: 7}
		for first := range 5 {
			Dropout(dst, x[0], key, site, first, 0.3)
			keep(dst)
			DropoutAdd(dst, x[1], key, site, first, 0.3)
			keep(dst)
		}
		p, m, v := append([]float32(nil), x[0]...), append([]float32(nil), x[1]...), make([]float32, n)
		for i := range v {
			v[i] = m[i] * m[i]
		}
		AdamW(p, x[2], m, v, AdamWConfig{LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1}, 3)
		keep(p, m, v)
		half := make([]uint16, n)
		for _, kind := range []Type{F16, BF16} {
			Narrow(half, x[0], kind)
			Widen(dst, half, kind)
			keep(dst)
		}
		AttendOne(dst, x[0], x[1], x[2], n, min(1, n), 1, nil, second[:min(1, n)])
		keep(dst)
	}
	return all
}
