//go:build !amd64 || purego

package kernel

func centredSquares(x []float32, mean float32) float32 {
	return centredSquaresGeneric(x, mean)
}

func normalize(y, xhat, x, gamma, beta []float32, mean, rstd float32) {
	normalizeGeneric(y, xhat, x, gamma, beta, mean, rstd)
}

func gradientSums(dy, xhat, gamma []float32) (g, gx float32) {
	return gradientSumsGeneric(dy, xhat, gamma)
}

func normalizeBackward(dx, dy, xhat, gamma []float32, rstd, meanG, meanGX float32) {
	normalizeBackwardGeneric(dx, dy, xhat, gamma, rstd, meanG, meanGX)
}

func normalizeParams(dgamma, dbeta, dy, xhat []float32) {
	normalizeParamsGeneric(dgamma, dbeta, dy, xhat)
}

func scaleByGain(y, x, gain []float32, rstd float32) {
	scaleByGainGeneric(y, x, gain, rstd)
}

func addGainGradient(dgain, dy, x []float32, rstd float32) {
	addGainGradientGeneric(dgain, dy, x, rstd)
}
