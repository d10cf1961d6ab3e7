//go:build !amd64 || purego

package kernel

func dequantize(dst []float32, src []byte, t Type) {
	dequantizeGeneric(dst, src, t)
}
