package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// matvec writes the products of a row and a matrix that generating needs: inner products with stored rows, and sums of
// multiples of them.
func matvec() {
	for _, e := range []stored{
		{"F32", "float32", 4, func(at Mem, v Register) { VMOVUPS(at, v) }},
		{"F16", "uint16", 2, func(at Mem, v Register) { VCVTPH2PS(at, v) }},
		{"BF16", "uint16", 2, func(at Mem, v Register) {
			VPMOVZXWD(at, v)
			VPSLLD(Imm(16), v, v)
		}},
	} {
		e.dots()
	}
	var factors []VecVirtual
	routine{
		name:    "addScaled4",
		doc:     "computes dst[i] += s0·x0[i], then s1·x1[i], s2·x2[i] and s3·x3[i], rounded once each, for n elements.",
		streams: []stream{inout("dst"), in("x0"), in("x1"), in("x2"), in("x3")},
		scalars: []string{"s0", "s1", "s2", "s3"}, unroll: 2,
		prepare: func(scalars []VecVirtual) { factors = scalars },
		body: func(_ int, x []VecVirtual, _ Op) []VecVirtual {
			for i, s := range factors {
				VFMADD231PS(x[i+1], s, x[0])
			}
			return vecs{x[0]}
		},
	}.write()
}

// stored is a type of matrix elements: its size, and how a register of them is loaded as float32.
type stored struct {
	name, goType string
	size         int
	load         func(at Mem, v Register)
}

// dots writes the inner products of x with rows of a matrix, four rows at a time so that each load of x serves four.
// The products of a row are summed in the same order as for a single row: in two vectors of eight, of even and odd
// eights, or in the halves of a wide one.
func (e stored) dots() {
	text("dots"+e.name, "func(dst, x *float32, w *"+e.goType+", rows, k, stride int)",
		"computes dst[i] = Σ x[j]·w[i·stride + j] over k values, a multiple of 8, for the given number of rows. stride "+
			"is in bytes.")
	dst, x, w := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("w"), GP64())
	rows, k, stride := Load(Param("rows"), GP64()), Load(Param("k"), GP64()), Load(Param("stride"), GP64())
	SHLQ(Imm(2), k) // bytes of x
	at, end, triple := GP64(), GP64(), GP64()
	LEAQ(Mem{Base: stride, Index: stride, Scale: 2}, triple)
	for _, count := range []int{4, 1} {
		group := fmt.Sprintf("rows%d", count)
		next := map[int]string{4: "rows1", 1: "done"}[count]
		Label(group)
		CMPQ(rows, Imm(uint64(count)))
		JL(LabelRef(next))
		row := GP64() // the place in the first row
		MOVQ(w, row)
		places := []Mem{
			{Base: row}, {Base: row, Index: stride, Scale: 1},
			{Base: row, Index: stride, Scale: 2}, {Base: row, Index: triple, Scale: 1},
		}[:count]
		sums := zeros(2 * count)
		parts := 2 * eight / lanes // vectors in a turn
		step := func(part int, as func(VecVirtual) Register) {
			v := vec()
			VMOVUPS(Mem{Base: at, Disp: width * part}, as(v))
			for i, place := range places {
				values := vec()
				e.load(place.Offset(lanes*e.size*part), as(values))
				VFMADD231PS(values, v, sums[parts*i+part])
			}
		}
		MOVQ(x, at)
		// The next rows are fetched line after line: jumping from row to row would mislead the processor's own prefetching.
		ahead := GP64()
		LEAQ(Mem{Base: w, Index: stride, Scale: uint8(count)}, ahead)
		LEAQ(Mem{Base: x, Index: k, Scale: 1}, end)
		SUBQ(Imm(4*eight), end) // of the last even eight
		Label(group + "turn")
		CMPQ(at, end)
		JGE(LabelRef(group + "last"))
		for line := 0; line < 2*eight*e.size*count; line += 64 {
			PREFETCHT0(Mem{Base: ahead, Disp: line})
		}
		ADDQ(U32(uint32(2*eight*e.size*count)), ahead)
		for part := range parts {
			step(part, func(v VecVirtual) Register { return v })
		}
		ADDQ(Imm(2*4*eight), at)
		ADDQ(Imm(uint64(2*eight*e.size)), row)
		JMP(LabelRef(group + "turn"))
		Label(group + "last")
		JG(LabelRef(group + "sums"))
		step(0, func(v VecVirtual) Register { return v.AsY() }) // the upper half of a wide vector becomes 0
		Label(group + "sums")
		for i := range count {
			total := foldLanes(fold(sums[parts*i:parts*(i+1)], addPS), addPS)
			VMOVSS(total.AsX(), Mem{Base: dst, Disp: 4 * i})
		}
		ADDQ(Imm(uint64(4*count)), dst)
		LEAQ(Mem{Base: w, Index: stride, Scale: uint8(count)}, w)
		SUBQ(Imm(uint64(count)), rows)
		JMP(LabelRef(group))
	}
	Label("done")
	VZEROUPPER()
	RET()
}
