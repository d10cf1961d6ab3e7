package kernel

// centredSquaresGeneric returns Σ (x[i] - mean)².
func centredSquaresGeneric(x []float32, mean float32) float32 {
	var s0, s1 float64
	i := 0
	for ; i+2 <= len(x); i += 2 {
		v := x[i : i+2 : i+2]
		a, b := float64(v[0]-mean), float64(v[1]-mean)
		s0 += a * a
		s1 += b * b
	}
	if i < len(x) {
		a := float64(x[i] - mean)
		s0 += a * a
	}
	return float32(s0 + s1)
}

// normalizeGeneric writes xhat = (x - mean)·rstd and y = xhat∘gamma + beta, each unless it is nil.
func normalizeGeneric(y, xhat, x, gamma, beta []float32, mean, rstd float32) {
	for i, v := range x {
		h := (v - mean) * rstd
		if xhat != nil {
			xhat[i] = h
		}
		if y != nil {
			y[i] = float32(h*gamma[i]) + beta[i]
		}
	}
}

// gradientSumsGeneric returns Σ g and Σ g·xhat for g = dy∘gamma.
func gradientSumsGeneric(dy, xhat, gamma []float32) (g, gx float32) {
	xhat, gamma = xhat[:len(dy)], gamma[:len(dy)]
	var s, sx float64
	for i, d := range dy {
		v := d * gamma[i]
		s += float64(v)
		sx += float64(v) * float64(xhat[i])
	}
	return float32(s), float32(sx)
}

func normalizeBackwardGeneric(dx, dy, xhat, gamma []float32, rstd, meanG, meanGX float32) {
	dy, xhat, gamma = dy[:len(dx)], xhat[:len(dx)], gamma[:len(dx)]
	for i := range dx {
		dx[i] = rstd * (float32(dy[i]*gamma[i]) - meanG - float32(xhat[i]*meanGX))
	}
}

func normalizeParamsGeneric(dgamma, dbeta, dy, xhat []float32) {
	dgamma, dbeta, xhat = dgamma[:len(dy)], dbeta[:len(dy)], xhat[:len(dy)]
	for i, d := range dy {
		dgamma[i] += float32(d * xhat[i])
		dbeta[i] += d
	}
}

// scaleByGainGeneric computes y = gain∘(x·rstd), rounded after each product.
func scaleByGainGeneric(y, x, gain []float32, rstd float32) {
	x, gain = x[:len(y)], gain[:len(y)]
	for i := range y {
		y[i] = gain[i] * float32(x[i]*rstd)
	}
}

// addGainGradientGeneric computes dgain += dy∘(x·rstd).
func addGainGradientGeneric(dgain, dy, x []float32, rstd float32) {
	dgain, x = dgain[:len(dy)], x[:len(dy)]
	for i, d := range dy {
		dgain[i] += float32(d * float32(x[i]*rstd))
	}
}
