package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rotary writes the rotation of pairs. Products are rounded before they are added, as in PyTorch.
func rotary() {
	var sign VecVirtual
	routine{
		name: "rotate",
		doc: "computes (d1[i], d2[i]) = (x1[i]·cos[i] - x2[i]·s, x2[i]·cos[i] + x1[i]·s), s = sign·sin[i], " +
			"for n elements.",
		streams: []stream{out("d1"), out("d2"), in("x1"), in("x2"), in("cos"), in("sin")},
		scalars: []string{"sign"}, unroll: 2,
		prepare: func(scalars []VecVirtual) { sign = scalars[0] },
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			x1, x2, c, s := x[0], x[1], x[2], x[3]
			VMULPS(sign, s, s)
			a, b := vec(), vec()
			VMULPS(c, x1, a)
			VMULPS(s, x2, b)
			VSUBPS(b, a, a)
			VMULPS(c, x2, x2)
			VMULPS(s, x1, x1)
			VADDPS(x1, x2, x2)
			return vecs{a, x2}
		},
	}.write()
}
