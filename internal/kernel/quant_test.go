package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

func quantisedTypes() []Type {
	var all []Type
	for _, t := range Types() {
		if t.Quantised() {
			all = append(all, t)
		}
	}
	return all
}

// randomBlocks returns n values of a quantised type: random bits, but scales and minimums of the size that trained
// weights have.
func randomBlocks(rng *rand.Rand, t Type, n int) []byte {
	b := make([]byte, t.Bytes(n))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	for block := b; len(block) > 0; block = block[t.BlockBytes():] {
		at := map[Type][]int{Q6_K: {209}, Q4_1: {1, 3}, Q5_1: {1, 3}, Q4_K: {1, 3}, Q5_K: {1, 3}}[t]
		if at == nil {
			at = []int{1}
		}
		for _, high := range at { // sign and exponent of a binary16
			block[high] = block[high]&0x83 | byte(4+rng.IntN(4))<<2
		}
	}
	return b
}

// TestDequantizeFixture compares every version with the results of llama.cpp's gguf package, bit for bit.
func TestDequantizeFixture(t *testing.T) {
	g := golden.Open(t, "../../testdata/gguf/blocks.safetensors")
	for _, kind := range quantisedTypes() {
		src, want := g.Tensor(kind.String()+".bytes").Data, g.Float32(kind.String()+".values")
		for version, f := range versions(Dequantize, dequantizeGeneric) {
			got := make([]float32, len(want))
			f(got, src, kind)
			sameBits(t, fmt.Sprintf("%v %s", kind, version), got, want)
		}
	}
}

// TestDequantizeVersions compares the assembly with plain Go for random bits, including NaN and infinite scales, at any
// number of blocks and alignment.
func TestDequantizeVersions(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for _, kind := range quantisedTypes() {
		per := kind.BlockValues()
		for _, blocks := range []int{0, 1, 2, 3, 5, maxCall/per - 1, maxCall / per, maxCall/per + 1, 2*maxCall/per + 3} {
			src := make([]byte, blocks*kind.BlockBytes()+7)
			for i := range src {
				src[i] = byte(rng.Uint32())
			}
			src = src[blocks%7:][:blocks*kind.BlockBytes()]
			what := fmt.Sprintf("%v, %d blocks", kind, blocks)
			want, got := make([]float32, blocks*per), fence(make([]float32, blocks*per), blocks%9)
			dequantizeGeneric(want, src, kind)
			Dequantize(got.data, src, kind)
			mustEqualBits(t, what, got.data, want)
			got.check(t, what)
		}
	}
}

func TestDequantizePanics(t *testing.T) {
	for name, f := range map[string]func(){
		"F32":           func() { Dequantize(make([]float32, 1), make([]byte, 4), F32) },
		"unknown type":  func() { Dequantize(nil, nil, typeCount) },
		"part of block": func() { Dequantize(make([]float32, 32), make([]byte, 17), Q4_0) },
		"short dst":     func() { Dequantize(make([]float32, 31), make([]byte, 18), Q4_0) },
		"long dst":      func() { Dequantize(make([]float32, 64), make([]byte, 18), Q4_0) },
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

func TestTypes(t *testing.T) {
	for _, test := range []struct {
		t             Type
		name          string
		values, bytes int
	}{
		{F32, "F32", 1, 4}, {BF16, "BF16", 1, 2}, {Q8_0, "Q8_0", 32, 34}, {Q4_K, "Q4_K", 256, 144},
		{Q6_K, "Q6_K", 256, 210},
	} {
		if test.t.String() != test.name || test.t.BlockValues() != test.values || test.t.BlockBytes() != test.bytes ||
			test.t.Quantised() != (test.values > 1) {
			t.Errorf("%v: %d values in %d bytes", test.t, test.t.BlockValues(), test.t.BlockBytes())
		}
	}
	if got := Q4_1.Bytes(96); got != 60 {
		t.Errorf("96 values of Q4_1 take %d bytes", got)
	}
	if got := typeCount.String(); got != "Type(11)" {
		t.Errorf("an unknown type is called %s", got)
	}
}

// quantisedMat returns a random quantised matrix as B of a product, whose row stride is a block longer than needed, and
// its values.
func quantisedMat(rng *rand.Rand, kind Type, rows, cols int, trans bool) (quantised, widened Mat) {
	if trans {
		rows, cols = cols, rows
	}
	stride := roundUp(cols, kind.BlockValues()) + kind.BlockValues()
	b := randomBlocks(rng, kind, rows*stride)
	values := make([]float32, rows*stride)
	dequantizeGeneric(values, b, kind)
	last := max(rows-1, 0)*kind.Bytes(stride) + kind.Bytes(roundUp(cols, kind.BlockValues()))
	return Mat{Bytes: b[:min(last, len(b))], Type: kind, Stride: stride, Trans: trans},
		Mat{F32: values, Stride: stride, Trans: trans}
}

// TestMatMulQuantised checks that a product with a quantised B gives the bits of the product with its values.
func TestMatMulQuantised(t *testing.T) {
	sizes := []struct{ m, n, k int }{
		{1, 1, 1}, {7, 33, 32}, {13, 48, 200}, {6, 300, 256}, {40, 20, 2*blockK + 40}, {3, 520, 33}, {20, blockN + 40, 70},
		{10, 50, 3 * 256}, {blockM + 7, 17, 40},
	}
	forEachTile(t, func(t *testing.T, k *tileKernels) {
		rng := rand.New(rand.NewPCG(43, 44))
		for _, kind := range quantisedTypes() {
			for _, s := range sizes {
				for _, trans := range []bool{false, true} {
					quantised, wide := quantisedMat(rng, kind, s.k, s.n, trans)
					name := fmt.Sprintf("%d×%d×%d %v, transposed %v", s.m, s.k, s.n, kind, trans)
					t.Run(name, func(t *testing.T) {
						c := newCase(rng, s.m, s.n, []int{3, s.k}, F32, F32, false, trans, 2, Epilogue{Bias: biasFor(s.n)})
						c.terms[1].B = wide
						want := c.run(nil, k)
						c.terms[1].B = quantised
						sameBits(t, "one worker", c.run(nil, k), want)
						p := NewPool(3)
						defer p.Close()
						sameBits(t, "three workers", c.run(p, k), want)
					})
				}
			}
		}
	})
}

func TestMatMulQuantisedPanics(t *testing.T) {
	whole := func() []Term {
		return []Term{
			{
				A: Mat{F32: make([]float32, 64), Stride: 64},
				B: Mat{Bytes: make([]byte, 3*36), Type: Q4_0, Stride: 64, Trans: true}, K: 64,
			},
		}
	}
	(*Pool)(nil).MatMul(make([]float32, 3), 3, 1, 3, whole(), Epilogue{})
	for name, spoil := range map[string]func(t *Term){
		"short B":         func(t *Term) { t.B.Bytes = t.B.Bytes[1:] },
		"stride of B":     func(t *Term) { t.B.Stride = 65 },
		"B without Bytes": func(t *Term) { t.B.Bytes, t.B.F32 = nil, make([]float32, 192) },
		"quantised A":     func(t *Term) { t.A = Mat{Bytes: make([]byte, 36), Type: Q4_0, Stride: 64} },
	} {
		t.Run(name, func(t *testing.T) {
			terms := whole()
			spoil(&terms[0])
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			(*Pool)(nil).MatMul(make([]float32, 3), 3, 1, 3, terms, Epilogue{})
		})
	}
}
