// Command ceiling writes a loop that measures the fused multiply-adds that a core can do if nothing else limits it.
//
// Run it by go generate in bench/gemm.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func main() {
	ConstraintExpr("!purego")
	multiplyAdd("multiplyAdd", "8", Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13)
	multiplyAdd("multiplyAdd512", "16", Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13)
	Generate()
}

// multiplyAdd writes a loop over all registers but the last two, which are the factors.
func multiplyAdd(name, lanes string, registers ...VecPhysical) {
	TEXT(name, NOSPLIT, "func(rounds int)")
	Doc(name + " does 12 independent multiply-adds of " + lanes + " float32 in each round, on registers alone.")
	rounds := RAX
	Load(Param("rounds"), rounds)
	for _, r := range registers {
		VXORPS(r, r, r)
	}
	Label("round")
	n := len(registers)
	for _, r := range registers[:n-2] {
		VFMADD231PS(registers[n-2], registers[n-1], r)
	}
	DECQ(rounds)
	JNE(LabelRef("round"))
	VZEROUPPER()
	RET()
}
