package kernel

import "math"

// Softmax replaces row by softmax(scale·row) and returns the logarithm of the normaliser:
//
//	row[i] = e^(scale·row[i] - lse),  lse = log Σ e^(scale·row[j])
//
// The largest element is subtracted before exponentiating, so nothing overflows. Elements of -Inf (masked), and those
// more than 87 below the largest, become exactly 0. An empty row, or one that holds only -Inf, becomes zeros and gives
// -Inf. A NaN or +Inf in the row makes the results NaN.
func Softmax(row []float32, scale float32) (lse float32) {
	top := float32(math.Inf(-1))
	for block := row; len(block) > 0; block = block[min(len(block), maxCall):] {
		top = max(top, maxScaled(block[:min(len(block), maxCall)], scale))
	}
	if math.IsInf(float64(top), -1) {
		top = maxScaledGeneric(row, scale) // for NaN, which the assembly ignores
	}
	if math.IsInf(float64(top), -1) {
		clear(row)
		return top
	}
	var total float64
	for block := row; len(block) > 0; block = block[min(len(block), maxCall):] {
		total += float64(expSum(block[:min(len(block), maxCall)], scale, top))
	}
	Scale(row, row, float32(1/total))
	return float32(float64(top) + math.Log(total))
}

// LogSoftmax replaces row by log softmax(row) = row[i] - lse. Exponentials have float32's precision, their sum and the
// logarithm float64's. All elements become NaN if one is NaN or +Inf or all are -Inf.
func LogSoftmax(row []float32) {
	top := float32(math.Inf(-1))
	for block := row; len(block) > 0; block = block[min(len(block), maxCall):] {
		top = max(top, maxScaled(block[:min(len(block), maxCall)], 1)) // may ignore NaN, which the sum then shows
	}
	var total float64
	for block := row; len(block) > 0; block = block[min(len(block), maxCall):] {
		total += expShiftedSum(block[:min(len(block), maxCall)], top)
	}
	rest := float32(math.Log(total))
	for i, v := range row {
		row[i] = v - top - rest // in this order the largest elements lose no digits
	}
}

// SoftmaxBackward computes the gradient of Softmax with respect to its row, from the gradient dp of its result p; dx
// may be dp or p:
//
//	dx[i] = scale · p[i]·(dp[i] - Σ p[j]·dp[j])
func SoftmaxBackward(dx, dp, p []float32, scale float32) {
	mustMatch3("SoftmaxBackward", len(dx), len(dp), len(p))
	softmaxBackward(dx, dp, p, scale, Dot(p, dp))
}
