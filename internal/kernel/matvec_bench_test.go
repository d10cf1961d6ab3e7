package kernel

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// BenchmarkDecode runs all products of a token of SmolLM2-135M (30 layers, 576 wide, 1536 in between, 9 and 3 heads of
// 64, 49152 tokens). Each layer has its own weights, so that they come from memory. The reported tokens/s are an upper
// bound for generating.
func BenchmarkDecode(b *testing.B) {
	const layers, c, f, v, kv = 30, 576, 1536, 49152, 192
	shapes := [][2]int{{c, c}, {kv, c}, {kv, c}, {c, c}, {f, c}, {f, c}, {c, f}}
	p := NewPool(0)
	defer p.Close()
	rng := rand.New(rand.NewPCG(51, 52))
	x, y := normalSlice(rng, v), make([]float32, v)
	for _, kind := range []Type{F32, BF16, F16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1} { // 576 is not a multiple of 256
		b.Run(kind.String(), func(b *testing.B) {
			var weights []Mat
			var sizes [][2]int
			total := 0
			add := func(n, k int) {
				w := Mat{Type: kind, Stride: k}
				switch {
				case kind == F32:
					w.F32 = filled(n*k, 1)
				case kind.Quantised():
					w.Bytes = bytes.Repeat([]byte{0x3c}, kind.Bytes(n*k)) // written, so that each page has its own memory
				default:
					w.U16 = slices.Repeat([]uint16{0x3c3c}, n*k) // a normal number in both types
				}
				weights, sizes, total = append(weights, w), append(sizes, [2]int{n, k}), total+n*k
			}
			for range layers {
				for _, s := range shapes {
					add(s[0], s[1])
				}
			}
			add(v, c)
			token := func() {
				for i, w := range weights {
					n, k := sizes[i][0], sizes[i][1]
					p.MatVec(y, n, x, k, 1, w, n, k, nil)
				}
			}
			token()
			for b.Loop() {
				token()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
			b.SetBytes(int64(kind.Bytes(total)))
		})
	}
}

// BenchmarkForkJoin measures the cost of regions whose tasks do nothing, one after the other without a gap.
func BenchmarkForkJoin(b *testing.B) {
	p := NewPool(0)
	defer p.Close()
	body := func(int, int) {}
	for b.Loop() {
		p.For(8, body)
	}
}
