package kernel

import "fmt"

// Widen converts half-precision numbers to float32 exactly; t is F16 (IEEE 754 binary16) or BF16 (the upper half of a
// float32). NaN stays NaN with its payload (F16's always becomes quiet). Widen panics if the lengths differ or t is
// another type.
func Widen(dst []float32, src []uint16, t Type) {
	mustMatch("Widen", len(dst), len(src))
	if t != F16 && t != BF16 {
		panic(fmt.Sprintf("kernel: Widen: type %v is neither F16 nor BF16", t))
	}
	widen(dst, src, t)
}

// Narrow rounds float32 numbers to F16 or BF16: to the nearest, ties to even, overflow to infinity; NaN stays a (quiet)
// NaN. Narrow panics if the lengths differ or t is another type.
func Narrow(dst []uint16, src []float32, t Type) {
	mustMatch("Narrow", len(dst), len(src))
	switch t {
	case F16:
		narrowF16(dst, src)
	case BF16:
		narrowBF16(dst, src)
	default:
		panic(fmt.Sprintf("kernel: Narrow: type %v is neither F16 nor BF16", t))
	}
}
