package kernel

import "math"

// The plain Go functions evaluate in float64 with the coefficients that the assembly uses in float32: on a scalar unit
// this costs the same, and only the last rounding matters. reference/kernel_coefficients.py computes the coefficients.
const (
	// (e^r - 1 - r)/r² on |r| <= ln(2)/2, relative error 2^-23 of a term that is at most a sixth of the whole.
	expC2 = 0.49999999552224
	expC3 = 0.16666577320428
	expC4 = 0.041666853771324
	expC5 = 0.0083631403231369
	expC6 = 0.0013901249560789

	// e^(t²/2)·Φ(-t) = p(t)/q(t) on [0, 13.3], relative error 2^-27.5.
	millsP0 = 0.50000000247869
	millsP1 = 0.43569990877585
	millsP2 = 0.18131684915709
	millsP3 = 0.039987573783655
	millsP4 = 0.004020690704889
	millsQ1 = 1.6692847359451
	millsQ2 = 1.1945260832692
	millsQ3 = 0.46440695288189
	millsQ4 = 0.10024136016843
	millsQ5 = 0.01007823388422

	// geluCut is where e^(-t²/2) leaves the normal range of float32.
	geluCut = 13.27
	// geluTanhCut is where e^2u leaves the normal range of float32.
	geluTanhCut = 10.03

	invSqrt2Pi = 0.39894228040143267794  // 1/√2π
	geluTanhZ1 = 1.595769121605730711759 // 2·√(2/π)
	geluTanhZ3 = 0.044715 * geluTanhZ1
)

// reduce splits x = n·ln 2 + r with |r| <= ln(2)/2 and returns 2^n and r. |x| must be below 700.
func reduce(x float64) (scale, r float64) {
	const magic = 3 << 51 // 1.5·2^52: adding it rounds to an integer and leaves that integer in the low bits
	t := float64(x*math.Log2E) + magic
	return math.Float64frombits((math.Float64bits(t) + 1023) << 52), x - (t-magic)*math.Ln2
}

// expSmall returns e^x for |x| < 700, with a relative error of 2^-26.
func expSmall(x float64) float64 {
	scale, r := reduce(x)
	return scale * (1 + (r + r*r*(expC2+r*(expC3+r*(expC4+r*(expC5+r*expC6))))))
}

// mills returns e^(t²/2)·Φ(-t) for t in [0, geluCut].
func mills(t float64) float64 {
	p := millsP0 + t*(millsP1+t*(millsP2+t*(millsP3+t*millsP4)))
	q := 1 + t*(millsQ1+t*(millsQ2+t*(millsQ3+t*(millsQ4+t*millsQ5))))
	return p / q
}

func geluGeneric(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		v := float64(x[i])
		t := math.Abs(v)
		if t > geluCut {
			dst[i] = max(x[i], 0)
			continue
		}
		positive := (v + t) / 2 // max(v, 0) without a branch that is taken half of the time
		dst[i] = float32(positive - t*(expSmall(-t*t/2)*mills(t)))
	}
}

func geluBackwardGeneric(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := range dx {
		v := x[i]
		t := math.Abs(float64(v))
		d := 0.0 // the derivative of Φ(-t)·t, which is φ(t)·t - Φ(-t)
		if !(t > geluCut) {
			d = expSmall(-t*t/2) * (t*invSqrt2Pi - mills(t))
		}
		if v > 0 {
			d = 1 + d
		} else {
			d = -d
		}
		dx[i] = float32(float64(dy[i]) * d)
	}
}

// sigmoidTanh returns x clamped to the range where e^z is a normal number, and e^z for the z of GELUTanh.
func sigmoidTanh(x float32) (t, e float64) {
	t = min(max(float64(x), -geluTanhCut), geluTanhCut)
	return t, expSmall(t * (geluTanhZ1 + geluTanhZ3*t*t))
}

func geluTanhGeneric(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		if x[i] < -geluTanhCut {
			dst[i] = 0
			continue
		}
		_, e := sigmoidTanh(x[i])
		dst[i] = float32(float64(x[i]) * (e / (1 + e)))
	}
}

func geluTanhBackwardGeneric(dx, dy, x []float32) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	for i := range dx {
		t, e := sigmoidTanh(x[i])
		s := 1 / (1 + e) // 1 - σ
		d := e * s * (1 + t*s*(geluTanhZ1+3*geluTanhZ3*t*t))
		dx[i] = float32(float64(dy[i]) * d)
	}
}

// tanhGeneric uses tanh(|x|) = -m/(m + 2) with m = e^(-2|x|) - 1, which is accurate to the last digits near 0 and
// saturates at 1.
func tanhGeneric(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		v := float64(x[i])
		scale, r := reduce(max(-2*math.Abs(v), -40))
		m := scale*(r+r*r*(expC2+r*(expC3+r*(expC4+r*(expC5+r*expC6))))) + (scale - 1)
		dst[i] = float32(math.Copysign(m/(m+2), v))
	}
}

func tanhBackwardGeneric(dx, dy, y []float32) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		dx[i] = dy[i] * (1 - float32(y[i]*y[i]))
	}
}

func reluGeneric(dst, x []float32) {
	x = x[:len(dst)]
	for i := range dst {
		dst[i] = max(x[i], 0)
	}
}

func reluBackwardGeneric(dx, dy, y []float32) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	for i := range dx {
		if y[i] > 0 {
			dx[i] = dy[i]
		} else {
			dx[i] = 0
		}
	}
}
