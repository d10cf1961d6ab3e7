package main

import (
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
	writeDropout("dropout",
		"computes dst[i] = x[i]·scale if the word of column 4·quad+i is at least threshold, else 0, for n elements.", false)
	writeDropout("dropoutAdd",
		"computes dst[i] += x[i]·scale if the word of column 4·quad+i is at least threshold, for n elements.", true)
}

// generator holds what stays the same while the counter runs: all of its words but the first, and so parts of the first
// two rounds.
//
// A vector holds four or eight counters, each in the low half of a 64-bit lane; the high halves are garbage, which the
// 32×32-bit multiplication ignores. The counters are in the order 0, 2, 1, 3 or 0, 4, 1, 5, 2, 6, 3, 7, so that unpacking
// the results within 128 bits puts them in order.
type generator struct {
	m0, m1 VecVirtual // multipliers
	quad   VecVirtual // first words of the counters
	// After round 1, words 0 and 1 are the same for all counters: c2 = high(m0·quad) ^ one, c3 = m0·quad.
	one VecVirtual
	// Round 2: c0 = high(m1·c2) ^ two0, c1 = m1·c2, c2 = c3 ^ two2, c3 = two3.
	two0, two2, two3 VecVirtual
	odd              Op  // wide: the high halves of the 64-bit lanes
	keys             Mem // of rounds 3 to 7: for each round the two words in all lanes
}

// broadcast loads a uint32 argument in all lanes.
func broadcast(param string) VecVirtual {
	x, v := XMM(), vec()
	r := GP32()
	Load(Param(param), r)
	VMOVD(r, x)
	VPBROADCASTD(x, v)
	return v
}

func newGenerator() *generator {
	g := &generator{keys: AllocLocal(2 * width * (philoxRounds - 2))}
	if wide() {
		bits, odd := GP32(), K()
		MOVL(U32(oddLanes<<8|oddLanes), bits)
		KMOVW(bits, odd)
		g.odd = odd
	}
	g.m0, g.m1 = register(dwords("philoxM0", philoxM0)), register(dwords("philoxM1", philoxM1))
	g.quad = broadcast("quad")
	counters := dwords("counters", 0, 0, 2, 0, 1, 0, 3, 0)
	if wide() {
		counters = dwords("counters512", 0, 0, 4, 0, 1, 0, 5, 0, 2, 0, 6, 0, 3, 0, 7, 0)
	}
	VPADDD(counters, g.quad, g.quad)
	c1, c2, c3 := broadcast("row"), broadcast("example"), broadcast("op")
	k0, k1 := broadcast("key0"), broadcast("key1")
	next := func() {
		VPADDD(dwords("philoxW0", philoxW0), k0, k0)
		VPADDD(dwords("philoxW1", philoxW1), k1, k1)
	}

	// Round 1: c0 becomes high(m1·c2) ^ c1 ^ k0, c1 becomes m1·c2.
	VPMULUDQ(g.m1, c2, c2)
	c0 := vec()
	VPSRLQ(Imm(32), c2, c0)
	xor(c1, c0, c0)
	xor(k0, c0, c0)
	g.one = vec()
	xor(k1, c3, g.one)

	// Round 2.
	next()
	g.two0, g.two2, g.two3 = vec(), vec(), vec()
	xor(k0, c2, g.two0)
	VPMULUDQ(g.m0, c0, g.two3)
	VPSRLQ(Imm(32), g.two3, g.two2)
	xor(k1, g.two2, g.two2)

	for round := range philoxRounds - 2 {
		next()
		VMOVUPS(k0, g.keys.Offset(2*width*round))
		VMOVUPS(k1, g.keys.Offset(2*width*round+width))
	}
	return g
}

