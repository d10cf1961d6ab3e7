//go:build !purego

package kernel

//go:generate go -C asm run ./vector -family matvec

// dots computes dst[i] = Σ x[j]·w(row+i, j) over len(x) stored columns, for len(dst) rows of a matrix that is not
// quantised. Columns after the last multiple of eight are added one by one.
func dots(dst, x []float32, w *Mat, row int) {
	whole := len(x) &^ 7
	if !hasAVX2 || whole == 0 {
		dotsGeneric(dst, x, w, row)
		return
	}
	from := row * w.Stride
	for i := 0; i < len(dst); {
		rows := min(len(dst)-i, max(4, maxCall/whole))
		at := from + i*w.Stride
		switch w.Type {
		case F32:
			dotsF32AMD64(&dst[i], &x[0], &w.F32[at], rows, whole, 4*w.Stride)
		case F16:
			dotsF16AMD64(&dst[i], &x[0], &w.U16[at], rows, whole, 2*w.Stride)
		case BF16:
			dotsBF16AMD64(&dst[i], &x[0], &w.U16[at], rows, whole, 2*w.Stride)
		}
		i += rows
	}
	if whole == len(x) {
		return
	}
	for i := range dst {
		for j := whole; j < len(x); j++ {
			dst[i] += float32(x[j] * w.at(from+i*w.Stride+j))
		}
	}
}

// addScaled4 adds four multiples of slices to dst, one after the other, each rounded as addScaled does.
func addScaled4(dst, x0, x1, x2, x3 []float32, s *[4]float32) {
	if !hasAVX2 {
		addScaled4Generic(dst, x0, x1, x2, x3, s)
		return
	}
	for len(dst) > 0 {
		n := min(len(dst), maxCall)
		addScaled4AMD64(&dst[0], &x0[0], &x1[0], &x2[0], &x3[0], n, s[0], s[1], s[2], s[3])
		dst, x0, x1, x2, x3 = dst[n:], x0[n:], x1[n:], x2[n:], x3[n:]
	}
}

// dotsQuantised is dots for a quantised matrix and whole blocks; it gives the bits that widening first gives. It does
// nothing and returns false for types that it does not support.
func dotsQuantised(dst, x []float32, w *Mat, row int) bool {
	kernel := quantisedDots[w.Type]
	per := w.Type.BlockValues()
	if kernel == nil || !hasAVX2 || len(x) == 0 || len(x)%per != 0 {
		return false
	}
	blocks, stride := len(x)/per, w.Type.Bytes(w.Stride)
	for i := 0; i < len(dst); {
		rows := min(len(dst)-i, max(2, maxCall/len(x)))
		kernel(&dst[i], &x[0], &w.Bytes[(row+i)*stride], rows, blocks, stride)
		i += rows
	}
	return true
}

// quantisedDots holds the inner products with blocks of 32.
var quantisedDots = [typeCount]func(dst, x *float32, w *byte, rows, blocks, stride int){
	Q8_0: dotsQ8_0AMD64, Q4_0: dotsQ4_0AMD64, Q4_1: dotsQ4_1AMD64, Q5_0: dotsQ5_0AMD64, Q5_1: dotsQ5_1AMD64,
}
