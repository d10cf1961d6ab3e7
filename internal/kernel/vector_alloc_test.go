package kernel

import "testing"

// TestNoAllocations checks that slices passed to this package may be arrays on the stack.
func TestNoAllocations(t *testing.T) {
	n := testing.AllocsPerRun(10, func() {
		var a, b, c, d [40]float32
		var h [40]uint16
		Add(a[:], b[:], c[:])
		AddScaled(a[:], b[:], Dot(a[:], c[:]))
		SumSquares(a[:])
		GELU(a[:], b[:])
		GELUBackward(a[:], b[:], c[:])
		Softmax(a[:], 1)
		SoftmaxBackward(a[:], b[:], c[:], 1)
		LayerNorm(a[:], b[:], c[:], d[:], d[:], 1)
		LayerNormBackward(a[:], b[:], c[:], d[:], 1)
		LayerNormParams(a[:], b[:], c[:], d[:])
		RMSNorm(a[:], b[:], c[:], 1)
		RMSNormBackward(a[:], b[:], c[:], d[:], 1)
		RMSNormParams(a[:], b[:], c[:], 1)
		SiLU(a[:], b[:])
		SiLUBackward(a[:], b[:], c[:])
		SwiGLU(a[:], b[:], c[:])
		SwiGLUBackward(a[:], b[:], c[:], d[:], d[:])
		Rotate(a[:], b[:], c[:10], d[:10], true)
		CrossEntropyRow(a[:], 3, true)
		AttendOne(a[:8], b[:8], c[:], d[:], 8, 5, 1, nil, a[8:])
		Dropout(a[:], b[:], Key{}, Site{}, 1, 0.5)
		AdamW(a[:], b[:], c[:], d[:], AdamWConfig{LR: 1, Eps: 1}, 1)
		Narrow(h[:], a[:], BF16)
		Widen(a[:], h[:], F16)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
