package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// forEachBF16 runs a test with the version for pairs of BF16, if this processor has one, and with all versions without.
func forEachBF16(t *testing.T, test func(t *testing.T, k *tileKernels)) {
	native := pairTiles
	t.Cleanup(func() { pairTiles = native })
	if native != nil {
		t.Run("pairs", func(t *testing.T) { test(t, &tiles.kernel) })
	}
	pairTiles = nil
	forEachTile(t, test)
}

// bf16Case is newCase for values that BF16 holds, as F32 or BF16, so that nothing is rounded before it is multiplied.
func bf16Case(rng *rand.Rand, m, n int, ks []int, kindB Type, transA, transB bool, gap int, e Epilogue) *matCase {
	c := newCase(rng, m, n, ks, BF16, kindB, transA, transB, gap, e)
	for i := range c.terms {
		a := &c.terms[i].A
		wide := make([]float32, len(a.U16))
		Widen(wide, a.U16, BF16)
		a.F32, a.U16, a.Type = wide, nil, F32
		c.terms[i].BF16 = true
	}
	return c
}

func TestMatMulBF16Sizes(t *testing.T) {
	forEachBF16(t, func(t *testing.T, k *tileKernels) {
		rng := rand.New(rand.NewPCG(11, 12))
		for _, m := range []int{1, 13, 14, 29} {
			for _, n := range []int{1, 16, 17, 32, 33, 70} {
				for _, depth := range []int{0, 1, 2, 33, 2*blockK + 3} {
					for orientation := range 4 {
						transA, transB := orientation&1 != 0, orientation&2 != 0
						name := fmt.Sprintf("%d×%d×%d, transposed %v %v", m, depth, n, transA, transB)
						c := bf16Case(rng, m, n, []int{depth}, BF16, transA, transB, depth%4, Epilogue{})
						t.Run(name, func(t *testing.T) { c.verify(t, c.run(nil, k)) })
					}
				}
			}
		}
	})
}

// TestMatMulBF16Rounds: values of other types are rounded to the nearest BF16 first, and terms with and without BF16
// add up in one product.
func TestMatMulBF16Rounds(t *testing.T) {
	forEachBF16(t, func(t *testing.T, k *tileKernels) {
		rng := rand.New(rand.NewPCG(13, 14))
		for _, kind := range Types() {
			for _, trans := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v, transposed %v", kind, trans), func(t *testing.T) {
					const m, n, depth = 37, 256, 512
					rows, cols := depth, n
					if trans {
						rows, cols = n, depth
					}
					b, values := Mat{Type: kind, Stride: cols, Trans: trans}, make([]float32, rows*cols)
					switch {
					case kind == F32:
						b.F32 = normalSlice(rng, len(values))
						copy(values, b.F32)
					case kind.Quantised():
						b.Bytes = randomBlocks(rng, kind, len(values))
						Dequantize(values, b.Bytes, kind)
					default:
						b.U16 = make([]uint16, len(values))
						Narrow(b.U16, normalSlice(rng, len(values)), kind)
						Widen(values, b.U16, kind)
					}
					a := normalSlice(rng, m*depth)
					low := Term{A: Mat{F32: normalSlice(rng, m*8), Stride: 8}, B: Mat{F32: normalSlice(rng, 8*n), Stride: n}, K: 8}
					product := func(p *Pool, a []float32, b Mat) []float32 {
						dst := make([]float32, m*n)
						p.matMul(k, dst, n, m, n, []Term{{A: Mat{F32: a, Stride: depth}, B: b, K: depth, BF16: true}, low},
							Epilogue{Bias: biasFor(n)})
						return dst
					}
					got := product(nil, a, b)
					pool := NewPool(3)
					defer pool.Close()
					sameBits(t, "on three workers", product(pool, a, b), got)
					rounded := slices.Clone(a)
					roundBF16(rounded)
					roundBF16(values)
					sameBits(t, "of rounded values", product(nil, rounded, Mat{F32: values, Stride: cols, Trans: trans}), got)
				})
			}
		}
	})
}

// BenchmarkMatMulBF16 compares products of a layer of BERT-base with and without BF16, forward and backward.
func BenchmarkMatMulBF16(b *testing.B) {
	const m, in, out = 1024, 768, 768
	rng := rand.New(rand.NewPCG(15, 16))
	x, y, w := normalSlice(rng, m*in), make([]float32, m*out), normalSlice(rng, out*in)
	for _, bf16 := range []bool{false, true} {
		for _, trans := range []bool{true, false} {
			b.Run(fmt.Sprintf("BF16 %v, W transposed %v", bf16, trans), func(b *testing.B) {
				terms := []Term{{A: Mat{F32: x, Stride: in}, B: Mat{F32: w, Stride: in, Trans: trans}, K: in, BF16: bf16}}
				for b.Loop() {
					var alone *Pool
					alone.MatMul(y, out, m, out, terms, Epilogue{})
				}
				b.ReportMetric(2*float64(b.N)*m*in*out/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
