package kernel

import "math"

// LayerNorm normalises one row of C elements (Ba et al. 2016), with the biased variance that PyTorch uses, and returns
// rstd:
//
//	xhat = (x - mean)·rstd,  rstd = 1/√(var + eps)
//	y    = xhat∘gamma + beta
//
// y or xhat may be nil if it is not wanted (without y, gamma and beta are not read), and either may be x. LayerNorm
// panics if the lengths differ.
func LayerNorm(y, xhat, x, gamma, beta []float32, eps float32) (rstd float32) {
	if y != nil && (len(y) != len(x) || len(gamma) != len(x) || len(beta) != len(x)) {
		panicLengths("LayerNorm", len(y), len(x), len(gamma), len(beta))
	}
	if xhat != nil && len(xhat) != len(x) {
		panicLengths("LayerNorm", len(xhat), len(x))
	}
	if len(x) == 0 {
		return 0
	}
	mean := Sum(x) / float32(len(x))
	var squares float64
	for block := x; len(block) > 0; block = block[min(len(block), maxCall):] {
		squares += float64(centredSquares(block[:min(len(block), maxCall)], mean))
	}
	rstd = float32(1 / math.Sqrt(squares/float64(len(x))+float64(eps)))
	normalize(y, xhat, x, gamma, beta, mean, rstd)
	return rstd
}

// LayerNormAgain computes y from xhat, with the same bits as [LayerNorm].
func LayerNormAgain(y, xhat, gamma, beta []float32) {
	mustMatch3("LayerNormAgain", len(y), len(xhat), len(gamma))
	mustMatch("LayerNormAgain", len(y), len(beta))
	normalize(y, nil, xhat, gamma, beta, 0, 1)
}

// LayerNormBackward computes the gradient of one row of LayerNorm with respect to x, from the gradient dy of y and the
// forward pass's xhat and rstd; dx may be dy or xhat. With g = dy∘gamma and means over the row:
//
//	dx = rstd·(g - mean(g) - xhat·mean(g∘xhat))
func LayerNormBackward(dx, dy, xhat, gamma []float32, rstd float32) {
	mustMatch3("LayerNormBackward", len(dx), len(dy), len(xhat))
	mustMatch("LayerNormBackward", len(dx), len(gamma))
	var sumG, sumGX float64
	for i := 0; i < len(dy); i += maxCall {
		end := min(i+maxCall, len(dy))
		g, gx := gradientSums(dy[i:end], xhat[i:end], gamma[i:end])
		sumG += float64(g)
		sumGX += float64(gx)
	}
	n := float64(len(dx))
	normalizeBackward(dx, dy, xhat, gamma, rstd, float32(sumG/n), float32(sumGX/n))
}

// LayerNormParams adds one row's gradients of gamma and beta, from the gradient dy of y and the forward pass's xhat:
//
//	dgamma += dy∘xhat
//	dbeta  += dy
func LayerNormParams(dgamma, dbeta, dy, xhat []float32) {
	mustMatch3("LayerNormParams", len(dgamma), len(dy), len(xhat))
	mustMatch("LayerNormParams", len(dbeta), len(dy))
	normalizeParams(dgamma, dbeta, dy, xhat)
}
