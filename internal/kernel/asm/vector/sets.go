package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// instructionSet is what a version of the functions is written in.
type instructionSet struct {
	name  string // the end of the functions' names
	lanes int    // float32 numbers in a vector
}

// sets lists the instruction sets. All give the same bits: what one of them keeps in two vectors of eight lanes, the
// other keeps in the two halves of a vector, so that sums have the same terms in the same order.
var sets = []instructionSet{{"AVX2", 8}, {"AVX512", 16}}

// The functions are written for one set after the other; these describe the present one.
var (
	set   instructionSet
	lanes int
	width int // bytes of a vector
)

// eight is the number of lanes of AVX2, in which the order of sums is defined.
const eight = 8

// use makes a set the present one.
func use(s instructionSet) { set, lanes, width = s, s.lanes, 4*s.lanes }

// wide reports whether vectors have 512 bits, and masks registers of their own.
func wide() bool { return lanes > eight }

// vec returns a new vector register.
func vec() VecVirtual {
	if wide() {
		return ZMM()
	}
	return YMM()
}

// text begins a function in the present set. Go calls it by its name alone, which jumps to the set that was chosen.
func text(name, signature, doc string) {
	TEXT(name+set.name, attr.NOSPLIT, signature)
	Pragma("noescape")
	document(name + set.name + " " + doc)
	if set == sets[0] {
		declared = append(declared, declaration{name, signature, doc})
	}
}

// declaration is a function of Go.
type declaration struct{ name, signature, doc string }

// declared lists the functions that were begun in the first set.
var declared []declaration

// writeJumps writes the functions that Go calls.
func writeJumps() {
	for _, d := range declared {
		TEXT(d.name+"AMD64", attr.NOSPLIT, d.signature)
		Pragma("noescape")
		document(d.name + "AMD64 jumps to the version for this processor, which " + d.doc)
		CMPB(Mem{Symbol: Symbol{Name: "·wide512"}, Base: StaticBase}, Imm(0))
		JNE(LabelRef("wide"))
		jump(d.name + sets[0].name)
		Label("wide")
		jump(d.name + sets[1].name)
	}
}

// jump goes to another function, which finds the arguments where they are.
func jump(name string) {
	to := Mem{Symbol: Symbol{Name: "·" + name}, Base: StaticBase}
	Instruction(&ir.Instruction{Opcode: "JMP", Operands: []Op{to}, IsTerminal: true})
}

// load loads a vector; lanes outside the mask become 0. A nil mask stands for all lanes.
func load(at Mem, mask Op, v VecVirtual) {
	switch {
	case mask == nil:
		VMOVUPS(at, v)
	case wide():
		VMOVUPS_Z(at, mask, v)
	default:
		VMASKMOVPS(at, mask, v)
	}
}

// store stores the lanes of a mask; a nil mask stands for all lanes.
func store(v VecVirtual, mask Op, at Mem) {
	switch {
	case mask == nil:
		VMOVUPS(v, at)
	case wide():
		VMOVUPS(v, mask, at)
	default:
		VMASKMOVPS(v, mask, at)
	}
}

// maskLanes makes the lanes outside a mask 0; a nil mask stands for all lanes.
func maskLanes(v VecVirtual, mask Op) {
	switch {
	case mask == nil:
	case wide():
		VMOVAPS_Z(v, mask, v)
	default:
		VANDPS(mask, v, v)
	}
}

// choose sets dst to the lanes of a under a mask and to those of b elsewhere.
func choose(mask Op, a, b, dst VecVirtual) {
	if wide() {
		VBLENDMPS(a, b, mask, dst)
	} else {
		VBLENDVPS(mask, a, b, dst)
	}
}

// negative returns a mask of the lanes of v whose highest bit is set.
func negative(v VecVirtual) Op {
	if !wide() {
		return v
	}
	mask := K()
	VPMOVD2M(v, mask)
	return mask
}

// compare returns a mask of the lanes for which a relation, a constant of VCMPPS, holds between a and b. a is
// overwritten.
func compare(relation uint64, a, b VecVirtual) Op {
	if !wide() {
		VCMPPS(Imm(relation), b, a, a)
		return a
	}
	mask := K()
	VCMPPS(Imm(relation), b, a, mask)
	return mask
}

// and, or and xor work on bits, and take integers or floats.
func and(a Op, b, dst VecVirtual) {
	if wide() {
		VPANDD(a, b, dst)
	} else {
		VPAND(a, b, dst)
	}
}

func or(a Op, b, dst VecVirtual) {
	if wide() {
		VPORD(a, b, dst)
	} else {
		VPOR(a, b, dst)
	}
}

func xor(a Op, b, dst VecVirtual) {
	if wide() {
		VPXORD(a, b, dst)
	} else {
		VPXOR(a, b, dst)
	}
}

// parts returns the lower and the upper half of a vector, as registers of half its width. The lower one is v itself.
func parts(v VecVirtual) (low, high Register) {
	if wide() {
		high = YMM()
		VEXTRACTF64X4(Imm(1), v, high)
		return v.AsY(), high
	}
	high = XMM()
	VEXTRACTF128(Imm(1), v, high)
	return v.AsX(), high
}

// loadMask returns a mask of the first n lanes. n is in 0 … the number of lanes and is kept.
func loadMask(n Register) Op {
	if wide() {
		return firstLanes(n, lanes)
	}
	table, at, mask := GP64(), GP64(), YMM()
	LEAQ(maskTable(), table)
	MOVQ(n, at)
	NEGQ(at)
	VMOVDQU(Mem{Base: table, Index: at, Scale: 4, Disp: width}, mask)
	return mask
}

// firstLanes returns a mask register with the first n lanes, at most limit. n is at most 255 and is kept.
func firstLanes(n Register, limit int) Op {
	bits, mask := GP32(), K()
	MOVL(U32(1<<limit-1), bits)
	BZHIL(as32(n), bits, bits)
	KMOVW(bits, mask)
	return mask
}

// as32 returns the lower half of a general register.
func as32(r Register) Register { return r.(GPVirtual).As32() }
