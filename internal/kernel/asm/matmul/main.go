// Command matmul writes the AVX2 and AVX-512 assembly of matrix products: tiles,
// packing, the pause of waiting workers, and the question which processor this is.
//
// Run it by go generate in internal/kernel.
package main

import . "github.com/mmcloughlin/avo/build"

func main() {
	ConstraintExpr("!purego")
	table := maskTable()
	tile16()
	tile15(table)
	tile8(table)
	wideTiles()
	packRows()
	packWideRows()
	packPairs()
	packColumns()
	pause()
	cpuid()
	Generate()
}
