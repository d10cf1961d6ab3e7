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

// routine is a loop over slices of equal length n, a vector at a time:
//
//	func name(streams... *float32, n int, scalars... float32) results
//
// The main loop takes unroll eights a turn. What is left is loaded and stored under a mask by the same instructions, so
// that an element's bits do not depend on its place in a slice and nothing outside the slice is touched. Masked-out
// lanes are loaded as 0. With AVX2 whole vectors come first, without a mask.
type routine struct {
	name    string
	doc     string
	streams []stream
	scalars []string // float32 arguments; prepare gets each of them in all lanes
	results string   // for example "float32"
	unroll  int      // eights of elements in a turn

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

func (r routine) write() {
	text(r.name, r.signature(), r.doc)
	pointers := make([]Register, len(r.streams))
	for i, s := range r.streams {
		pointers[i] = Load(Param(s.name), GP64())
	}
	n := Load(Param("n"), GP64())
	scalars := make([]VecVirtual, len(r.scalars))
	for i, s := range r.scalars {
		scalars[i] = vec()
		VBROADCASTSS(address(Param(s)), scalars[i])
	}
	if r.prepare != nil {
		r.prepare(scalars)
	}
	if wide() {
		r.loop("turn", "rest", max(1, r.unroll*eight/lanes), pointers, n)
		r.rests(pointers, n)
	} else {
		if r.unroll > 1 {
			r.loop("turn", "vector", r.unroll, pointers, n)
		}
		r.loop("vector", "rest", 1, pointers, n)
		Label("rest")
		TESTQ(n, n)
		JE(LabelRef("done"))
		r.step(0, pointers, loadMask(n))
	}

	Label("done")
	if r.finish != nil {
		r.finish()
	}
	VZEROUPPER()
	RET()
}

// rests takes what is left, less than a turn, under masks. Sums get eight elements at a time, all in the lower half of
// their vector, as with AVX2.
func (r routine) rests(pointers []Register, n Register) {
	part := lanes
	if r.results != "" {
		part = eight
	}
	Label("rest")
	TESTQ(n, n)
	JLE(LabelRef("done"))
	r.step(0, pointers, firstLanes(n, part))
	for _, p := range pointers {
		ADDQ(Imm(uint64(4*part)), p)
	}
	SUBQ(Imm(uint64(part)), n)
	JMP(LabelRef("rest"))
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
		v := vec()
		load(Mem{Base: pointers[i], Disp: k * width}, mask, v)
		loaded = append(loaded, v)
	}
	results := r.body(k, loaded, mask)
	for i, s := range r.streams {
		if !s.store {
			continue
		}
		store(results[0], mask, Mem{Base: pointers[i], Disp: k * width})
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

// symbols holds the constants written so far, by name.
var symbols = map[string]Mem{}

// maskTable returns a constant: a vector of ones followed by one of zeros.
func maskTable() Mem {
	if m, ok := symbols["masks"]; ok {
		return m
	}
	m := GLOBL("masks", attr.RODATA|attr.NOPTR)
	for i := range 2 * eight {
		DATA(4*i, U32(math.MaxUint32*(1-uint32(i/eight))))
	}
	symbols["masks"] = m
	return m
}

// dwords returns a constant vector of 16 lanes, of which AVX2 uses the first eight; values are repeated.
func dwords(name string, values ...uint32) Mem {
	if m, ok := symbols[name]; ok {
		return m
	}
	m := GLOBL(name, attr.RODATA|attr.NOPTR)
	for i := range 2 * eight {
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
	v := vec()
	VMOVUPS(m, v)
	return v
}

// zero returns a vector of zeros.
func zero() VecVirtual {
	v := vec()
	VXORPS(v, v, v)
	return v
}

// zeros returns vectors of zeros, as n times eight running sums of float32 or n times four of float64. Wide vectors hold
// twice as many.
func zeros(n int) []VecVirtual {
	vs := make([]VecVirtual, max(1, n*eight/lanes))
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

// foldLanes combines the float32 lanes of v to one in lane 0, in the order ((0+4)+(2+6))+((1+5)+(3+7)), after the upper
// half of a wide vector was combined with its lower half.
func foldLanes(v VecVirtual, combine func(a, b, dst Op)) VecVirtual {
	low, high := fold128(v, combine)
	VMOVHLPS(low, low, high)
	combine(high, low, low)
	VMOVSHDUP(low, high)
	combine(high, low, low)
	return v
}

// fold128 combines the upper half of v with its lower half until 128 bits are left, which it returns with a register
// that is free.
func fold128(v VecVirtual, combine func(a, b, dst Op)) (low, free Register) {
	low, free = v.AsX(), XMM()
	if wide() {
		half, upper := parts(v)
		combine(upper, half, half)
		VEXTRACTF32X4(Imm(1), v.AsY(), free)
	} else {
		VEXTRACTF128(Imm(1), v, free)
	}
	combine(free, low, low)
	return low, free
}
