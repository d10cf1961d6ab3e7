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
	TEXT("multiplyAdd", NOSPLIT, "func(rounds int)")
	Doc("multiplyAdd does 12 independent multiply-adds of 8 float32 in each round, on registers alone.")
	sums := []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11}
	rounds := RAX
	Load(Param("rounds"), rounds)
	for _, y := range append(sums, Y12, Y13) {
		VXORPS(y, y, y)
	}
	Label("round")
	for _, y := range sums {
		VFMADD231PS(Y12, Y13, y)
	}
	DECQ(rounds)
	JNE(LabelRef("round"))
	VZEROUPPER()
	RET()
	Generate()
}
