package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Coefficients as in activation_generic.go of internal/kernel, from reference/kernel_coefficients.py.
var (
	expTail = []float64{0.49999999552224, 0.16666577320428, 0.041666853771324, 0.0083631403231369, 0.0013901249560789}
	millsP  = []float64{0.50000000247869, 0.43569990877585, 0.18131684915709, 0.039987573783655, 0.004020690704889}
	millsQ  = []float64{1, 1.6692847359451, 1.1945260832692, 0.46440695288189, 0.10024136016843, 0.01007823388422}
)

const (
	log2e       = 1.44269504088896340736
	ln2High     = 0.693359375 // n·ln2High is exact for |n| < 2^15
	ln2Low      = -2.12194440054690583e-4
	invSqrt2Pi  = 0.39894228040143267794
	geluTanhZ1  = 1.595769121605730711759 // 2·√(2/π)
	geluTanhZ3  = 0.044715 * geluTanhZ1
	geluCut     = 13.27
	geluTanhCut = 10.03
	roundMagic  = 3 << 22 // adding it rounds to an integer, which is then in the low bits
)

func signBits() Mem  { return dwords("sign", 0x80000000) }
func magnitude() Mem { return dwords("magnitude", 0x7fffffff) }

// polynomial returns Σ c[k]·x^k by Horner's rule; the constants are named after name.
func polynomial(name string, c []float64, x VecVirtual) VecVirtual {
	last := len(c) - 1
	p := vec()
	VMOVUPS(float(name+string(rune('0'+last)), c[last]), p)
	for k := last - 1; k >= 0; k-- {
		VFMADD213PS(float(name+string(rune('0'+k)), c[k]), x, p)
	}
	return p
}

// reduceExp splits x = n·ln 2 + r and leaves r in x. power holds bias + n in the low bits of each lane; count is n.
func reduceExp(x VecVirtual, bias float64) (power, count VecVirtual) {
	name := "round"
	if bias != 0 {
		name = "roundBiased"
	}
	magic := float(name, roundMagic+bias)
	power, count = vec(), vec()
	VMOVUPS(magic, power)
	VFMADD231PS(float("log2e", log2e), x, power)
	VSUBPS(magic, power, count)
	VFNMADD231PS(float("ln2High", ln2High), count, x)
	VFNMADD231PS(float("ln2Low", ln2Low), count, x)
	return power, count
}

// expReduced returns e^r for |r| <= ln(2)/2.
func expReduced(r VecVirtual) VecVirtual {
	return polynomial("exp", append([]float64{1, 1}, expTail...), r)
}

// expNormal returns e^x for -88.3 <= x <= 88.3, but 0 for results below the normal range. x is overwritten. If less is
// not nil, it is subtracted from x after the reduction, so that x can have more digits than a float32.
func expNormal(x, less VecVirtual) VecVirtual {
	power, _ := reduceExp(x, 127)
	if less != nil {
		VSUBPS(less, x, x)
	}
	e := expReduced(x)
	VPSLLD(Imm(23), power, power)
	VMULPS(power, e, e)
	return e
}

// keepNaNMax and keepNaNMin clamp x to a bound that is in a register; the instruction returns its second source if
// either is NaN.
func keepNaNMax(x, bound VecVirtual) { VMAXPS(x, bound, x) }
func keepNaNMin(x, bound VecVirtual) { VMINPS(x, bound, x) }

// withSign returns v, whose own sign is ignored, with the sign of x. Both are overwritten.
func withSign(v, x VecVirtual) VecVirtual {
	VANDPS(magnitude(), v, v)
	VANDPS(signBits(), x, x)
	VORPS(x, v, v)
	return v
}

// unary writes dst[i] = f(x[i]).
func unary(name, doc string, prepare func([]VecVirtual), f func(x VecVirtual) VecVirtual) {
	routine{
		name: name, doc: "computes dst[i] = " + doc + " for n elements.",
		streams: []stream{out("dst"), in("x")}, unroll: 2, prepare: prepare,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual { return vecs{f(x[0])} },
	}.write()
}

