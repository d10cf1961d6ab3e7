package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkSlices measures each function on rows of 1,024 elements, and on 128 where a call per short row matters.
// Compare versions with
//
//	go test -bench Slices ./internal/kernel
//	go test -bench Slices -tags purego ./internal/kernel
func BenchmarkSlices(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	const longest = 1024
	x, y, z, w := normalSlice(rng, longest), normalSlice(rng, longest), normalSlice(rng, longest),
		normalSlice(rng, longest)
	p, m, v := normalSlice(rng, longest), normalSlice(rng, longest), make([]float32, longest)
	for i := range v {
		v[i] = m[i] * m[i]
	}
	dst, dst2, half := make([]float32, longest), make([]float32, longest), make([]uint16, longest)
	k, s := Key{Seed: 1, Step: 1}, Site{1, 2, 3}
	config := AdamWConfig{LR: 1e-9, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01}
	Narrow(half, x, F16)
	for _, f := range []struct {
		name string
		run  func(n int)
	}{
		{"Add", func(n int) { Add(dst[:n], x[:n], y[:n]) }},
		{"AddTo", func(n int) { AddTo(dst[:n], x[:n]) }},
		{"AddScaled", func(n int) { AddScaled(dst[:n], x[:n], 1e-3) }},
		{"Scale", func(n int) { Scale(dst[:n], x[:n], 2) }},
		{"Dot", func(n int) { Dot(x[:n], y[:n]) }},
		{"Sum", func(n int) { Sum(x[:n]) }},
		{"SumSquares", func(n int) { SumSquares(x[:n]) }},
		{"FirstNonFinite", func(n int) { FirstNonFinite(x[:n]) }},
		{"GELU", func(n int) { GELU(dst[:n], x[:n]) }},
		{"GELUBackward", func(n int) { GELUBackward(dst[:n], y[:n], x[:n]) }},
		{"GELUTanh", func(n int) { GELUTanh(dst[:n], x[:n]) }},
		{"GELUTanhBackward", func(n int) { GELUTanhBackward(dst[:n], y[:n], x[:n]) }},
		{"Tanh", func(n int) { Tanh(dst[:n], x[:n]) }},
		{"TanhBackward", func(n int) { TanhBackward(dst[:n], y[:n], x[:n]) }},
		{"ReLU", func(n int) { ReLU(dst[:n], x[:n]) }},
		{"ReLUBackward", func(n int) { ReLUBackward(dst[:n], y[:n], x[:n]) }},
		{"Softmax", func(n int) { Softmax(dst2[:n], 0.125) }},
		{"SoftmaxBackward", func(n int) { SoftmaxBackward(dst[:n], y[:n], x[:n], 0.125) }},
		{"LayerNorm", func(n int) { LayerNorm(dst[:n], dst2[:n], x[:n], y[:n], z[:n], 1e-12) }},
		{"LayerNormBackward", func(n int) { LayerNormBackward(dst[:n], x[:n], y[:n], z[:n], 0.5) }},
		{"LayerNormParams", func(n int) { LayerNormParams(w[:n], z[:n], x[:n], y[:n]) }},
		{"Dropout", func(n int) { Dropout(dst[:n], x[:n], k, s, 0, 0.1) }},
		{"DropoutAdd", func(n int) { DropoutAdd(dst[:n], x[:n], k, s, 0, 0.1) }},
		{"AdamW", func(n int) { AdamW(p[:n], x[:n], m[:n], v[:n], config, 10) }},
		{"WidenF16", func(n int) { Widen(dst[:n], half[:n], F16) }},
		{"WidenBF16", func(n int) { Widen(dst[:n], half[:n], BF16) }},
		{"NarrowF16", func(n int) { Narrow(half[:n], x[:n], F16) }},
		{"NarrowBF16", func(n int) { Narrow(half[:n], x[:n], BF16) }},
	} {
		for _, n := range []int{128, longest} {
			b.Run(fmt.Sprintf("%s/%d", f.name, n), func(b *testing.B) {
				for b.Loop() {
					f.run(n)
				}
				b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "elements/s")
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/element")
			})
		}
	}
}
