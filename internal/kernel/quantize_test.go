package kernel

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// TestQuantizeFixture compares every type with the blocks of llama.cpp's ggml_quantize_chunk, byte for byte: weights of
// several sizes, heavy tails, an offset, ties, and blocks of zeros, of one value and of tiny values.
func TestQuantizeFixture(t *testing.T) {
	g := golden.Open(t, "../../testdata/llamacpp/blocks.safetensors")
	values := g.Float32("values")
	for _, kind := range QuantizedTypes() {
		want := g.Tensor(kind.String()).Data
		got := make([]byte, len(want))
		Quantize(got, values, kind)
		size := kind.BlockBytes()
		wrong := 0
		for i := 0; i < len(want); i += size {
			if !bytes.Equal(got[i:i+size], want[i:i+size]) {
				if wrong++; wrong == 1 {
					t.Errorf("%v, block %d: got %x, want %x", kind, i/size, got[i:i+size], want[i:i+size])
				}
			}
		}
		if wrong > 0 {
			t.Errorf("%v: %d of %d blocks differ", kind, wrong, len(want)/size)
		}
	}
}

// TestQuantizeAgain quantises numbers that a block can hold exactly.
func TestQuantizeAgain(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, kind := range []Type{Q8_0, Q4_1, Q5_0} {
		x := make([]float32, 4*256)
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		once, twice := make([]byte, kind.Bytes(len(x))), make([]byte, kind.Bytes(len(x)))
		y := make([]float32, len(x))
		Quantize(once, x, kind)
		Dequantize(y, once, kind)
		Quantize(twice, y, kind)
		z := make([]float32, len(x))
		Dequantize(z, twice, kind)
		for i := range y {
			if d := y[i] - z[i]; d > 2e-3 || d < -2e-3 {
				t.Errorf("%v: value %d is %g, then %g", kind, i, y[i], z[i])
				break
			}
		}
	}
}

func TestQuantizePanics(t *testing.T) {
	for name, f := range map[string]func(){
		"F16":           func() { Quantize(make([]byte, 64), make([]float32, 32), F16) },
		"no quantiser":  func() { Quantize(make([]byte, 18), make([]float32, 32), Q4_0) },
		"part of block": func() { Quantize(make([]byte, 34), make([]float32, 31), Q8_0) },
		"short dst":     func() { Quantize(make([]byte, 33), make([]float32, 32), Q8_0) },
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
