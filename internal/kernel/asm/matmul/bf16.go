package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// The instructions of AVX512_BF16 are unknown to Go's assembler and to avo. They are written as bytes, after Intel's
// manual: the prefix EVEX, the opcode, and a byte that names the destination and the second source.

// Values of the field pp of EVEX, which stands for the prefixes of older instructions.
const (
	prefixF3 = 2
	prefixF2 = 3
)

// evex writes an instruction of map 0F38 without a mask on three 512-bit registers.
func evex(prefix, opcode int, second, first, dst VecPhysical) {
	b, v, r := number(second), number(first), number(dst)
	not := func(n, bit int) int { return ^n >> bit & 1 }
	p0 := not(r, 3)<<7 | not(b, 4)<<6 | not(b, 3)<<5 | not(r, 4)<<4 | 2
	p1 := (^v&15)<<3 | 1<<2 | prefix
	p2 := 2<<5 | not(v, 4)<<3
	Commentf("%#x of AVX512_BF16: %s, %s, %s", opcode, second.Asm(), first.Asm(), dst.Asm())
	for _, code := range []int{0x62, p0, p1, p2, opcode, 3<<6 | r&7<<3 | b&7} {
		Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(code)}})
	}
}

// number returns the number of a register of 512 bits.
func number(v VecPhysical) int {
	for i := range 32 {
		if zmm(i) == v {
			return i
		}
	}
	panic("matmul: not a register of 512 bits: " + v.Asm())
}

// dotPairs adds the products of pairs of BF16 to sum: VDPBF16PS.
func dotPairs(b, a, sum VecPhysical) { evex(prefixF3, 0x52, b, a, sum) }

// narrowTwo rounds 16 float32 of low to the lower half of dst, and those of high to its upper half: VCVTNE2PS2BF16.
func narrowTwo(low, high, dst VecPhysical) { evex(prefixF2, 0x72, low, high, dst) }

// packPairs writes, for each type, the packing of 32 columns of a B whose rows are stored as rows, two rows at a time:
// each element of a row and the one below become a pair.
func packPairs() {
	order := GLOBL("pairOrder", RODATA|NOPTR)
	for i := range 16 {
		DATA(4*i, U32(i|(16+i)<<16))
	}
	for _, e := range elements {
		name := "packPairs" + e.name
		TEXT(name, NOSPLIT, "func(dst *float32, src *"+e.goType+", stride, pairs int)")
		Doc(name + " rounds 32 columns of pairs of rows to BF16. stride is in bytes.")
		dst, src, stride, pairs, below := RDI, RSI, RDX, RCX, R8
		Load(Param("dst"), dst)
		Load(Param("src"), src)
		Load(Param("stride"), stride)
		Load(Param("pairs"), pairs)
		VMOVDQU32(order, Z31)
		align(32)
		Label("pair")
		LEAQ(Mem{Base: src, Index: stride, Scale: 1}, below)
		for half := range 2 {
			both := zmm(2 + half)
			upper, lower := Mem{Base: src, Disp: 16 * e.size * half}, Mem{Base: below, Disp: 16 * e.size * half}
			if e.name == "BF16" {
				VMOVDQU(upper, both.AsY())
				VINSERTI64X4(U8(1), lower, both, both)
			} else {
				e.load(upper, Z0)
				e.load(lower, Z1)
				narrowTwo(Z0, Z1, both)
			}
			VPERMW(both, Z31, both)
			VMOVUPS(both, Mem{Base: dst, Disp: 64 * half})
		}
		LEAQ(Mem{Base: src, Index: stride, Scale: 2}, src)
		SUBQ(I8(-2*panelBytes), dst)
		DECQ(pairs)
		JNE(LabelRef("pair"))
		finish()
	}
}
