package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func softmax() {
	var sums []VecVirtual
	var s, top, low VecVirtual
	lowest := func() Mem { return dwords("minusInf", 0xff800000) }

	routine{
		name: "maxScaled", doc: "returns the largest scale·x[i] of n elements, -Inf if n is 0. It ignores NaN.",
		streams: []stream{in("x")}, scalars: []string{"scale"}, results: "float32", unroll: 4,
		prepare: func(scalars []VecVirtual) {
			s = scalars[0]
			sums = zeros(4)
			for i := range sums {
				VMOVUPS(lowest(), sums[i])
			}
		},
		body: func(k int, x []VecVirtual, mask Op) []VecVirtual {
			VMULPS(s, x[0], x[0])
			if mask != nil {
				choose(mask, x[0], register(lowest()), x[0])
			}
			VMAXPS(sums[k], x[0], sums[k])
			return nil
		},
		finish: func() {
			total := foldLanes(fold(sums, maxPS), maxPS)
			VMOVSS(total.AsX(), address(ReturnIndex(0)))
		},
	}.write()

	routine{
		name: "expSum",
		doc: "replaces x[i] by e^(scale·x[i] - top) for n elements, and returns their sum. " +
			"Results below the normal range become 0.",
		streams: []stream{inout("x")}, scalars: []string{"scale", "top"}, results: "float32", unroll: 2,
		prepare: func(scalars []VecVirtual) {
			s, top, low, sums = scalars[0], scalars[1], register(float("softmaxLow", -88)), zeros(2)
		},
		body: func(k int, x []VecVirtual, mask Op) []VecVirtual {
			VFMSUB213PS(top, s, x[0])
			keepNaNMax(x[0], low)
			e := expNormal(x[0], nil)
			maskLanes(e, mask)
			VADDPS(e, sums[k], sums[k])
			return vecs{e}
		},
		finish: func() {
			total := foldLanes(fold(sums, addPS), addPS)
			VMOVSS(total.AsX(), address(ReturnIndex(0)))
		},
	}.write()

	writeExpSums()

	var dot VecVirtual
	routine{
		name: "softmaxBackward", doc: "computes dx[i] = scale·p[i]·(dp[i] - dot) for n elements.",
		streams: []stream{out("dx"), in("dp"), in("p")}, scalars: []string{"scale", "dot"}, unroll: 2,
		prepare: func(scalars []VecVirtual) { s, dot = scalars[0], scalars[1] },
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			VSUBPS(dot, x[0], x[0])
			VMULPS(s, x[1], x[1])
			VMULPS(x[1], x[0], x[0])
			return vecs{x[0]}
		},
	}.write()
}

// writeExpSums writes the sums of exponentials that losses need, in float64, so that the small rest of a
// confident row is not lost.
func writeExpSums() {
	for _, v := range []struct {
		name, doc string
		x         stream
	}{
		{
			"expShiftedSum", "returns Σ e^(x[i] - top) over n elements in float64, in 16 running sums. " +
				"Results below the normal range count as 0.", in("x"),
		},
		{
			"expShift", "replaces x[i] by e^(x[i] - top) for n elements, and returns their sum as expShiftedSum does.",
			inout("x"),
		},
	} {
		var top, low VecVirtual
		var sums []VecVirtual
		routine{
			name: v.name, doc: v.doc,
			streams: []stream{v.x}, scalars: []string{"top"}, results: "float64", unroll: 2,
			prepare: func(scalars []VecVirtual) {
				top, low, sums = scalars[0], register(float("softmaxLow", -88)), zeros(4)
			},
			body: func(k int, x []VecVirtual, mask Op) []VecVirtual {
				VSUBPS(top, x[0], x[0])
				keepNaNMax(x[0], low)
				e := expNormal(x[0], nil)
				maskLanes(e, mask)
				lower, upper := float64s(e)
				VADDPD(lower, sums[2*k], sums[2*k])
				VADDPD(upper, sums[2*k+1], sums[2*k+1])
				return vecs{e}
			},
			finish: func() { returnFloat64(sums) },
		}.write()
	}
}
