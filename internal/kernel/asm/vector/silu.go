package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// writeSiLU writes x·σ(x) and its gradient, both alone and as the gate of SwiGLU.
func writeSiLU() {
	var low, high, one VecVirtual
	start := func([]VecVirtual) {
		low, high, one = register(float("expLow", -104)), register(float("expHigh", 89)), register(float("one", 1))
	}
	// inverse returns e^-x and 1 + e^-x, the inverse of σ(x). x is kept.
	inverse := func(x VecVirtual) (e, sum VecVirtual) {
		e, sum = vec(), vec()
		VXORPS(signBits(), x, e)
		e = expAll(e, low, high)
		VADDPS(one, e, sum)
		return e, sum
	}
	// slope returns σ(x) and 1 + x·(1 - σ(x)). If e^-x is infinite, σ is 0 and 1 - σ is taken as 0 too, because the
	// product is 0.
	slope := func(x VecVirtual) (sigma, factor VecVirtual) {
		e, sigma := inverse(x)
		VDIVPS(sigma, one, sigma)
		keepNaNMin(e, register(float("largest", math.MaxFloat32)))
		VMULPS(sigma, e, e)
		VFMADD213PS(one, x, e)
		return sigma, e
	}
	unary("silu", "x[i]/(1 + e^-x[i])", start, func(x VecVirtual) VecVirtual {
		_, sum := inverse(x)
		VDIVPS(sum, x, x)
		return x
	})
	gradient("siluBackward", "σ·(1 + x[i]·(1-σ))", "x", start, func(x VecVirtual) VecVirtual {
		sigma, factor := slope(x)
		VMULPS(sigma, factor, factor)
		return factor
	})
	routine{
		name: "swiglu", doc: "computes dst[i] = up[i]·gate[i]/(1 + e^-gate[i]) for n elements.",
		streams: []stream{out("dst"), in("gate"), in("up")}, unroll: 2, prepare: start,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			_, sum := inverse(x[0])
			VDIVPS(sum, x[0], x[0])
			VMULPS(x[1], x[0], x[0])
			return vecs{x[0]}
		},
	}.write()
	routine{
		name:    "swigluBackward",
		doc:     "computes dgate[i] = dy[i]·up[i]·σ·(1 + gate[i]·(1-σ)), dup[i] = dy[i]·gate[i]·σ for n elements.",
		streams: []stream{out("dgate"), out("dup"), in("dy"), in("gate"), in("up")}, unroll: 1, prepare: start,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			dy, gate, up := x[0], x[1], x[2]
			sigma, factor := slope(gate)
			VMULPS(sigma, factor, factor)
			VMULPS(dy, up, up)
			VMULPS(up, factor, factor)
			VMULPS(sigma, gate, gate)
			VMULPS(dy, gate, gate)
			return vecs{factor, gate}
		},
	}.write()
}
