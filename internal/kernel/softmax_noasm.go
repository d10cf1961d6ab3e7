//go:build !amd64 || purego

package kernel

func maxScaled(x []float32, scale float32) float32 {
	return maxScaledGeneric(x, scale)
}

func expSum(x []float32, scale, top float32) float32 {
	return expSumGeneric(x, scale, top)
}

func softmaxBackward(dx, dp, p []float32, scale, dot float32) {
	softmaxBackwardGeneric(dx, dp, p, scale, dot)
}

func expShift(x []float32, top float32) float64 {
	return expShiftGeneric(x, top)
}

func expShiftedSum(x []float32, top float32) float64 {
	return expShiftedSumGeneric(x, top)
}
