//go:build !amd64 || purego

package kernel

func widen(dst []float32, src []uint16, t Type) {
	widenRow(dst, src, t)
}

func narrowF16(dst []uint16, src []float32) {
	narrowF16Generic(dst, src)
}

func narrowBF16(dst []uint16, src []float32) {
	narrowBF16Generic(dst, src)
}
