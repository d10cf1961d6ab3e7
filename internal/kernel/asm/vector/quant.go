package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// quant writes the widening of ggml's quantised blocks, and inner products with them. A vector of values at a time
// becomes 32-bit integers, then float32, with the bits that ggml's order of operations gives.
func quant() {
	for _, l := range layouts32 {
		blocks("dequantize"+l.name, uint64(l.bytes), 32, func(dst, src Register) {
			b := l.begin(src)
			for part := range 16 / lanes {
				b.groups(part, func(group int, v VecVirtual) { VMOVUPS(v, Mem{Base: dst, Disp: width * group}) })
			}
		})
		l.dots()
	}
	blocks("dequantizeQ4_K", 144, 256, func(dst, src Register) { blockK(dst, src, 16, -1) })
	blocks("dequantizeQ5_K", 176, 256, func(dst, src Register) { blockK(dst, src, 48, 16) })
	blocks("dequantizeQ6_K", 210, 256, blockQ6)
}

// blocks writes a loop over blocks of the given number of bytes and values.
func blocks(name string, bytes, values uint64, body func(dst, src Register)) {
	text(name, "func(dst *float32, src *byte, blocks int)", "widens the given number of blocks.")
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
	v := vec()
	if wide() {
		VPBROADCASTW(Mem{Base: src, Disp: at}, v.AsY())
		VCVTPH2PS(v.AsY(), v)
	} else {
		VPBROADCASTW(Mem{Base: src, Disp: at}, v.AsX())
		VCVTPH2PS(v.AsX(), v)
	}
	return v
}

func nibble() Mem { return dwords("nibble", 15) }

// nibbles reads a byte for each lane and returns their low and high halves in 32-bit lanes.
func nibbles(at Mem) (low, high VecVirtual) {
	low, high = vec(), vec()
	VPMOVZXBD(at, low)
	VPSRLD(Imm(4), low, high)
	and(nibble(), low, low)
	return low, high
}

// layout32 describes where the parts of a block of 32 values are: the 4-bit part of value i in the low half of byte
// qs+i, that of value i+16 in the high half; or whole bytes, if eight is set. Fifth bits are at high, if that is not
// negative. around is subtracted from each value; with minimum, a minimum follows the scale.
type layout32 struct {
	name      string
	bytes, qs int
	eight     bool
	high      int
	around    uint32
	minimum   bool
}

var layouts32 = []layout32{
	{name: "Q8_0", bytes: 34, qs: 2, eight: true, high: -1},
	{name: "Q4_0", bytes: 18, qs: 2, high: -1, around: 8},
	{name: "Q4_1", bytes: 20, qs: 4, high: -1, minimum: true},
	{name: "Q5_0", bytes: 22, qs: 6, high: 2, around: 16},
	{name: "Q5_1", bytes: 24, qs: 8, high: 4, minimum: true},
}

// block32 holds what the values of a block share.
type block32 struct {
	layout32
	src        Register
	d, m, bits VecVirtual    // scale, minimum, fifth bits
	tables     [2]VecVirtual // wide: the values of codes 0 to 15, and of 16 to 31
}

func (l layout32) begin(src Register) block32 {
	b := block32{layout32: l, src: src}
	b.d, b.m = l.header(src)
	if wide() && !l.eight {
		for i := range 1 + min(1, l.high+1) {
			b.tables[i] = register(levels(16*i - int(l.around)))
			b.scale(b.tables[i])
		}
		return b
	}
	if l.high >= 0 {
		b.bits = vec()
		VPBROADCASTD(Mem{Base: src, Disp: l.high}, b.bits)
	}
	return b
}

// header reads the scale and the minimum of a block, if it has one, into all lanes.
func (l layout32) header(src Register) (scale, minimum VecVirtual) {
	if !wide() {
		scale = f16(src, 0)
		if l.minimum {
			minimum = f16(src, 2)
		}
		return scale, minimum
	}
	both := XMM() // converting few and copying them is faster than converting many
	VCVTPH2PS(Mem{Base: src}, both)
	scale = vec()
	VBROADCASTSS(both, scale)
	if l.minimum {
		minimum = vec()
		VMOVSHDUP(both, both)
		VBROADCASTSS(both, minimum)
	}
	return scale, minimum
}

