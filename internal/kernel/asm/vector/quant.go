package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// quant writes the widening of ggml's quantised blocks. Eight values at a time become 32-bit integers, then float32; every operation is
// rounded by itself, in ggml's order, so that the bits are those of internal/kernel's plain Go.
func quant() {
	blocks("dequantizeQ8_0AVX2", 34, 32, func(dst, src Register) {
		d := f16(src, 0)
		for g := range 4 {
			q := YMM()
			VPMOVSXBD(Mem{Base: src, Disp: 2 + 8*g}, q)
			VCVTDQ2PS(q, q)
			VMULPS(d, q, q)
			VMOVUPS(q, Mem{Base: dst, Disp: width * g})
		}
	})
	blocks("dequantizeQ4_0AVX2", 18, 32, func(dst, src Register) { block32(dst, src, 2, -1, 8, false) })
	blocks("dequantizeQ4_1AVX2", 20, 32, func(dst, src Register) { block32(dst, src, 4, -1, 0, true) })
	blocks("dequantizeQ5_0AVX2", 22, 32, func(dst, src Register) { block32(dst, src, 6, 2, 16, false) })
	blocks("dequantizeQ5_1AVX2", 24, 32, func(dst, src Register) { block32(dst, src, 8, 4, 0, true) })
	blocks("dequantizeQ4_KAVX2", 144, 256, func(dst, src Register) { blockK(dst, src, 16, -1) })
	blocks("dequantizeQ5_KAVX2", 176, 256, func(dst, src Register) { blockK(dst, src, 48, 16) })
	blocks("dequantizeQ6_KAVX2", 210, 256, blockQ6)
}

// blocks writes a loop over blocks of that many bytes and values.
func blocks(name string, bytes, values uint64, body func(dst, src Register)) {
	TEXT(name, attr.NOSPLIT, "func(dst *float32, src *byte, blocks int)")
	Pragma("noescape")
	Doc(name + " widens that many blocks.")
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	n := Load(Param("blocks"), GP64())
	Label("block")
	TESTQ(n, n)
	JE(LabelRef("done"))
	body(dst, src)
	ADDQ(U32(uint32(4*values)), dst)
	ADDQ(U32(uint32(bytes)), src)
	DECQ(n)
	JMP(LabelRef("block"))
	Label("done")
	VZEROUPPER()
	RET()
}

// f16 reads a binary16 into all lanes.
func f16(src Register, at int) VecVirtual {
	v := YMM()
	VPBROADCASTW(Mem{Base: src, Disp: at}, v.AsX())
	VCVTPH2PS(v.AsX(), v)
	return v
}

func nibble() Mem { return dwords("nibble", 15) }

// nibbles reads eight bytes and returns their low and high halves in 32-bit lanes.
func nibbles(at Mem) (low, high VecVirtual) {
	low, high = YMM(), YMM()
	VPMOVZXBD(at, low)
	VPSRLD(Imm(4), low, high)
	VPAND(nibble(), low, low)
	return low, high
}

// block32 writes a block of 32 values whose 4-bit parts are at qs: value i in the low half of byte i, value i+16 in the high. Fifth bits are at high, if
// that is not negative. around is subtracted from each; with minimum, a minimum stands after the scale.
func block32(dst, src Register, qs, high int, around uint32, minimum bool) {
	d := f16(src, 0)
	var m, bits VecVirtual
	if minimum {
		m = f16(src, 2)
	}
	if high >= 0 {
		bits = YMM()
		VPBROADCASTD(Mem{Base: src, Disp: high}, bits)
	}
	for b := range 2 {
		low, up := nibbles(Mem{Base: src, Disp: qs + 8*b})
		for k, q := range []VecVirtual{low, up} {
			group := b + 2*k
			if high >= 0 { // bit 8·group + lane goes to bit 4
				fifth := YMM()
				first := uint32(8 * group)
				VPSRLVD(dwords("bits"+string(rune('0'+group)), first, first+1, first+2, first+3, first+4, first+5, first+6, first+7), bits, fifth)
				VPAND(dwords("lowest", 1), fifth, fifth)
				VPSLLD(Imm(4), fifth, fifth)
				VPOR(fifth, q, q)
			}
			switch around {
			case 8:
				VPSUBD(dwords("eight", 8), q, q)
			case 16:
				VPSUBD(dwords("sixteen", 16), q, q)
			}
			VCVTDQ2PS(q, q)
			VMULPS(d, q, q)
			if minimum {
				VADDPS(m, q, q)
			}
			VMOVUPS(q, Mem{Base: dst, Disp: width * group})
		}
	}
}

