package main

import (
	"fmt"
	"strconv"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets of the fields of kernel.tile. A slice begins with its pointer.
const (
	offA          = 0
	offB          = 24
	offFrom       = 48
	offTo         = 72
	offARow       = 96
	offACol       = 104
	offBRow       = 112
	offFromRow    = 120
	offToRow      = 128
	offM          = 136
	offN          = 144
	offK          = 152
	offAhead      = 160
	offAheadStep  = 168
	offAheadSkip  = 176
	offAheadTiles = 184
	offAheadBack  = 192
)

const unroll = 4 // steps of the summed dimension in one round of the loop

// Registers of a tile. Pointers advance; strides are in bytes.
var (
	args  = RDI // *tile
	a     = RSI // first row of A that is still to do
	aAt   = RAX // column of A in its first rows
	aLow  = R14 // the same some rows below (see shape.below)
	bAt   = RDX // row of B
	from  = R8  // first row that is still to do
	to    = R9
	row   = R10 // between rows of A, and 3 and 5 times that
	row3  = R11
	row5  = R12
	col   = R13 // between columns of A
	bRow  = RBX // between rows of B
	ahead = RCX // where to fetch from memory for the next panel
	steps = R15 // of the summed dimension that are left
	step  = RDX // between rows of from or to: bAt is free then
	mask  = Y15 // of the last vector in AVX2
	maskK = K1  // the same in AVX-512
)

// rowsLeft counts in memory the rows of A that are still to do.
var rowsLeft = Mem{Base: args, Disp: offM}

// shape is one kind of tile: up to height×vectors sums in the first registers, then vectors of B, then one or two
// registers that A is broadcast to. A vector has 8 columns, or 16 in AVX-512.
type shape struct {
	height  int
	vectors int
	masked  bool // the last vector is read and written through the mask
	wide    bool // AVX-512
	pairs   bool // a column of A and a row of B hold pairs of BF16
}

// register returns vector register i.
func (s shape) register(i int) VecPhysical {
	if s.wide {
		return zmm(i)
	}
	return ymm(i)
}

// bytes returns the size of a vector.
func (s shape) bytes() int {
	if s.wide {
		return 64
	}
	return 32
}

func (s shape) sum(i, v int) VecPhysical { return s.register(i*s.vectors + v) }

func (s shape) b(v int) VecPhysical { return s.register(s.height*s.vectors + v) }

// broadcast returns the register for element i of A; it alternates between two registers if two are left.
func (s shape) broadcast(i int) VecPhysical {
	first := s.height*s.vectors + s.vectors
	last := 15
	switch {
	case s.wide:
		last = 31
	case s.masked:
		last = 14
	}
	return s.register(first + i%(last-first+1))
}

func (s shape) load(from Mem, v int, to VecPhysical) {
	from = from.Offset(s.bytes() * v)
	switch {
	case !s.masked || v < s.vectors-1:
		VMOVUPS(from, to)
	case s.wide:
		VMOVUPS_Z(from, maskK, to)
	default:
		VMASKMOVPS(from, mask, to)
	}
}

func (s shape) store(from VecPhysical, v int, to Mem) {
	to = to.Offset(s.bytes() * v)
	switch {
	case !s.masked || v < s.vectors-1:
		VMOVUPS(from, to)
	case s.wide:
		VMOVUPS(from, maskK, to)
	default:
		VMASKMOVPS(from, mask, to)
	}
}

// tile16 writes the tile for panels of exactly 16 columns.
func tile16() {
	begin("multiply16AVX2", "multiply16AVX2 computes a tile of 16 columns.")
	shape{height: 6, vectors: 2}.columns16()
	finish()
}

// tile15 writes the tile for 9 to 15 columns.
func tile15(table Mem) {
	begin("multiply15AVX2", "multiply15AVX2 computes a tile of 9 to 15 columns.")
	loadMask(table, 8)
	shape{height: 6, vectors: 2, masked: true}.columns16()
	finish()
}

// tile8 writes the tile for 1 to 8 columns. Twelve rows keep as many sums in flight as six rows of two vectors.
func tile8(table Mem) {
	begin("multiply8AVX2", "multiply8AVX2 computes a tile of 1 to 8 columns.")
	loadMask(table, 0)
	s := shape{height: 12, vectors: 1, masked: true}
	Label("next")
	for _, height := range []int{12, 8, 4, 2, 1} {
		CMPQ(rowsLeft, U8(height))
		JLT(LabelRef("below" + strconv.Itoa(height)))
		s.tile(height)
		JMP(LabelRef("next"))
		Label("below" + strconv.Itoa(height))
	}
	finish()
}

// wideTiles writes the tiles in AVX-512: for 17 to 32 columns, and for 1 to 16; first of float32, then of pairs of BF16,
// which are added up in float32. Their masks may have all bits set.
func wideTiles() {
	for _, pairs := range []bool{false, true} {
		suffix, of := "AVX512", ""
		if pairs {
			suffix, of = "BF16", " from pairs of BF16"
		}
		for vectors := 2; vectors > 0; vectors-- {
			most := 16 * vectors
			name := "multiply" + strconv.Itoa(most) + suffix
			begin(name, fmt.Sprintf("%s computes a tile of %d to %d columns%s.", name, most-15, most, of))
			loadMaskK(most - 16)
			shape{height: 14, vectors: vectors, masked: true, wide: true, pairs: pairs}.rowsOfWide()
			finish()
		}
	}
}

// rowsOfWide takes 14 rows at a time, but splits rests so that no tile has less than three rows if others can do with
// fewer: each row is one or two sums in flight, and the multipliers need about eight.
func (s shape) rowsOfWide() {
	Label("next")
	CMPQ(rowsLeft, U8(18))
	JGE(LabelRef("take14"))
	// The rows that are taken first of a number of rows.
	for left, rows := range []int{0, 1, 2, 3, 4, 5, 6, 4, 8, 5, 10, 6, 12, 8, 14, 10, 10, 10} {
		CMPQ(rowsLeft, U8(left))
		if left == 0 {
			JEQ(LabelRef("none"))
			continue
		}
		JEQ(LabelRef("take" + strconv.Itoa(rows)))
	}
	for _, height := range []int{14, 12, 10, 8, 6, 5, 4, 3, 2, 1} {
		Label("take" + strconv.Itoa(height))
		s.tile(height)
		JMP(LabelRef("next"))
	}
	Label("none")
}

// columns16 takes six rows at a time, but splits 7 and 8 rows into four and the rest: fewer than three rows leave the
// multipliers idle.
func (s shape) columns16() {
	Label("next")
	CMPQ(rowsLeft, U8(8))
	JGT(LabelRef("six"))
	CMPQ(rowsLeft, U8(6))
	JGT(LabelRef("four"))
	for height, name := range []string{"none", "one", "two", "three", "four", "five"} {
		CMPQ(rowsLeft, U8(height))
		JEQ(LabelRef(name))
	}
	for height, name := range []string{"six", "five", "four", "three", "two", "one"} {
		Label(name)
		s.tile(6 - height)
		JMP(LabelRef("next"))
	}
	Label("none")
}

// begin starts a function and loads the values that all rows share.
func begin(name, doc string) {
	TEXT(name, NOSPLIT, "func(t *[24]int)") // a *tile, as a type that the generator knows
	Doc(doc)
	Load(Param("t"), args)
	for _, field := range []struct {
		offset int
		to     Register
	}{{offA, a}, {offFrom, from}, {offTo, to}, {offAhead, ahead}} {
		MOVQ(Mem{Base: args, Disp: field.offset}, field.to)
	}
	for _, field := range []struct {
		offset int
		to     Register
	}{{offARow, row}, {offACol, col}, {offBRow, bRow}} {
		MOVQ(Mem{Base: args, Disp: field.offset}, field.to)
		SHLQ(U8(2), field.to)
	}
	LEAQ(Mem{Base: row, Index: row, Scale: 2}, row3)
	LEAQ(Mem{Base: row, Index: row, Scale: 4}, row5)
}

func finish() {
	VZEROUPPER()
	RET()
}

// maskTable writes 8 set masks and 8 clear ones: a window of 8 that begins at 8−n has n set masks.
func maskTable() Mem {
	table := GLOBL("tileMask", RODATA|NOPTR)
	for i := range 16 {
		value := uint32(0)
		if i < 8 {
			value = 0xffffffff
		}
		DATA(4*i, U32(value))
	}
	return table
}

// loadMask makes the mask for a last vector that begins at the given column.
func loadMask(table Mem, column int) {
	MOVQ(Mem{Base: args, Disp: offN}, aAt)
	NEGQ(aAt)
	LEAQ(table.Offset(4*(8+column)), bAt)
	VMOVUPS(Mem{Base: bAt, Index: aAt, Scale: 4}, mask)
}

// loadMaskK makes the mask for a last vector of 16 that begins at the given column.
func loadMaskK(column int) {
	MOVQ(Mem{Base: args, Disp: offN}, aAt)
	SUBQ(U8(column), aAt)
	MOVL(U32(0xffff), R14.As32())
	BZHIL(aAt.As32(), R14.As32(), R14.As32())
	KMOVW(R14.As32(), maskK)
}

// tile writes the sums of height rows over the whole summed dimension.
func (s shape) tile(height int) {
	name := func(part string) string { return part + strconv.Itoa(height) }
	MOVQ(Mem{Base: args, Disp: offFromRow}, step)
	SHLQ(U8(2), step)
	for i := range height {
		for v := range s.vectors {
			s.load(Mem{Base: from}, v, s.sum(i, v))
		}
		ADDQ(step, from)
	}
	// Fetch what the next rows start from while these are computed.
	MOVQ(from, aAt)
	for range height {
		PREFETCHT0(Mem{Base: aAt})
		if s.bytes()*s.vectors > 64 {
			PREFETCHT0(Mem{Base: aAt, Disp: 64})
		}
		ADDQ(step, aAt)
	}
	MOVQ(a, aAt)
	switch {
	case s.wide && height > 7:
		LEAQ(Mem{Base: a, Index: row3, Scale: 2}, aLow)
		ADDQ(row, aLow)
	case !s.wide && height > 6:
		LEAQ(Mem{Base: a, Index: row3, Scale: 2}, aLow)
	}
	MOVQ(Mem{Base: args, Disp: offB}, bAt)
	MOVQ(Mem{Base: args, Disp: offK}, steps)
	SUBQ(U8(unroll), steps)
	JLT(LabelRef(name("few")))
	CMPQ(Mem{Base: args, Disp: offAheadTiles}, U8(0))
	JEQ(LabelRef(name("steps")))
	align(32)
	Label(name("fetching"))
	for range unroll {
		s.step(height)
	}
	PREFETCHT1(Mem{Base: ahead})
	ADDQ(Mem{Base: args, Disp: offAheadStep}, ahead)
	SUBQ(U8(unroll), steps)
	if s.wide { // a panel is twice as wide: two places by turns
		JLT(LabelRef(name("fetched")))
		for range unroll {
			s.step(height)
		}
		PREFETCHT1(Mem{Base: ahead})
		ADDQ(Mem{Base: args, Disp: offAheadBack}, ahead)
		SUBQ(U8(unroll), steps)
	}
	JGE(LabelRef(name("fetching")))
	if s.wide {
		Label(name("fetched"))
	}
	ADDQ(Mem{Base: args, Disp: offAheadSkip}, ahead)
	DECQ(Mem{Base: args, Disp: offAheadTiles})
	JMP(LabelRef(name("few")))
	align(32)
	Label(name("steps"))
	for range unroll {
		s.step(height)
	}
	SUBQ(U8(unroll), steps)
	JGE(LabelRef(name("steps")))
	Label(name("few"))
	ADDQ(U8(unroll), steps)
	JEQ(LabelRef(name("done")))
	Label(name("single"))
	s.step(height)
	DECQ(steps)
	JNE(LabelRef(name("single")))
	Label(name("done"))
	MOVQ(Mem{Base: args, Disp: offToRow}, step)
	SHLQ(U8(2), step)
	for i := range height {
		for v := range s.vectors {
			s.store(s.sum(i, v), v, Mem{Base: to})
		}
		ADDQ(step, to)
	}
	advance(height)
	SUBQ(U8(height), rowsLeft)
}

// step adds the products of one column of A and one row of B.
func (s shape) step(height int) {
	for v := range s.vectors {
		s.load(Mem{Base: bAt}, v, s.b(v))
	}
	for i := range height {
		VBROADCASTSS(s.element(i), s.broadcast(i))
		for v := range s.vectors {
			if s.pairs {
				dotPairs(s.b(v), s.broadcast(i), s.sum(i, v))
			} else {
				VFMADD231PS(s.b(v), s.broadcast(i), s.sum(i, v))
			}
		}
	}
	ADDQ(col, aAt)
	if s.wide && height > 7 || !s.wide && height > 6 {
		ADDQ(col, aLow)
	}
	ADDQ(bRow, bAt)
}

// element returns the place of element i of A: 1, 2, 4 or 8 times row, row3 or row5 below one of the two pointers.
func (s shape) element(i int) Mem {
	below := s.below()
	base := aAt
	if i >= below && (!s.wide || i%2 == 1) {
		base, i = aLow, i-below
	}
	switch {
	case i == 0:
		return Mem{Base: base}
	case i%5 == 0:
		return Mem{Base: base, Index: row5, Scale: uint8(i / 5)}
	case i%3 == 0:
		return Mem{Base: base, Index: row3, Scale: uint8(i / 3)}
	}
	return Mem{Base: base, Index: row, Scale: uint8(i)}
}

// below returns the number of rows between the two pointers into A.
func (s shape) below() int {
	if s.wide {
		return 7
	}
	return 6
}

// advance moves to the next rows of A.
func advance(height int) {
	switch height {
	case 14:
		LEAQ(Mem{Base: a, Index: row5, Scale: 2}, a)
		LEAQ(Mem{Base: a, Index: row, Scale: 4}, a)
	case 10:
		LEAQ(Mem{Base: a, Index: row5, Scale: 2}, a)
	case 12:
		LEAQ(Mem{Base: a, Index: row3, Scale: 4}, a)
	case 6:
		LEAQ(Mem{Base: a, Index: row3, Scale: 2}, a)
	case 5:
		ADDQ(row5, a)
	case 3:
		ADDQ(row3, a)
	default: // 1, 2, 4, 8
		LEAQ(Mem{Base: a, Index: row, Scale: uint8(height)}, a)
	}
}

func zmm(i int) VecPhysical {
	return [...]VecPhysical{
		Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15, Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25,
		Z26, Z27, Z28, Z29, Z30, Z31,
	}[i]
}

func ymm(i int) VecPhysical {
	return [...]VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14, Y15}[i]
}

// align puts the next instruction at a multiple of the given number of bytes.
func align(bytes int) {
	Instruction(&ir.Instruction{Opcode: "PCALIGN", Operands: []Op{U8(bytes)}})
}