// groups emits two of the groups of values of a block, of a vector each, with their numbers: of the four eights 0 and 2
// for part 0, 1 and 3 for part 1; of the two sixteens both.
func (b block32) groups(part int, emit func(group int, v VecVirtual)) {
	across := 16 / lanes // from a group of low halves of bytes to that of their high halves
	if b.eight {
		for _, group := range []int{part, part + across} {
			q := vec()
			VPMOVSXBD(Mem{Base: b.src, Disp: b.qs + lanes*group}, q)
			emit(group, b.value(q))
		}
		return
	}
	if wide() {
		b.lookUp(emit)
		return
	}
	low, up := nibbles(Mem{Base: b.src, Disp: b.qs + lanes*part})
	for k, q := range []VecVirtual{low, up} {
		group := part + across*k
		if b.high >= 0 { // bit lanes·group + lane goes to bit 4
			fifth := vec()
			VPSRLVD(bitNumbers(lanes*group), b.bits, fifth)
			and(dwords("lowest", 1), fifth, fifth)
			VPSLLD(Imm(4), fifth, fifth)
			or(fifth, q, q)
		}
		emit(group, b.value(q))
	}
}

// bitNumbers returns a constant vector of 16 numbers from first on, of which AVX2 uses the first eight.
func bitNumbers(first int) Mem {
	var numbers []uint32
	for i := range 16 {
		numbers = append(numbers, uint32(first+i))
	}
	return dwords(fmt.Sprintf("bits%d", first), numbers...)
}

// lookUp emits both sixteens of values of a block, which are found in tables by their codes. The instruction ignores all
// but the lowest four bits of a lane.
func (b block32) lookUp(emit func(group int, v VecVirtual)) {
	low, up := vec(), vec()
	VPMOVZXBD(Mem{Base: b.src, Disp: b.qs}, low)
	VPSRLD(Imm(4), low, up)
	for group, q := range []VecVirtual{low, up} {
		v := vec()
		VPERMPS(b.tables[0], q, v)
		if b.high >= 0 {
			fifth := K()
			KMOVW(Mem{Base: b.src, Disp: b.high + 2*group}, fifth)
			VPERMPS(b.tables[1], q, fifth, v)
		}
		emit(group, v)
	}
}

// levels returns a constant vector of 16 numbers from first on.
func levels(first int) Mem {
	var numbers []uint32
	for i := range 16 {
		numbers = append(numbers, math.Float32bits(float32(first+i)))
	}
	return dwords(fmt.Sprintf("levels%d", first+16), numbers...) // a name has no minus
}

// value turns a vector of codes into values.
func (b block32) value(q VecVirtual) VecVirtual {
	switch b.around {
	case 8:
		VPSUBD(dwords("eight", 8), q, q)
	case 16:
		VPSUBD(dwords("sixteen", 16), q, q)
	}
	VCVTDQ2PS(q, q)
	b.scale(q)
	return q
}

// scale multiplies integers by the scale of the block and adds its minimum.
func (b block32) scale(q VecVirtual) {
	if b.minimum {
		VFMADD213PS(b.m, b.d, q) // the product is exact
	} else {
		VMULPS(b.d, q, q)
	}
}

