package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// widen writes the conversions from and to 16 bits. They convert multiples of 16 elements, because 16-bit numbers
// cannot be loaded under a mask.
func widen() {
	const widening, narrowing = "func(dst *float32, src *uint16, n int)", "func(dst *uint16, src *float32, n int)"
	convert("widenF16", widening, "computes dst[i] = src[i] for n binary16 numbers, n a multiple of 16.",
		func(dst, src Register) {
			for k := range 16 / lanes {
				v := vec()
				VCVTPH2PS(Mem{Base: src, Disp: width / 2 * k}, v)
				VMOVUPS(v, Mem{Base: dst, Disp: width * k})
			}
		}, 64, 32)
	convert("widenBF16", widening, "computes dst[i] = src[i] for n bfloat16 numbers, n a multiple of 16.",
		func(dst, src Register) {
			for k := range 16 / lanes {
				v := vec()
				VPMOVZXWD(Mem{Base: src, Disp: width / 2 * k}, v)
				VPSLLD(Imm(16), v, v)
				VMOVUPS(v, Mem{Base: dst, Disp: width * k})
			}
		}, 64, 32)
	convert("narrowF16", narrowing, "rounds n numbers to binary16, n a multiple of 16.",
		func(dst, src Register) {
			for k := range 16 / lanes {
				v := vec()
				VMOVUPS(Mem{Base: src, Disp: width * k}, v)
				VCVTPS2PH(Imm(0), v, Mem{Base: dst, Disp: width / 2 * k}) // 0: to nearest, ties to even
			}
		}, 32, 64)
	convert("narrowBF16", narrowing, "rounds n numbers to bfloat16, n a multiple of 16.",
		func(dst, src Register) {
			if wide() {
				VPMOVDW(narrowed(Mem{Base: src}), Mem{Base: dst})
				return
			}
			low, high := narrowed(Mem{Base: src}), narrowed(Mem{Base: src, Disp: width})
			VPACKUSDW(high, low, low)
			VPERMQ(Imm(0xd8), low, low) // the pack works within halves: 0 2 1 3
			VMOVDQU(low, Mem{Base: dst})
		}, 32, 64)
}

// narrowed returns the upper halves of a vector of numbers, rounded, in 32-bit lanes.
func narrowed(at Mem) VecVirtual {
	v, odd, same, quiet := vec(), vec(), vec(), vec()
	VMOVUPS(at, v)
	const isNaN = 3
	VMOVAPS(v, same)
	unordered := compare(isNaN, same, v)
	VPSRLD(Imm(16), v, odd)
	or(dwords("quiet", 0x40), odd, quiet)
	and(dwords("lowest", 1), odd, odd)
	VPADDD(dwords("almostHalf", 0x7fff), odd, odd)
	VPADDD(odd, v, v)
	VPSRLD(Imm(16), v, v)
	choose(unordered, quiet, v, v)
	return v
}

// convert writes a loop that converts 16 elements a turn.
func convert(name, signature, doc string, turn func(dst, src Register), dstBytes, srcBytes uint64) {
	text(name, signature, doc)
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	n := Load(Param("n"), GP64())
	Label("turn")
	CMPQ(n, Imm(16))
	JL(LabelRef("done"))
	turn(dst, src)
	ADDQ(Imm(dstBytes), dst)
	ADDQ(Imm(srcBytes), src)
	SUBQ(Imm(16), n)
	JMP(LabelRef("turn"))
	Label("done")
	VZEROUPPER()
	RET()
}
