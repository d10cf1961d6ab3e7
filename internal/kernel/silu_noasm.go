//go:build !amd64 || purego

package kernel

func silu(dst, x []float32) {
	siluGeneric(dst, x)
}

func siluBackward(dx, dy, x []float32) {
	siluBackwardGeneric(dx, dy, x)
}

func swiglu(dst, gate, up []float32) {
	swigluGeneric(dst, gate, up)
}

func swigluBackward(dgate, dup, dy, gate, up []float32) {
	swigluBackwardGeneric(dgate, dup, dy, gate, up)
}
