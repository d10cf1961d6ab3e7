package kernel

import "fmt"

// Add is the elementwise sum of two slices of one length:
//
//	dst[i] = a[i] + b[i]
//
// dst may be a or b (or both), but must not overlap them in part. This holds for every function of this package that writes a slice.
// It panics if the lengths differ.
func Add(dst, a, b []float32) {
	mustMatch3("Add", len(dst), len(a), len(b))
	add(dst, a, b)
}

// AddTo accumulates x in dst; the slices have one length:
//
//	dst[i] += x[i]
func AddTo(dst, x []float32) {
	mustMatch("AddTo", len(dst), len(x))
	add(dst, dst, x)
}

// AddScaled accumulates a multiple of x in dst; the slices have one length:
//
//	dst[i] += s·x[i]
//
// Whether the product is rounded before the addition depends on the implementation.
func AddScaled(dst, x []float32, s float32) {
	mustMatch("AddScaled", len(dst), len(x))
	addScaled(dst, x, s)
}

// Scale multiplies a slice by a number; dst may be x:
//
//	dst[i] = s·x[i]
func Scale(dst, x []float32, s float32) {
	mustMatch("Scale", len(dst), len(x))
	scale(dst, x, s)
}

// Dot is the inner product of two slices of one length:
//
//	Σ a[i]·b[i]
//
// The order of summation depends on the length and the implementation only, so equal inputs give equal bits. Partial sums
// are float32 within blocks of 32,768 elements and float64 across them.
func Dot(a, b []float32) float32 {
	mustMatch("Dot", len(a), len(b))
	var sum float64
	for len(a) > maxCall {
		sum += float64(dot(a[:maxCall], b[:maxCall]))
		a, b = a[maxCall:], b[maxCall:]
	}
	return float32(sum + float64(dot(a, b)))
}

// Sum is the sum of a slice, 0 for an empty one, with the order of summation of Dot.
func Sum(x []float32) float32 {
	var total float64
	for len(x) > maxCall {
		total += float64(sum(x[:maxCall]))
		x = x[maxCall:]
	}
	return float32(total + float64(sum(x)))
}

// SumSquares is Σ x[i]², with every product and sum in float64, as a gradient norm over millions of elements needs it.
// No finite input overflows.
func SumSquares(x []float32) float64 {
	var total float64
	for len(x) > maxCall {
		total += sumSquares(x[:maxCall])
		x = x[maxCall:]
	}
	return total + sumSquares(x)
}

// FirstNonFinite returns the index of the first NaN or infinity in x, or -1 if all elements are finite.
func FirstNonFinite(x []float32) int {
	for start := 0; start < len(x); start += maxCall {
		block := x[start:min(start+maxCall, len(x))]
		if i := firstNonFinite(block); i >= 0 {
			return start + i
		}
	}
	return -1
}

// maxCall is the largest number of elements that one assembly routine is given. The scheduler cannot preempt assembly, and a
// garbage collection waits for it; the slowest routine needs about 2 ns per element and thus stays below 100 µs.
const maxCall = 1 << 15

// mustMatch panics unless a caller's two slices have one length.
func mustMatch(name string, a, b int) {
	if a != b {
		panicLengths(name, a, b)
	}
}

// mustMatch3 panics unless a caller's three slices have one length.
func mustMatch3(name string, a, b, c int) {
	if a != b || a != c {
		panicLengths(name, a, b, c)
	}
}

func panicLengths(name string, n ...int) {
	panic(fmt.Sprintf("kernel: %s: slices of different lengths %v", name, n))
}
