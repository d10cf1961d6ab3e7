package main

import (
	"fmt"
	"log"
	"math"
	"strings"

	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/gotypes"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// routine is a loop over slices of equal length n, eight elements at a time:
//
//	func name(streams... *float32, n int, scalars... float32) results
//
// The main loop takes unroll vectors a turn, a second loop takes single vectors. The rest, less than a vector, is
// loaded and stored under a mask by the same instructions, so that an element's bits do not depend on its place in a
// slice and nothing outside the slice is touched. Masked-out lanes are loaded as 0.
type routine struct {
	name    string
	doc     string
	streams []stream
	scalars []string // float32 arguments; prepare gets each of them in all lanes
	results string   // for example "float32"
	unroll  int

	// prepare runs once, before the loop.
	prepare func(scalars []VecVirtual)
	// body computes one vector: in holds the loaded streams, which it may overwrite; it returns the streams to store. k
	// counts the vectors of a turn; mask is nil except for the rest.
	body func(k int, in []VecVirtual, mask Op) []VecVirtual
	// finish runs once, after the loop, and stores results.
	finish func()
}

// stream is a pointer argument.
type stream struct {
	name        string
	load, store bool
}

// in, out and inout make streams that are read, written or both.
func in(name string) stream    { return stream{name: name, load: true} }
func out(name string) stream   { return stream{name: name, store: true} }
func inout(name string) stream { return stream{name: name, load: true, store: true} }

const (
	lanes = 8
	width = 4 * lanes // bytes of a vector
)

func (r routine) write() {
	TEXT(r.name, attr.NOSPLIT, r.signature())
	Pragma("noescape")
	document(r.name + " " + r.doc)
	pointers := make([]Register, len(r.streams))
	for i, s := range r.streams {
		pointers[i] = Load(Param(s.name), GP64())
	}
	n := Load(Param("n"), GP64())
	scalars := make([]VecVirtual, len(r.scalars))
	for i, s := range r.scalars {
		scalars[i] = YMM()
		VBROADCASTSS(address(Param(s)), scalars[i])
	}
	if r.prepare != nil {
		r.prepare(scalars)
	}
	if r.unroll > 1 {
		r.loop("turn", "vector", r.unroll, pointers, n)
	}
	r.loop("vector", "rest", 1, pointers, n)

	Label("rest")
	TESTQ(n, n)
	JE(LabelRef("done"))
	mask := loadMask(n)
	r.step(0, pointers, mask)

	Label("done")
	if r.finish != nil {
		r.finish()
	}
	VZEROUPPER()
	RET()
}

func (r routine) signature() string {
	var names []string
	for _, s := range r.streams {
		names = append(names, s.name)
	}
	args := []string{strings.Join(names, ", ") + " *float32", "n int"}
	if len(r.scalars) > 0 {
		args = append(args, strings.Join(r.scalars, ", ")+" float32")
	}
	return fmt.Sprintf("func(%s) %s", strings.Join(args, ", "), r.results)
}

// loop subtracts count vectors a turn from n while n has that many, then jumps to next.
func (r routine) loop(label, next string, count int, pointers []Register, n Register) {
	Label(label)
	CMPQ(n, Imm(uint64(count*lanes)))
	JL(LabelRef(next))
	for k := range count {
		r.step(k, pointers, nil)
	}
	for _, p := range pointers {
		ADDQ(Imm(uint64(count*width)), p)
	}
	SUBQ(Imm(uint64(count*lanes)), n)
	JMP(LabelRef(label))
}

// step loads vector k of a turn, computes and stores it.
func (r routine) step(k int, pointers []Register, mask Op) {
	var loaded []VecVirtual
	for i, s := range r.streams {
		if !s.load {
			continue
		}
		v := YMM()
		at := Mem{Base: pointers[i], Disp: k * width}
		if mask == nil {
			VMOVUPS(at, v)
		} else {
			VMASKMOVPS(at, mask, v)
		}
		loaded = append(loaded, v)
	}
	results := r.body(k, loaded, mask)
	for i, s := range r.streams {
		if !s.store {
			continue
		}
		at := Mem{Base: pointers[i], Disp: k * width}
		if mask == nil {
			VMOVUPS(results[0], at)
		} else {
			VMASKMOVPS(results[0], mask, at)
		}
		results = results[1:]
	}
}

// address returns the address of an argument or result. Moves of floats are written out because Load and Store choose
// the old SSE moves, which are slow on some processors while the upper halves of vectors are in use.
func address(c gotypes.Component) Mem {
	b, err := c.Resolve()
	if err != nil {
		log.Fatal(err)
	}
	return b.Addr
}

// loadMask returns a vector whose first n lanes are all ones and whose others are zero. n is in 0 … 8 and is kept.
func loadMask(n Register) VecVirtual {
	table, at, mask := GP64(), GP64(), YMM()
	LEAQ(maskTable(), table)
	MOVQ(n, at)
	NEGQ(at)
	VMOVDQU(Mem{Base: table, Index: at, Scale: 4, Disp: width}, mask)
	return mask
}

// symbols holds the constants written so far, by name.
var symbols = map[string]Mem{}

// maskTable returns a constant: a vector of ones followed by one of zeros.
func maskTable() Mem {
	if m, ok := symbols["masks"]; ok {
		return m
	}
	m := GLOBL("masks", attr.RODATA|attr.NOPTR)
	for i := range 2 * lanes {
		DATA(4*i, U32(math.MaxUint32*(1-uint32(i/lanes))))
	}
	symbols["masks"] = m
	return m
}

// dwords returns a constant vector; all lanes are equal if one value is given.
func dwords(name string, values ...uint32) Mem {
	if m, ok := symbols[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range lanes {
		DATA(4*i, U32(values[i%len(values)]))
	}
	symbols[name] = m
	return m
}

// float returns a constant vector with v, rounded to float32, in all lanes.
func float(name string, v float64) Mem {
	return dwords(name, math.Float32bits(float32(v)))
}

// register returns a register that is loaded with a constant before the loop.
func register(m Mem) VecVirtual {
	v := YMM()
	VMOVUPS(m, v)
	return v
}

// zero returns a vector of zeros.
func zero() VecVirtual {
	v := YMM()
	VXORPS(v, v, v)
	return v
}

// zeros returns n vectors of zeros, as running sums.
func zeros(n int) []VecVirtual {
	vs := make([]VecVirtual, n)
	for i := range vs {
		vs[i] = zero()
	}
	return vs
}

// fold combines vectors in pairs into the first; combine is VADDPS, VMAXPS or the like.
func fold(vs []VecVirtual, combine func(a, b, dst Op)) VecVirtual {
	for half := len(vs) / 2; half > 0; half /= 2 {
		for i := range half {
			combine(vs[i+half], vs[i], vs[i])
		}
	}
	return vs[0]
}

// foldLanes combines the eight float32 lanes of v to one in lane 0, in the order ((0+4)+(2+6))+((1+5)+(3+7)).
func foldLanes(v VecVirtual, combine func(a, b, dst Op)) VecVirtual {
	low, high := v.AsX(), XMM()
	VEXTRACTF128(Imm(1), v, high)
	combine(high, low, low)
	VMOVHLPS(low, low, high)
	combine(high, low, low)
	VMOVSHDUP(low, high)
	combine(high, low, low)
	return v
}
