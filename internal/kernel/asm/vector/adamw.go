package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// adamW writes the optimiser's step with the roundings of PyTorch.
func adamW() {
	var f []VecVirtual
	var fromGradient Op
	routine{
		name: "adamW", doc: "does a step of AdamW on n elements; the numbers are the fields of adamWFactors.",
		streams: []stream{inout("p"), in("grad"), inout("m"), inout("v")},
		scalars: []string{"decay", "weight", "from", "beta2", "oneBeta2", "correction", "eps", "size"}, unroll: 1,
		prepare: func(scalars []VecVirtual) { f, fromGradient = scalars, negative(scalars[2]) },
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			decay, weight, beta2, oneBeta2, correction, eps, size := f[0], f[1], f[3], f[4], f[5], f[6], f[7]
			p, g, m, v := x[0], x[1], x[2], x[3]
			change, square := vec(), vec()
			VSUBPS(m, g, change)
			choose(fromGradient, g, m, m)
			VFMADD231PS(change, weight, m)
			VMULPS(oneBeta2, g, square)
			VMULPS(beta2, v, v)
			VFMADD231PS(g, square, v)
			VSQRTPS(v, square)
			VDIVPS(correction, square, square)
			VADDPS(eps, square, square)
			VMULPS(size, m, change)
			VDIVPS(square, change, change)
			VMULPS(decay, p, p)
			VADDPS(change, p, p)
			return vecs{p, m, v}
		},
	}.write()
}