// gradient writes dx[i] = dy[i]·f(x[i]).
func gradient(name, doc, of string, prepare func([]VecVirtual), f func(x VecVirtual) VecVirtual) {
	routine{
		name: name, doc: "computes dx[i] = dy[i]·" + doc + " for n elements.",
		streams: []stream{out("dx"), in("dy"), in(of)}, unroll: 2, prepare: prepare,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			d := f(x[1])
			VMULPS(x[0], d, d)
			return vecs{d}
		},
	}.write()
}

func activation() {
	writeGELU()
	writeGELUTanh()
	writeTanh()
	writeReLU()
	writeSiLU()
}

// expAll returns e^x for the whole range of float32, including subnormal results and infinity. low and high hold expLow
// and expHigh.
func expAll(x, low, high VecVirtual) VecVirtual {
	keepNaNMin(x, high)
	keepNaNMax(x, low)
	power, _ := reduceExp(x, 0)
	e := expReduced(x)
	// 2^n is a product of two powers that are normal numbers: the last multiplication overflows or underflows.
	half, bias := vec(), dwords("bias", 127)
	VPSUBD(float("round", roundMagic), power, power)
	VPSRAD(Imm(1), power, half)
	VPSUBD(half, power, power)
	VPADDD(bias, half, half)
	VPADDD(bias, power, power)
	VPSLLD(Imm(23), half, half)
	VPSLLD(Imm(23), power, power)
	VMULPS(half, e, e)
	VMULPS(power, e, e)
	return e
}

// gaussian returns t = min(|x|, cut), e^(-t²/2), and p and q with Φ(-t) = e^(-t²/2)·p/q.
func gaussian(x, cut VecVirtual) (t, e, p, q VecVirtual) {
	t = vec()
	VANDPS(magnitude(), x, t)
	keepNaNMin(t, cut)
	square, rest := vec(), vec()
	half := float("half", 0.5)
	VMULPS(t, t, square)
	VMOVAPS(square, rest)
	VFMSUB231PS(t, t, rest) // t² - square, exactly
	VMULPS(half, rest, rest)
	VMULPS(float("minusHalf", -0.5), square, square)
	e = expNormal(square, rest)
	return t, e, polynomial("millsP", millsP, t), polynomial("millsQ", millsQ, t)
}

func writeGELU() {
	var cut, none VecVirtual
	unary("gelu", "x[i]·Φ(x[i]) = max(x[i], 0) - t·Φ(-t), t = |x[i]|,", func([]VecVirtual) {
		cut, none = register(float("geluCut", geluCut)), zero()
	}, func(x VecVirtual) VecVirtual {
		t, e, p, q := gaussian(x, cut)
		VMULPS(p, e, e)
		VDIVPS(q, e, e)
		keepNaNMax(x, none)
		VFNMADD231PS(t, e, x)
		return x
	})
	gradient("geluBackward", "(Φ(x[i]) + x[i]·φ(x[i]))", "x", func([]VecVirtual) {
		cut, none = register(float("geluCut", geluCut)), zero()
	}, func(x VecVirtual) VecVirtual {
		t, e, p, q := gaussian(x, cut)
		VDIVPS(q, p, p)
		VFMSUB231PS(float("invSqrt2Pi", invSqrt2Pi), t, p) // φ(t)·t/e - Φ(-t)/e
		VMULPS(p, e, e)
		below := vec()
		VSUBPS(e, none, below)
		VADDPS(float("one", 1), e, e)
		choose(negative(x), below, e, e)
		return e
	})
}

