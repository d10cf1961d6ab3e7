package kernel

import "math"

// maxScaledGeneric returns the largest scale·x[i]; a NaN in x makes the result NaN.
func maxScaledGeneric(x []float32, scale float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		top = max(top, scale*v)
	}
	return top
}

// expSumGeneric replaces x[i] by e^(scale·x[i] - top), or by 0 where that is below the normal range, and returns the
// sum. No exponent may be above 80.
func expSumGeneric(x []float32, scale, top float32) float32 {
	s, t := float64(scale), float64(top)
	var total float64
	for i, v := range x {
		e := s*float64(v) - t
		if e < expCut {
			x[i] = 0
			continue
		}
		y := expSmall(e)
		x[i] = float32(y)
		total += y
	}
	return float32(total)
}

// expCut is the exponent below which e^x leaves the normal range of float32.
const expCut = -87.33654

func softmaxBackwardGeneric(dx, dp, p []float32, scale, dot float32) {
	dp, p = dp[:len(dx)], p[:len(dx)]
	for i := range dx {
		dx[i] = scale * p[i] * (dp[i] - dot)
	}
}

// expShiftGeneric replaces x[i] by e^(x[i] - top), or by 0 where that is below the normal range, and returns the sum.
// No exponent may be above 80.
func expShiftGeneric(x []float32, top float32) (total float64) {
	for i, v := range x {
		e := expBelow(v - top)
		x[i] = e
		total += float64(e)
	}
	return total
}

// expShiftedSumGeneric returns the sum of expShiftGeneric and leaves x as it is.
func expShiftedSumGeneric(x []float32, top float32) (total float64) {
	for _, v := range x {
		total += float64(expBelow(v - top))
	}
	return total
}

// expBelow returns e^x, or 0 where that is below the normal range. x must not be above 80.
func expBelow(x float32) float32 {
	switch {
	case x < expCut:
		return 0
	case x != x:
		return x
	}
	return float32(expSmall(float64(x)))
}
