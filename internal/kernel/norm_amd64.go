//go:build !purego

package kernel

import "unsafe"

//go:generate go -C asm run ./vector -family norm

// Callers give the sums at most maxCall elements.

func centredSquares(x []float32, mean float32) float32 {
	if !hasAVX2 {
		return centredSquaresGeneric(x, mean)
	}
	return centredSquaresAMD64(unsafe.SliceData(x), len(x), mean)
}

func gradientSums(dy, xhat, gamma []float32) (g, gx float32) {
	if !hasAVX2 {
		return gradientSumsGeneric(dy, xhat, gamma)
	}
	return gradientSumsAMD64(unsafe.SliceData(dy), unsafe.SliceData(xhat), unsafe.SliceData(gamma), len(dy))
}

// normalize needs at least one element.
func normalize(y, xhat, x, gamma, beta []float32, mean, rstd float32) {
	if !hasAVX2 {
		normalizeGeneric(y, xhat, x, gamma, beta, mean, rstd)
		return
	}
	for i := 0; i < len(x); i += maxCall {
		n := min(len(x)-i, maxCall)
		switch {
		case y == nil && xhat != nil:
			standardizeAMD64(&xhat[i], &x[i], n, mean, rstd)
		case y != nil && xhat == nil:
			normalizeAMD64(&y[i], &x[i], &gamma[i], &beta[i], n, mean, rstd)
		case y != nil && xhat != nil:
			normalizeBothAMD64(&y[i], &xhat[i], &x[i], &gamma[i], &beta[i], n, mean, rstd)
		}
	}
}

func normalizeBackward(dx, dy, xhat, gamma []float32, rstd, meanG, meanGX float32) {
	if !hasAVX2 {
		normalizeBackwardGeneric(dx, dy, xhat, gamma, rstd, meanG, meanGX)
		return
	}
	for len(dx) > 0 {
		n := min(len(dx), maxCall)
		normalizeBackwardAMD64(&dx[0], &dy[0], &xhat[0], &gamma[0], n, rstd, meanG, meanGX)
		dx, dy, xhat, gamma = dx[n:], dy[n:], xhat[n:], gamma[n:]
	}
}

func normalizeParams(dgamma, dbeta, dy, xhat []float32) {
	if !hasAVX2 {
		normalizeParamsGeneric(dgamma, dbeta, dy, xhat)
		return
	}
	for len(dgamma) > 0 {
		n := min(len(dgamma), maxCall)
		normalizeParamsAMD64(&dgamma[0], &dbeta[0], &dy[0], &xhat[0], n)
		dgamma, dbeta, dy, xhat = dgamma[n:], dbeta[n:], dy[n:], xhat[n:]
	}
}

func scaleByGain(y, x, gain []float32, rstd float32) {
	if !hasAVX2 {
		scaleByGainGeneric(y, x, gain, rstd)
		return
	}
	for len(y) > 0 {
		n := min(len(y), maxCall)
		scaleByGainAMD64(&y[0], &x[0], &gain[0], n, rstd)
		y, x, gain = y[n:], x[n:], gain[n:]
	}
}

func addGainGradient(dgain, dy, x []float32, rstd float32) {
	if !hasAVX2 {
		addGainGradientGeneric(dgain, dy, x, rstd)
		return
	}
	for len(dgain) > 0 {
		n := min(len(dgain), maxCall)
		addGainGradientAMD64(&dgain[0], &dy[0], &x[0], n, rstd)
		dgain, dy, x = dgain[n:], dy[n:], x[n:]
	}
}