// logistic returns t = x clamped, e^z for GELUTanh's z, and 1 + e^z. square is t².
func logistic(x, low, high VecVirtual) (t, square, e, sum VecVirtual) {
	t, square = vec(), vec()
	VMINPS(x, high, t)
	keepNaNMax(t, low)
	VMULPS(t, t, square)
	z := vec()
	VMOVUPS(float("geluTanhZ3", geluTanhZ3), z)
	VFMADD213PS(float("geluTanhZ1", geluTanhZ1), square, z)
	VMULPS(t, z, z)
	e = expNormal(z, nil)
	sum = vec()
	VADDPS(float("one", 1), e, sum)
	return t, square, e, sum
}

func writeGELUTanh() {
	var low, high VecVirtual
	clamp := func([]VecVirtual) {
		low, high = register(float("geluTanhLow", -geluTanhCut)), register(float("geluTanhHigh", geluTanhCut))
	}
	const doc = "x[i]·e^z/(1 + e^z), z = 2·√(2/π)·(x[i] + 0.044715·x[i]³),"
	unary("geluTanh", doc, clamp, func(x VecVirtual) VecVirtual {
		_, _, e, sum := logistic(x, low, high)
		VDIVPS(sum, e, e)
		keepNaNMax(x, low)
		VMULPS(x, e, e)
		return e
	})
	gradient("geluTanhBackward", "σ·(1 + x[i]·(1-σ)·z')", "x", clamp, func(x VecVirtual) VecVirtual {
		t, square, e, sum := logistic(x, low, high)
		complement, slope := vec(), vec() // 1 - σ, z'
		VMOVUPS(float("one", 1), complement)
		VDIVPS(sum, complement, complement)
		VMOVUPS(float("geluTanhZ9", 3*geluTanhZ3), slope)
		VFMADD213PS(float("geluTanhZ1", geluTanhZ1), square, slope)
		VMULPS(t, slope, slope)
		VFMADD213PS(float("one", 1), complement, slope)
		VMULPS(complement, e, e) // σ
		VMULPS(slope, e, e)
		return e
	})
}

func writeTanh() {
	var low VecVirtual
	unary("tanh", "tanh(x[i]) = m/(m + 2) with the sign of x[i], m = e^(-2|x[i]|) - 1,", func([]VecVirtual) {
		low = register(float("tanhLow", -40))
	}, func(x VecVirtual) VecVirtual {
		r, sum := vec(), vec()
		VORPS(signBits(), x, r)
		VADDPS(r, r, r)
		keepNaNMax(r, low)
		power, _ := reduceExp(r, 127)
		m := polynomial("expTail", expTail, r)
		VMULPS(r, m, m)
		VFMADD213PS(r, r, m) // e^r - 1
		VPSLLD(Imm(23), power, power)
		VSUBPS(float("one", 1), power, sum)
		VFMADD213PS(sum, power, m) // 2^n·(e^r - 1) + (2^n - 1)
		VADDPS(float("two", 2), m, sum)
		VDIVPS(sum, m, m)
		return withSign(m, x)
	})
	var one VecVirtual
	gradient("tanhBackward", "(1 - y[i]²)", "y", func([]VecVirtual) {
		one = register(float("one", 1))
	}, func(y VecVirtual) VecVirtual {
		d := vec()
		VMOVAPS(one, d)
		VFNMADD231PS(y, y, d)
		return d
	})
}

func writeReLU() {
	var none VecVirtual
	start := func([]VecVirtual) { none = zero() }
	unary("relu", "max(x[i], 0)", start, func(x VecVirtual) VecVirtual {
		keepNaNMax(x, none)
		return x
	})
	routine{
		name: "reluBackward", doc: "computes dx[i] = dy[i] if y[i] > 0, else 0, for n elements.",
		streams: []stream{out("dx"), in("dy"), in("y")}, unroll: 4, prepare: start,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			const greater = 0x1e // ordered, quiet
			maskLanes(x[0], compare(greater, x[1], none))
			return vecs{x[0]}
		},
	}.write()
}
