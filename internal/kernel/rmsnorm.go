package kernel

import "math"

// RMSNorm scales one row of C elements by its root mean square (Zhang and Sennrich 2019) and returns rstd:
//
//	rstd = 1/√(mean(x²) + eps)
//	y    = gain∘(x·rstd)
//
// y may be x. The squares are summed in float64. RMSNorm panics if the lengths differ.
func RMSNorm(y, x, gain []float32, eps float32) (rstd float32) {
	mustMatch3("RMSNorm", len(y), len(x), len(gain))
	if len(x) == 0 {
		return 0
	}
	rstd = float32(1 / math.Sqrt(SumSquares(x)/float64(len(x))+float64(eps)))
	scaleByGain(y, x, gain, rstd)
	return rstd
}

// RMSNormBackward computes the gradient of one row of RMSNorm with respect to its input x, from the gradient dy of y
// and the forward pass's rstd; dx may be dy or x. With g = dy∘gain and the mean over the row:
//
//	dx = rstd·(g - x·rstd²·mean(g∘x))
func RMSNormBackward(dx, dy, x, gain []float32, rstd float32) {
	mustMatch3("RMSNormBackward", len(dx), len(dy), len(x))
	mustMatch("RMSNormBackward", len(dx), len(gain))
	var sum float64
	for i := 0; i < len(dy); i += maxCall {
		end := min(i+maxCall, len(dy))
		_, gx := gradientSums(dy[i:end], x[i:end], gain[i:end])
		sum += float64(gx)
	}
	r := float64(rstd)
	// This is the gradient of LayerNorm without its mean, and with x in place of x·rstd.
	normalizeBackward(dx, dy, x, gain, rstd, 0, float32(r*r*sum/float64(len(dx))))
}

// RMSNormParams adds one row's gradient of the gain, from the gradient dy of y and the forward pass's input x and rstd:
//
//	dgain += dy∘(x·rstd)
func RMSNormParams(dgain, dy, x []float32, rstd float32) {
	mustMatch3("RMSNormParams", len(dgain), len(dy), len(x))
	addGainGradient(dgain, dy, x, rstd)
}