// halves returns the lower and the upper four lanes of v, each in both halves of a vector.
func halves(v VecVirtual) [2]VecVirtual {
	low, high := YMM(), YMM()
	VPERM2F128(Imm(0x00), v, v, low)
	VPERM2F128(Imm(0x11), v, v, high)
	return [2]VecVirtual{low, high}
}

// lane returns lane i of what halves made, in all lanes.
func lane(of [2]VecVirtual, i int) VecVirtual {
	v := YMM()
	VPERMILPS(Imm(uint64(i%4*0x55)), of[i/4%2], v)
	return v
}

// factors multiplies eight bytes, packed in two registers, by d.
func factors(low, high Register, d VecVirtual) [2]VecVirtual {
	v := YMM()
	VMOVD(low, v.AsX())
	VPINSRD(Imm(1), high, v.AsX(), v.AsX())
	VPMOVZXBD(v.AsX(), v)
	VCVTDQ2PS(v, v)
	VMULPS(d, v, v)
	return halves(v)
}

// blockK writes a block of Q4_K or Q5_K: 8 times 32 values, whose 4-bit parts are at qs, with fifth bits at high if that is not negative.
func blockK(dst, src Register, qs, high int) {
	// Four 6-bit factors stand in the low bits of a word each, four more in the halves of the third word and the upper bits of the others.
	first, second, third := GP32(), GP32(), GP32()
	MOVL(Mem{Base: src, Disp: 4}, first)
	MOVL(Mem{Base: src, Disp: 8}, second)
	MOVL(Mem{Base: src, Disp: 12}, third)
	upper := func(word, four Register) Register {
		ANDL(U32(0x0f0f0f0f), four)
		bits := GP32()
		MOVL(word, bits)
		SHRL(Imm(2), bits)
		ANDL(U32(0x30303030), bits)
		ORL(bits, four)
		ANDL(U32(0x3f3f3f3f), word)
		return four
	}
	four := GP32()
	MOVL(third, four)
	scales := factors(first, upper(first, four), f16(src, 0))
	SHRL(Imm(4), third)
	minimums := factors(second, upper(second, third), f16(src, 2))

	for pair := range 4 {
		scale := [2]VecVirtual{lane(scales, 2*pair), lane(scales, 2*pair+1)}
		minimum := [2]VecVirtual{lane(minimums, 2*pair), lane(minimums, 2*pair+1)}
		for g := range 4 {
			low, up := nibbles(Mem{Base: src, Disp: qs + 32*pair + 8*g})
			for k, q := range []VecVirtual{low, up} {
				s := 2*pair + k
				if high >= 0 { // bit s of the byte goes to bit 4
					fifth := YMM()
					VPMOVZXBD(Mem{Base: src, Disp: high + 8*g}, fifth)
					shift(fifth, 4-s)
					VPAND(dwords("sixteen", 16), fifth, fifth)
					VPOR(fifth, q, q)
				}
				VCVTDQ2PS(q, q)
				VMULPS(scale[k], q, q)
				VSUBPS(minimum[k], q, q)
				VMOVUPS(q, Mem{Base: dst, Disp: width * (4*s + g)})
			}
		}
	}
}

// shift moves the bits of each lane up, or down if by is negative.
func shift(v VecVirtual, by int) {
	switch {
	case by > 0:
		VPSLLD(Imm(uint64(by)), v, v)
	case by < 0:
		VPSRLD(Imm(uint64(-by)), v, v)
	}
}

// blockQ6 writes a block of Q6_K: twice four times 32 values. 64 bytes hold the low four bits of four times 32, 32 bytes their upper two.
func blockQ6(dst, src Register) {
	d := f16(src, 208)
	for half := range 2 {
		v := YMM()
		VPMOVSXBD(Mem{Base: src, Disp: 192 + 8*half}, v)
		VCVTDQ2PS(v, v)
		VMULPS(d, v, v)
		scales := halves(v)
		for g := range 4 {
			high := YMM()
			VPMOVZXBD(Mem{Base: src, Disp: 128 + 32*half + 8*g}, high)
			for odd := range 2 {
				low, up := nibbles(Mem{Base: src, Disp: 64*half + 32*odd + 8*g})
				for k, q := range []VecVirtual{low, up} {
					row := odd + 2*k
					bits := YMM()
					VMOVDQA(high, bits)
					shift(bits, 4-2*row)
					VPAND(dwords("fortyEight", 48), bits, bits)
					VPOR(bits, q, q)
					VPSUBD(dwords("thirtyTwo", 32), q, q)
					VCVTDQ2PS(q, q)
					VMULPS(lane(scales, 2*row+g/2), q, q)
					VMOVUPS(q, Mem{Base: dst, Disp: width * (16*half + 4*row + g)})
				}
			}
		}
	}
}
