//go:build !amd64 || purego

package kernel

func gelu(dst, x []float32) {
	geluGeneric(dst, x)
}

func geluBackward(dx, dy, x []float32) {
	geluBackwardGeneric(dx, dy, x)
}

func geluTanh(dst, x []float32) {
	geluTanhGeneric(dst, x)
}

func geluTanhBackward(dx, dy, x []float32) {
	geluTanhBackwardGeneric(dx, dy, x)
}

func tanh(dst, x []float32) {
	tanhGeneric(dst, x)
}

func tanhBackward(dx, dy, y []float32) {
	tanhBackwardGeneric(dx, dy, y)
}

func relu(dst, x []float32) {
	reluGeneric(dst, x)
}

func reluBackward(dx, dy, y []float32) {
	reluBackwardGeneric(dx, dy, y)
}
