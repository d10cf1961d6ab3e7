package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vecs are the vectors that a body returns.
type vecs = []VecVirtual

func addPS(a, b, dst Op) { VADDPS(a, b, dst) }
func maxPS(a, b, dst Op) { VMAXPS(a, b, dst) }

// vector writes sums, products and their reductions.
func vector() {
	var s VecVirtual
	keep := func(scalars []VecVirtual) { s = scalars[0] }

	routine{
		name: "add", doc: "computes dst[i] = a[i] + b[i] for n elements.",
		streams: []stream{out("dst"), in("a"), in("b")}, unroll: 4,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			VADDPS(x[1], x[0], x[0])
			return vecs{x[0]}
		},
	}.write()

	routine{
		name: "addScaled", doc: "computes dst[i] += s·x[i] for n elements, rounded once.",
		streams: []stream{inout("dst"), in("x")}, scalars: []string{"s"}, unroll: 4, prepare: keep,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			VFMADD231PS(x[1], s, x[0])
			return vecs{x[0]}
		},
	}.write()

	routine{
		name: "scale", doc: "computes dst[i] = s·x[i] for n elements.",
		streams: []stream{out("dst"), in("x")}, scalars: []string{"s"}, unroll: 4, prepare: keep,
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			VMULPS(x[0], s, x[0])
			return vecs{x[0]}
		},
	}.write()

	reductions()
}

func reductions() {
	var sums []VecVirtual
	start := func([]VecVirtual) { sums = zeros(4) }
	finish := func() {
		total := foldLanes(fold(sums, addPS), addPS)
		VMOVSS(total.AsX(), address(ReturnIndex(0)))
	}

	routine{
		name: "dot", doc: "returns Σ a[i]·b[i] over n elements, in 32 running sums.",
		streams: []stream{in("a"), in("b")}, results: "float32", unroll: 4, prepare: start, finish: finish,
		body: func(k int, x []VecVirtual, _ Op) []VecVirtual {
			VFMADD231PS(x[0], x[1], sums[k])
			return nil
		},
	}.write()

	routine{
		name: "sum", doc: "returns Σ x[i] over n elements, in 32 running sums.",
		streams: []stream{in("x")}, results: "float32", unroll: 4, prepare: start, finish: finish,
		body: func(k int, x []VecVirtual, _ Op) []VecVirtual {
			VADDPS(x[0], sums[k], sums[k])
			return nil
		},
	}.write()

	routine{
		name: "sumSquares", doc: "returns Σ x[i]² over n elements in float64, in 16 running sums.",
		streams: []stream{in("x")}, results: "float64", unroll: 2, prepare: start,
		body: func(k int, x []VecVirtual, _ Op) []VecVirtual {
			low, upper := float64s(x[0])
			VFMADD231PD(low, low, sums[2*k])
			VFMADD231PD(upper, upper, sums[2*k+1])
			return nil
		},
		finish: func() { returnFloat64(sums) },
	}.write()

	routine{
		name:    "maxMagnitude",
		doc:     "returns the bits of the largest |x[i]| of n elements, where NaN is larger than Inf, and 0 if n is 0.",
		streams: []stream{in("x")}, results: "uint32", unroll: 4, prepare: start,
		body: func(k int, x []VecVirtual, _ Op) []VecVirtual {
			and(dwords("magnitude", 0x7fffffff), x[0], x[0])
			VPMAXUD(x[0], sums[k], sums[k])
			return nil
		},
		finish: func() {
			largest := func(a, b, dst Op) { VPMAXUD(a, b, dst) }
			total := foldLanes(fold(sums, largest), largest)
			bits := GP32()
			VMOVD(total.AsX(), bits)
			Store(bits, ReturnIndex(0))
		},
	}.write()
}

// float64s converts the lower and the upper half of a vector.
func float64s(v VecVirtual) (lower, upper VecVirtual) {
	low, high := parts(v)
	lower, upper = vec(), vec()
	VCVTPS2PD(low, lower)
	VCVTPS2PD(high, upper)
	return lower, upper
}

// returnFloat64 adds the float64 lanes of some vectors and returns the sum.
func returnFloat64(sums []VecVirtual) {
	add := func(a, b, dst Op) { VADDPD(a, b, dst) }
	low, high := fold128(fold(sums, add), add)
	VUNPCKHPD(low, low, high)
	VADDSD(high, low, low)
	VMOVSD(low, address(ReturnIndex(0)))
}