// words returns the words of the next columns, two vectors of them.
func (g *generator) words() (first, second VecVirtual) {
	c0, c1, c2, c3 := vec(), vec(), vec(), vec()
	VPMULUDQ(g.m0, g.quad, c3)
	if wide() {
		VPADDD(dwords("eight", 8), g.quad, g.quad)
	} else {
		VPADDD(dwords("four", 4), g.quad, g.quad)
	}
	VPSRLQ(Imm(32), c3, c2)
	xor(g.one, c2, c2)

	VPMULUDQ(g.m1, c2, c1)
	VPSRLQ(Imm(32), c1, c0)
	xor(g.two0, c0, c0)
	xor(g.two2, c3, c2)
	c3 = g.two3

	for round := range philoxRounds - 2 {
		p0, p1, h0, h1 := vec(), vec(), vec(), vec()
		VPMULUDQ(g.m0, c0, p0)
		VPMULUDQ(g.m1, c2, p1)
		VPSRLQ(Imm(32), p1, h1)
		VPSRLQ(Imm(32), p0, h0)
		xor(c1, h1, h1)
		xor(c3, h0, h0)
		xor(g.keys.Offset(2*width*round), h1, h1)
		xor(g.keys.Offset(2*width*round+width), h0, h0)
		c0, c1, c2, c3 = h1, p1, h0, p0
	}
	g.pair(c0, c1)
	g.pair(c2, c3)
	first, second = c1, c3
	VPUNPCKLQDQ(c2, c0, first)
	VPUNPCKHQDQ(c2, c0, second)
	return first, second
}

// oddLanes has a bit for each high half of the 64-bit lanes of eight 32-bit ones.
const oddLanes = 0xaa

// pair puts the low halves of the 64-bit lanes of high into the high halves of those of low. high is overwritten.
func (g *generator) pair(low, high VecVirtual) {
	VPSLLQ(Imm(32), high, high)
	if wide() {
		VPBLENDMD(high, low, g.odd, low)
	} else {
		VPBLENDD(Imm(oddLanes), high, low, low)
	}
}

// atLeast returns a mask of the lanes of words that are at least those of bound, as unsigned numbers. words is
// overwritten.
func atLeast(words, bound VecVirtual) Op {
	if wide() {
		const notLess = 5
		mask := K()
		VPCMPUD(Imm(notLess), bound, words, mask)
		return mask
	}
	larger := YMM()
	VPMAXUD(bound, words, larger)
	VPCMPEQD(larger, words, words)
	return words
}

func writeDropout(name, doc string, add bool) {
	text(name, "func(dst, x *float32, n int, quad, row, example, op, key0, key1, threshold uint32, scale float32)", doc)
	g := newGenerator()
	dst, x := Load(Param("dst"), GP64()), Load(Param("x"), GP64())
	n := Load(Param("n"), GP64())
	threshold, scale := broadcast("threshold"), vec()
	VBROADCASTSS(address(Param("scale")), scale)

	apply := func(words VecVirtual, disp int, mask Op) {
		kept := atLeast(words, threshold)
		from, to := Mem{Base: x, Disp: disp}, Mem{Base: dst, Disp: disp}
		v, sum := vec(), vec()
		load(from, mask, v)
		VMULPS(scale, v, v)
		maskLanes(v, kept)
		if add {
			load(to, mask, sum)
			VADDPS(sum, v, v)
		}
		store(v, mask, to)
	}

	Label("turn")
	CMPQ(n, Imm(uint64(2*lanes)))
	JL(LabelRef("rest"))
	first, second := g.words()
	apply(first, 0, nil)
	apply(second, width, nil)
	ADDQ(Imm(uint64(2*width)), dst)
	ADDQ(Imm(uint64(2*width)), x)
	SUBQ(Imm(uint64(2*lanes)), n)
	JMP(LabelRef("turn"))

	Label("rest")
	TESTQ(n, n)
	JE(LabelRef("done"))
	first, second = g.words()
	CMPQ(n, Imm(uint64(lanes)))
	JL(LabelRef("less"))
	apply(first, 0, nil)
	ADDQ(Imm(uint64(width)), dst)
	ADDQ(Imm(uint64(width)), x)
	SUBQ(Imm(uint64(lanes)), n)
	VMOVAPS(second, first)
	Label("less")
	apply(first, 0, loadMask(n))

	Label("done")
	VZEROUPPER()
	RET()
}
