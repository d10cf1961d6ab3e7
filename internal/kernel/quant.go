package kernel

import "fmt"

// Dequantize widens whole blocks of a quantised type to float32. The values are those of llama.cpp's gguf package, bit
// for bit. It panics if dst and src do not hold the same number of values, or if t is not quantised.
func Dequantize(dst []float32, src []byte, t Type) {
	if t >= typeCount || !t.Quantised() {
		panic(fmt.Sprintf("kernel: Dequantize: type %v is not quantised", t))
	}
	blocks := len(src) / t.BlockBytes()
	if blocks*t.BlockBytes() != len(src) || blocks*t.BlockValues() != len(dst) {
		panic(fmt.Sprintf("kernel: Dequantize: %d bytes of %v are not %d values", len(src), t, len(dst)))
	}
	dequantize(dst, src, t)
}
