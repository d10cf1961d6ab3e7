//go:build !amd64 || purego

package kernel

func add(dst, a, b []float32) {
	addGeneric(dst, a, b)
}

func addScaled(dst, x []float32, s float32) {
	addScaledGeneric(dst, x, s)
}

func scale(dst, x []float32, s float32) {
	scaleGeneric(dst, x, s)
}

func dot(a, b []float32) float32 {
	return dotGeneric(a, b)
}

func sum(x []float32) float32 {
	return sumGeneric(x)
}

func sumSquares(x []float32) float64 {
	return sumSquaresGeneric(x)
}

func firstNonFinite(x []float32) int {
	return firstNonFiniteGeneric(x)
}
