package kernel

// sigmoid returns σ(x) and 1 - σ(x). Where e^-x leaves the range of float32, σ is 0, as in the assembly.
func sigmoid(x float32) (s, complement float64) {
	v := float64(x)
	switch {
	case v < -siluCut:
		return 0, 1
	case v > siluCut:
		return 1, 0
	}
	e := expSmall(-v)
	s = 1 / (1 + e)
	return s, e * s
}

// siluCut is where e^x leaves the range of float32.
const siluCut = 88.7228

func siluGeneric(dst, x []float32) {
	x = x[:len(dst)]
	for i, v := range x {
		s, _ := sigmoid(v)
		dst[i] = float32(float64(v) * s)
	}
}

// siluSlope returns σ(x) and the derivative of x·σ(x).
func siluSlope(x float32) (s, slope float64) {
	s, complement := sigmoid(x)
	return s, s * (1 + float64(x)*complement)
}

func siluBackwardGeneric(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := range dx {
		_, slope := siluSlope(x[i])
		dx[i] = float32(float64(dy[i]) * slope)
	}
}

func swigluGeneric(dst, gate, up []float32) {
	gate, up = gate[:len(dst)], up[:len(dst)]
	for i := range dst {
		s, _ := sigmoid(gate[i])
		dst[i] = float32(float64(gate[i]) * s * float64(up[i]))
	}
}

func swigluBackwardGeneric(dgate, dup, dy, gate, up []float32) {
	dup, dy, gate, up = dup[:len(dgate)], dy[:len(dgate)], gate[:len(dgate)], up[:len(dgate)]
	for i := range dgate {
		d, g, u := float64(dy[i]), float64(gate[i]), float64(up[i])
		s, slope := siluSlope(gate[i])
		dgate[i] = float32(d * u * slope)
		dup[i] = float32(d * (g * s))
	}
}
