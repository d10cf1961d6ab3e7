package kernel

import "fmt"

// Add computes the elementwise sum of two slices of the same length:
//
//	dst[i] = a[i] + b[i]
//
// dst may be a or b (or both), but must not partly overlap them. The same rule applies to every function of this
// package that writes a slice. Add panics if the lengths differ.
func Add(dst, a, b []float32) {
	mustMatch3("Add", len(dst), len(a), len(b))
	add(dst, a, b)
}

// AddTo adds x to dst, which must have the same length:
//
//	dst[i] += x[i]
func AddTo(dst, x []float32) {
	mustMatch("AddTo", len(dst), len(x))
	add(dst, dst, x)
}

// AddScaled adds a multiple of x to dst, which must have the same length:
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

// Dot returns the inner product of two slices of the same length:
//
//	Σ a[i]·b[i]
//
// The order of summation depends only on the length and the implementation, so equal inputs give equal bits. Partial
// sums are float32 within blocks of 32,768 elements and float64 across them.
func Dot(a, b []float32) float32 {
	mustMatch("Dot", len(a), len(b))
	var sum float64
	for len(a) > maxCall {
		sum += float64(dot(a[:maxCall], b[:maxCall]))
		a, b = a[maxCall:], b[maxCall:]
	}
	return float32(sum + float64(dot(a, b)))
}

// Sum returns the sum of a slice, 0 for an empty one, with the order of summation of Dot.
func Sum(x []float32) float32 {
	var total float64
	for len(x) > maxCall {
		total += float64(sum(x[:maxCall]))
		x = x[maxCall:]
	}
	return float32(total + float64(sum(x)))
}

// SumSquares returns Σ x[i]². Every product and sum is in float64, as a gradient norm over millions of elements needs
// it. No finite input overflows.
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

// maxCall is the maximum number of elements that one call of an assembly routine gets. The scheduler cannot preempt
// assembly, and a garbage collection waits for it; the slowest routine needs about 2 ns per element, so a call stays
// below 100 µs.
const maxCall = 1 << 15

// mustMatch panics unless the two lengths are equal.
func mustMatch(name string, a, b int) {
	if a != b {
		panicLengths(name, a, b)
	}
}

// mustMatch3 panics unless the three lengths are equal.
func mustMatch3(name string, a, b, c int) {
	if a != b || a != c {
		panicLengths(name, a, b, c)
	}
}

func panicLengths(name string, n ...int) {
	panic(fmt.Sprintf("kernel: %s: slices of different lengths %v", name, n))
}
