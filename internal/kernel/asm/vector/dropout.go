package main

import (
	"github.com/mmcloughlin/avo/attr"
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Philox4x32, as in dropout.go of internal/kernel.
const (
	philoxRounds = 7
	philoxM0     = 0xd2511f53
	philoxM1     = 0xcd9e8d57
	philoxW0     = 0x9e3779b9
	philoxW1     = 0xbb67ae85
)

func dropout() {
	writeDropout("dropoutAVX2",
		"computes dst[i] = x[i]·scale if the word of column 4·quad+i is at least threshold, else 0, for n elements.", false)
	writeDropout("dropoutAddAVX2",
		"computes dst[i] += x[i]·scale if the word of column 4·quad+i is at least threshold, for n elements.", true)
}

// generator holds what stays the same while the counter runs: all of its words but the first, and so parts of the first
// two rounds.
//
// A vector holds four counters, each in the low half of a 64-bit lane; the high halves are garbage, which the
// 32×32-bit multiplication ignores. The counters are in the order 0, 2, 1, 3, so that unpacking the results within
// 128-bit halves puts them in order.
type generator struct {
	m0, m1 VecVirtual // multipliers
	quad   VecVirtual // first words of the counters
	// After round 1, words 0 and 1 are the same for all counters: c2 = high(m0·quad) ^ one, c3 = m0·quad.
	one VecVirtual
	// Round 2: c0 = high(m1·c2) ^ two0, c1 = m1·c2, c2 = c3 ^ two2, c3 = two3.
	two0, two2, two3 VecVirtual
	keys             Mem // of rounds 3 to 7: for each round the two words in all lanes
}

// broadcast loads a uint32 argument in all lanes.
func broadcast(param string) VecVirtual {
	x, v := XMM(), YMM()
	r := GP32()
	Load(Param(param), r)
	VMOVD(r, x)
	VPBROADCASTD(x, v)
	return v
}

func newGenerator() *generator {
	g := &generator{keys: AllocLocal(2 * width * (philoxRounds - 2))}
	g.m0, g.m1 = register(dwords("philoxM0", philoxM0)), register(dwords("philoxM1", philoxM1))
	g.quad = broadcast("quad")
	VPADDD(dwords("counters", 0, 0, 2, 0, 1, 0, 3, 0), g.quad, g.quad)
	c1, c2, c3 := broadcast("row"), broadcast("example"), broadcast("op")
	k0, k1 := broadcast("key0"), broadcast("key1")
	next := func() {
		VPADDD(dwords("philoxW0", philoxW0), k0, k0)
		VPADDD(dwords("philoxW1", philoxW1), k1, k1)
	}

	// Round 1: c0 becomes high(m1·c2) ^ c1 ^ k0, c1 becomes m1·c2.
	VPMULUDQ(g.m1, c2, c2)
	c0 := YMM()
	VPSRLQ(Imm(32), c2, c0)
	VPXOR(c1, c0, c0)
	VPXOR(k0, c0, c0)
	g.one = YMM()
	VPXOR(k1, c3, g.one)

	// Round 2.
	next()
	g.two0, g.two2, g.two3 = YMM(), YMM(), YMM()
	VPXOR(k0, c2, g.two0)
	VPMULUDQ(g.m0, c0, g.two3)
	VPSRLQ(Imm(32), g.two3, g.two2)
	VPXOR(k1, g.two2, g.two2)

	for round := range philoxRounds - 2 {
		next()
		VMOVDQU(k0, g.keys.Offset(2*width*round))
		VMOVDQU(k1, g.keys.Offset(2*width*round+width))
	}
	return g
}

// words returns the words of the next 16 columns.
func (g *generator) words() (first, second VecVirtual) {
	c0, c1, c2, c3 := YMM(), YMM(), YMM(), YMM()
	VPMULUDQ(g.m0, g.quad, c3)
	VPADDD(dwords("four", 4), g.quad, g.quad)
	VPSRLQ(Imm(32), c3, c2)
	VPXOR(g.one, c2, c2)

	VPMULUDQ(g.m1, c2, c1)
	VPSRLQ(Imm(32), c1, c0)
	VPXOR(g.two0, c0, c0)
	VPXOR(g.two2, c3, c2)
	c3 = g.two3

	for round := range philoxRounds - 2 {
		p0, p1, h0, h1 := YMM(), YMM(), YMM(), YMM()
		VPMULUDQ(g.m0, c0, p0)
		VPMULUDQ(g.m1, c2, p1)
		VPSRLQ(Imm(32), p1, h1)
		VPSRLQ(Imm(32), p0, h0)
		VPXOR(c1, h1, h1)
		VPXOR(c3, h0, h0)
		VPXOR(g.keys.Offset(2*width*round), h1, h1)
		VPXOR(g.keys.Offset(2*width*round+width), h0, h0)
		c0, c1, c2, c3 = h1, p1, h0, p0
	}
	const odd = 0xaa
	VPSLLQ(Imm(32), c1, c1)
	VPBLENDD(Imm(odd), c1, c0, c0)
	VPSLLQ(Imm(32), c3, c3)
	VPBLENDD(Imm(odd), c3, c2, c2)
	first, second = c1, c3
	VPUNPCKLQDQ(c2, c0, first)
	VPUNPCKHQDQ(c2, c0, second)
	return first, second
}

func writeDropout(name, doc string, add bool) {
	TEXT(name, attr.NOSPLIT,
		"func(dst, x *float32, n int, quad, row, example, op, key0, key1, threshold uint32, scale float32)")
	Pragma("noescape")
	document(name + " " + doc)
	g := newGenerator()
	dst, x := Load(Param("dst"), GP64()), Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	threshold, scale := broadcast("threshold"), YMM()
	VBROADCASTSS(address(Param("scale")), scale)

	apply := func(words VecVirtual, disp int, mask Op) {
		v := YMM()
		VPMAXUD(threshold, words, v)
		VPCMPEQD(v, words, words) // words >= threshold
		from, to := Mem{Base: x, Disp: disp}, Mem{Base: dst, Disp: disp}
		load := func(from Mem, v VecVirtual) {
			if mask == nil {
				VMOVUPS(from, v)
			} else {
				VMASKMOVPS(from, mask, v)
			}
		}
		load(from, v)
		VMULPS(scale, v, v)
		VPAND(words, v, v)
		if add {
			load(to, words)
			VADDPS(words, v, v)
		}
		if mask == nil {
			VMOVUPS(v, to)
		} else {
			VMASKMOVPS(v, mask, to)
		}
	}

	Label("turn")
	CMPQ(n, Imm(2*lanes))
	JL(LabelRef("rest"))
	first, second := g.words()
	apply(first, 0, nil)
	apply(second, width, nil)
	ADDQ(Imm(2*width), dst)
	ADDQ(Imm(2*width), x)
	SUBQ(Imm(2*lanes), n)
	JMP(LabelRef("turn"))

	Label("rest")
	TESTQ(n, n)
	JE(LabelRef("done"))
	first, second = g.words()
	CMPQ(n, Imm(lanes))
	JL(LabelRef("less"))
	apply(first, 0, nil)
	ADDQ(Imm(width), dst)
	ADDQ(Imm(width), x)
	SUBQ(Imm(lanes), n)
	VMOVDQA(second, first)
	Label("less")
	apply(first, 0, loadMask(n))

	Label("done")
	VZEROUPPER()
	RET()
}
