package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

const panelBytes = 64 // a row of a packed panel: 16 float32

// element is a stored type: its size, and how eight of them, or twice four, become eight float32.
type element struct {
	name, goType string
	size         int
}

var elements = []element{{"F32", "float32", 4}, {"F16", "uint16", 2}, {"BF16", "uint16", 2}}

// load reads consecutive elements into a whole register.
func (e element) load(from Mem, to VecPhysical) {
	switch e.name {
	case "F32":
		VMOVUPS(from, to)
	case "F16":
		VCVTPH2PS(from, to)
	case "BF16":
		VPMOVZXWD(from, to)
		VPSLLD(U8(16), to, to)
	}
}

// loadHalves reads 4 elements into the lower half of a register and 4 into the upper.
func (e element) loadHalves(low, high Mem, to VecPhysical) {
	x := to.AsX()
	if e.name == "F32" {
		VMOVUPS(low, x)
		VINSERTF128(U8(1), high, to, to)
		return
	}
	VMOVQ(low, x)
	VPINSRQ(U8(1), high, x, x)
	if e.name == "F16" {
		VCVTPH2PS(x, to)
		return
	}
	VPMOVZXWD(x, to)
	VPSLLD(U8(16), to, to)
}

// packRows writes, for each type, the packing of a B whose rows are stored as rows.
func packRows() {
	for _, e := range elements {
		TEXT("packRows"+e.name+"AVX2", NOSPLIT, "func(dst *float32, src *"+e.goType+", stride, rows int)")
		Doc("packRows" + e.name + "AVX2 copies 16 columns into a panel. stride is in bytes.")
		dst, src, stride, rows := RDI, RSI, RDX, RCX
		Load(Param("dst"), dst)
		Load(Param("src"), src)
		Load(Param("stride"), stride)
		Load(Param("rows"), rows)
		align(32)
		Label("row")
		e.load(Mem{Base: src}, Y0)
		e.load(Mem{Base: src, Disp: 8 * e.size}, Y1)
		VMOVUPS(Y0, Mem{Base: dst})
		VMOVUPS(Y1, Mem{Base: dst, Disp: 32})
		ADDQ(stride, src)
		ADDQ(U8(panelBytes), dst)
		DECQ(rows)
		JNE(LabelRef("row"))
		finish()
	}
}

// packWideRows writes, for each type, the same for panels of 32 columns in AVX-512.
func packWideRows() {
	for _, e := range elements {
		TEXT("packRows"+e.name+"AVX512", NOSPLIT, "func(dst *float32, src *"+e.goType+", stride, rows int)")
		Doc("packRows" + e.name + "AVX512 copies 32 columns into a panel. stride is in bytes.")
		dst, src, stride, rows := RDI, RSI, RDX, RCX
		Load(Param("dst"), dst)
		Load(Param("src"), src)
		Load(Param("stride"), stride)
		Load(Param("rows"), rows)
		align(32)
		Label("row")
		e.load(Mem{Base: src}, Z0)
		e.load(Mem{Base: src, Disp: 16 * e.size}, Z1)
		VMOVUPS(Z0, Mem{Base: dst})
		VMOVUPS(Z1, Mem{Base: dst, Disp: 64})
		ADDQ(stride, src)
		SUBQ(I8(-2*panelBytes), dst)
		DECQ(rows)
		JNE(LabelRef("row"))
		finish()
	}
}

// packColumns writes, for each type, the packing of a matrix that is stored transposed: 8 by 4 elements at a time, with
// both halves of a register working on four rows each.
func packColumns() {
	for _, e := range elements {
		TEXT("packColumns"+e.name+"AVX2", NOSPLIT, "func(dst *float32, row int, src *"+e.goType+", stride, quads int)")
		Doc("packColumns"+e.name+"AVX2 turns 8 stored rows of 4·quads elements into columns of dst.",
			"row and stride are the distances between rows of dst and of src, in bytes.")
		dst, row, src, stride, quads := RDI, RBX, RSI, RDX, RCX
		stride3, stride5, stride7, row3 := R8, R9, R10, R11
		Load(Param("dst"), dst)
		Load(Param("src"), src)
		Load(Param("stride"), stride)
		Load(Param("quads"), quads)
		Load(Param("row"), row)
		LEAQ(Mem{Base: row, Index: row, Scale: 2}, row3)
		LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, stride3)
		LEAQ(Mem{Base: stride, Index: stride, Scale: 4}, stride5)
		LEAQ(Mem{Base: stride3, Index: stride, Scale: 4}, stride7)
		rows := []Mem{
			{Base: src},
			{Base: src, Index: stride, Scale: 1},
			{Base: src, Index: stride, Scale: 2},
			{Base: src, Index: stride3, Scale: 1},
			{Base: src, Index: stride, Scale: 4},
			{Base: src, Index: stride5, Scale: 1},
			{Base: src, Index: stride3, Scale: 2},
			{Base: src, Index: stride7, Scale: 1},
		}
		align(32)
		Label("quad")
		for i := range 4 { // register i: row i in the lower half, row i+4 in the upper
			e.loadHalves(rows[i], rows[i+4], ymm(i))
		}
		VUNPCKLPS(Y1, Y0, Y4)
		VUNPCKHPS(Y1, Y0, Y5)
		VUNPCKLPS(Y3, Y2, Y6)
		VUNPCKHPS(Y3, Y2, Y7)
		VUNPCKLPD(Y6, Y4, Y8)
		VUNPCKHPD(Y6, Y4, Y9)
		VUNPCKLPD(Y7, Y5, Y10)
		VUNPCKHPD(Y7, Y5, Y11)
		VMOVUPS(Y8, Mem{Base: dst})
		VMOVUPS(Y9, Mem{Base: dst, Index: row, Scale: 1})
		VMOVUPS(Y10, Mem{Base: dst, Index: row, Scale: 2})
		VMOVUPS(Y11, Mem{Base: dst, Index: row3, Scale: 1})
		ADDQ(U8(4*e.size), src)
		LEAQ(Mem{Base: dst, Index: row, Scale: 4}, dst)
		DECQ(quads)
		JNE(LabelRef("quad"))
		finish()
	}
}

// cpuid writes the instruction that tells what a processor is.
func cpuid() {
	TEXT("cpuid", NOSPLIT, "func(leaf uint32) (eax, ebx, ecx, edx uint32)")
	Doc("cpuid returns what the processor says of itself under a number.")
	Load(Param("leaf"), EAX)
	XORL(ECX, ECX)
	CPUID()
	Store(EAX, Return("eax"))
	Store(EBX, Return("ebx"))
	Store(ECX, Return("ecx"))
	Store(EDX, Return("edx"))
	RET()
}

// pause writes the wait between two reads of an atomic variable.
func pause() {
	TEXT("pause", NOSPLIT, "func()")
	Doc("pause waits 200 to 600 cycles without work, as a hint to a processor that shares its core between threads.")
	for range 4 {
		PAUSE()
	}
	RET()
}
