//go:build !purego

package kernel

//go:generate go -C asm run ./vector -family quant

func dequantize(dst []float32, src []byte, t Type) {
	if !hasAVX2 {
		dequantizeGeneric(dst, src, t)
		return
	}
	values, bytes := t.BlockValues(), t.BlockBytes()
	for len(dst) > 0 {
		blocks := min(len(dst), maxCall) / values
		to, from := &dst[0], &src[0]
		switch t {
		case Q8_0:
			dequantizeQ8_0AMD64(to, from, blocks)
		case Q4_0:
			dequantizeQ4_0AMD64(to, from, blocks)
		case Q4_1:
			dequantizeQ4_1AMD64(to, from, blocks)
		case Q5_0:
			dequantizeQ5_0AMD64(to, from, blocks)
		case Q5_1:
			dequantizeQ5_1AMD64(to, from, blocks)
		case Q4_K:
			dequantizeQ4_KAMD64(to, from, blocks)
		case Q5_K:
			dequantizeQ5_KAMD64(to, from, blocks)
		case Q6_K:
			dequantizeQ6_KAMD64(to, from, blocks)
		}
		dst, src = dst[blocks*values:], src[blocks*bytes:]
	}
}
