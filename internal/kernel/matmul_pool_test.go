package kernel

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"
)

// TestMatMulConcurrentCallers shares one pool among goroutines and nests products in its tasks; all of them must get
// the bits that a single caller gets.
func TestMatMulConcurrentCallers(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	p := NewPool(3)
	defer p.Close()
	large := newCase(rng, 150, 130, []int{90, 4}, F32, BF16, false, true, 1, Epilogue{})
	small := newCase(rng, 10, 20, []int{30}, F32, F32, true, false, 0, Epilogue{})
	wantLarge, wantSmall := large.run(nil, &tiles.kernel), small.run(nil, &tiles.kernel)
	var callers sync.WaitGroup
	for range 6 {
		callers.Go(func() {
			for range 8 {
				sameBits(t, "large product", large.run(p, &tiles.kernel), wantLarge)
			}
		})
		callers.Go(func() {
			for range 4 {
				p.For(6, func(int, int) {
					sameBits(t, "small product in a task", small.run(nil, &tiles.kernel), wantSmall)
					sameBits(t, "large product in a task", large.run(p, &tiles.kernel), wantLarge)
				})
			}
		})
	}
	callers.Wait()
}

// TestPackingWidensEveryHalf packs all 65,536 values of F16 and of BF16, by rows and by columns.
func TestPackingWidensEveryHalf(t *testing.T) {
	forEachTile(t, func(t *testing.T, k *tileKernels) {
		rows := 1 << 16 / k.cols
		for _, kind := range []Type{F16, BF16} {
			all := Mat{U16: make([]uint16, 1<<16), Type: kind, Stride: k.cols}
			for i := range all.U16 {
				all.U16[i] = uint16(i)
			}
			packed := make([]float32, 1<<16)
			k.pack(packed, &all, 0, rows, 0, k.cols)
			turned := make([]float32, 1<<16)
			k.transpose(turned, rows, &all, 0, rows, 0, k.cols)
			for i, h := range all.U16 {
				want := valueBF16(h)
				if kind == F16 {
					want = valueF16(h)
				}
				for way, got := range map[string]float32{
					"rows":    packed[i],
					"columns": turned[i%k.cols*rows+i/k.cols],
				} {
					if math.Float32bits(got) != math.Float32bits(want) {
						t.Fatalf("%v %#04x packed by %s is %#08x, want %#08x", kind, h, way, math.Float32bits(got),
							math.Float32bits(want))
					}
				}
			}
		}
	})
}