// dots writes the inner products of x with rows of blocks, two or four rows at a time. The values are those of dequantize, and
// their products are summed in the order of dotsF32, so the bits are those of widening first.
func (l layout32) dots() {
	text("dots"+l.name, "func(dst, x *float32, w *byte, rows, blocks, stride int)",
		"computes dst[i] = Σ x[j]·w(i, j) over whole blocks, for the given number of rows, which are stride bytes apart.")
	dst, x, w := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("w"), GP64())
	rows, count, stride := Load(Param("rows"), GP64()), Load(Param("blocks"), GP64()), Load(Param("stride"), GP64())
	sizes := []int{2, 1}
	if wide() {
		sizes = []int{4, 2, 1} // a row has one vector of sums, which would wait for each addition
	}
	for i, together := range sizes {
		group, next := fmt.Sprintf("rows%d", together), "done"
		if i+1 < len(sizes) {
			next = fmt.Sprintf("rows%d", sizes[i+1])
		}
		Label(group)
		CMPQ(rows, Imm(uint64(together)))
		JL(LabelRef(next))
		at, left := GP64(), GP64()
		MOVQ(x, at)
		MOVQ(count, left)
		places := []Register{GP64(), GP64(), GP64(), GP64()}[:together]
		MOVQ(w, places[0])
		for i := range together - 1 {
			LEAQ(Mem{Base: places[i], Index: stride, Scale: 1}, places[i+1])
		}
		ahead := GP64() // where later rows are fetched from, as many bytes at a time as are read
		LEAQ(Mem{Base: w, Index: stride, Scale: 8}, ahead)
		parts := 2 * eight / lanes
		sums := zeros(2 * together)
		Label(group + "block")
		for line := 0; line < together*l.bytes; line += 64 {
			PREFETCHT0(Mem{Base: ahead, Disp: line})
		}
		ADDQ(Imm(uint64(together*l.bytes)), ahead)
		var values [4]Op // of x
		for group := range 32 / lanes {
			values[group] = Mem{Base: at, Disp: width * group}
			if wide() { // there are registers to spare
				v := vec()
				VMOVUPS(values[group], v)
				values[group] = v
			}
		}
		for i, place := range places {
			b := l.begin(place)
			for part := range parts {
				b.groups(part, func(group int, v VecVirtual) {
					VFMADD231PS(values[group], v, sums[parts*i+part])
				})
			}
			ADDQ(Imm(uint64(l.bytes)), place)
		}
		ADDQ(U32(4*32), at)
		DECQ(left)
		JNE(LabelRef(group + "block"))
		for i := range together {
			total := foldLanes(fold(sums[parts*i:parts*(i+1)], addPS), addPS)
			VMOVSS(total.AsX(), Mem{Base: dst, Disp: 4 * i})
		}
		ADDQ(Imm(uint64(4*together)), dst)
		LEAQ(Mem{Base: w, Index: stride, Scale: uint8(together)}, w)
		SUBQ(Imm(uint64(together)), rows)
		JMP(LabelRef(group))
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// halves returns the first and the second four lanes of v, each in all quarters of a vector.
func halves(v VecVirtual) [2]VecVirtual {
	low, high := vec(), vec()
	if wide() {
		VSHUFF32X4(Imm(0x00), v, v, low)
		VSHUFF32X4(Imm(0x55), v, v, high)
	} else {
		VPERM2F128(Imm(0x00), v, v, low)
		VPERM2F128(Imm(0x11), v, v, high)
	}
	return [2]VecVirtual{low, high}
}

// lane returns lane i of the vector that halves split, in all lanes.
func lane(of [2]VecVirtual, i int) VecVirtual {
	v := vec()
	VPERMILPS(Imm(uint64(i%4*0x55)), of[i/4%2], v)
	return v
}

// factors multiplies eight bytes, packed in two registers, by d.
func factors(low, high Register, d VecVirtual) [2]VecVirtual {
	v := vec()
	VMOVD(low, v.AsX())
	VPINSRD(Imm(1), high, v.AsX(), v.AsX())
	VPMOVZXBD(v.AsX(), v)
	VCVTDQ2PS(v, v)
	VMULPS(d, v, v)
	return halves(v)
}

// blockK writes a block of Q4_K or Q5_K: 8 times 32 values, whose 4-bit parts are at qs, with fifth bits at high if
// that is not negative.
func blockK(dst, src Register, qs, high int) {
	// Four 6-bit factors are in the low bits of a word each, four more in the halves of the third word and the upper bits
	// of the others.
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
		for g := range 32 / lanes {
			low, up := nibbles(Mem{Base: src, Disp: qs + 32*pair + lanes*g})
			for k, q := range []VecVirtual{low, up} {
				s := 2*pair + k
				if high >= 0 { // bit s of the byte goes to bit 4
					fifth := vec()
					VPMOVZXBD(Mem{Base: src, Disp: high + lanes*g}, fifth)
					shift(fifth, 4-s)
					and(dwords("sixteen", 16), fifth, fifth)
					or(fifth, q, q)
				}
				VCVTDQ2PS(q, q)
				VMULPS(scale[k], q, q)
				VSUBPS(minimum[k], q, q)
				VMOVUPS(q, Mem{Base: dst, Disp: 4*32*s + width*g})
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

// blockQ6 writes a block of Q6_K: twice four times 32 values. 64 bytes hold the low four bits of four times 32 values,
// 32 bytes their upper two.
func blockQ6(dst, src Register) {
	d := f16(src, 208)
	for half := range 2 {
		v := vec()
		if wide() {
			VPMOVSXBD(Mem{Base: src, Disp: 192 + 8*half}, v.AsY()) // the upper half is not used
		} else {
			VPMOVSXBD(Mem{Base: src, Disp: 192 + 8*half}, v)
		}
		VCVTDQ2PS(v, v)
		VMULPS(d, v, v)
		scales := halves(v)
		for g := range 32 / lanes {
			high := vec()
			VPMOVZXBD(Mem{Base: src, Disp: 128 + 32*half + lanes*g}, high)
			for odd := range 2 {
				low, up := nibbles(Mem{Base: src, Disp: 64*half + 32*odd + lanes*g})
				for k, q := range []VecVirtual{low, up} {
					row := odd + 2*k
					bits := vec()
					VMOVAPS(high, bits)
					shift(bits, 4-2*row)
					and(dwords("fortyEight", 48), bits, bits)
					or(bits, q, q)
					VPSUBD(dwords("thirtyTwo", 32), q, q)
					VCVTDQ2PS(q, q)
					VMULPS(lane(scales, 2*row+g*lanes/16), q, q)
					VMOVUPS(q, Mem{Base: dst, Disp: 4*(128*half+32*row) + width*g})
				}
			}
		}
	}
}
