//go:build !purego

package kernel

import "unsafe"

//go:generate go -C asm run ./vector -family softmax

// Callers give all functions but softmaxBackward at most maxCall elements.

func maxScaled(x []float32, scale float32) float32 {
	if !hasAVX2 {
		return maxScaledGeneric(x, scale)
	}
	return maxScaledAMD64(unsafe.SliceData(x), len(x), scale)
}

func expSum(x []float32, scale, top float32) float32 {
	if !hasAVX2 {
		return expSumGeneric(x, scale, top)
	}
	return expSumAMD64(unsafe.SliceData(x), len(x), scale, top)
}

func expShift(x []float32, top float32) float64 {
	if !hasAVX2 {
		return expShiftGeneric(x, top)
	}
	return expShiftAMD64(unsafe.SliceData(x), len(x), top)
}

func expShiftedSum(x []float32, top float32) float64 {
	if !hasAVX2 {
		return expShiftedSumGeneric(x, top)
	}
	return expShiftedSumAMD64(unsafe.SliceData(x), len(x), top)
}

func softmaxBackward(dx, dp, p []float32, scale, dot float32) {
	if !hasAVX2 {
		softmaxBackwardGeneric(dx, dp, p, scale, dot)
		return
	}
	for len(dx) > 0 {
		n := min(len(dx), maxCall)
		softmaxBackwardAMD64(&dx[0], &dp[0], &p[0], n, scale, dot)
		dx, dp, p = dx[n:], dp[n:], p[n:]
	}
}
