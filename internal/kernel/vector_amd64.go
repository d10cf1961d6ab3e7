//go:build !purego

package kernel

import "unsafe"

//go:generate go -C asm run ./vector -family vector

func add(dst, a, b []float32) {
	if !hasAVX2 {
		addGeneric(dst, a, b)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		addAMD64(&dst[0], &a[0], &b[0], n)
		dst, a, b = dst[n:], a[n:], b[n:]
	}
}

func addScaled(dst, x []float32, s float32) {
	if !hasAVX2 {
		addScaledGeneric(dst, x, s)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		addScaledAMD64(&dst[0], &x[0], n, s)
		dst, x = dst[n:], x[n:]
	}
}

func scale(dst, x []float32, s float32) {
	if !hasAVX2 {
		scaleGeneric(dst, x, s)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		scaleAMD64(&dst[0], &x[0], n, s)
		dst, x = dst[n:], x[n:]
	}
}

// The reductions are given at most maxCall elements.

func dot(a, b []float32) float32 {
	if !hasAVX2 {
		return dotGeneric(a, b)
	}
	return dotAMD64(unsafe.SliceData(a), unsafe.SliceData(b), len(a))
}

func sum(x []float32) float32 {
	if !hasAVX2 {
		return sumGeneric(x)
	}
	return sumAMD64(unsafe.SliceData(x), len(x))
}

func sumSquares(x []float32) float64 {
	if !hasAVX2 {
		return sumSquaresGeneric(x)
	}
	return sumSquaresAMD64(unsafe.SliceData(x), len(x))
}

func firstNonFinite(x []float32) int {
	if hasAVX2 && maxMagnitudeAMD64(unsafe.SliceData(x), len(x)) < expMask32 {
		return -1
	}
	return firstNonFiniteGeneric(x)
}
