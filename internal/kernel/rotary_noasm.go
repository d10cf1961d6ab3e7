//go:build !amd64 || purego

package kernel

func rotate(d1, d2, x1, x2, cos, sin []float32, sign float32) {
	rotateGeneric(d1, d2, x1, x2, cos, sin, sign)
}
