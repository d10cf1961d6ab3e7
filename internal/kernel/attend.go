package kernel

import "fmt"

// AttendOne computes scaled dot-product attention of one query over n rows of keys and values, as generating with a
// cache needs it:
//
//	p = softmax(scale·keys·q + bias)    dst = Σ p[j]·values[j]
//
// q and dst have D values; keys and values have n rows of D values each, with row stride stride. bias has n values or
// is nil. scores is scratch of at least n values, and holds p afterwards. With n = 0 dst is zero. dst must not overlap
// an operand. AttendOne panics if a slice is too short.
func AttendOne(dst, q, keys, values []float32, stride, n int, scale float32, bias, scores []float32) {
	d := len(q)
	if len(dst) != d || n < 0 || n > 1 && stride < d ||
		len(keys) < extent(n, d, stride) || len(values) < extent(n, d, stride) || len(scores) < n ||
		bias != nil && len(bias) != n {
		panic(fmt.Sprintf("kernel: AttendOne: %d results and a query of %d over %d rows, stride %d, "+
			"do not fit %d keys, %d values, a bias of %d and %d scores",
			len(dst), d, n, stride, len(keys), len(values), len(bias), len(scores)))
	}
	p := scores[:n]
	dots(p, q, &Mat{F32: keys, Stride: stride}, 0)
	if bias != nil {
		Scale(p, p, scale)
		AddTo(p, bias)
		scale = 1
	}
	Softmax(p, scale)
	clear(dst)
	for ; len(p) >= 4; p = p[4:] {
		addScaled4(dst, values[:d], values[stride:][:d], values[2*stride:][:d], values[3*stride:][:d], (*[4]float32)(p))
		values = values[min(4*stride, len(values)):]
	}
	for j, f := range p {
		addScaled(dst, values[j*stride:][:d], f)
	}
}
