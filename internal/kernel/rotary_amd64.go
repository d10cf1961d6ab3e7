//go:build !purego

package kernel

//go:generate go -C asm run ./vector -family rotary

func rotate(d1, d2, x1, x2, cos, sin []float32, sign float32) {
	if !hasAVX2 {
		rotateGeneric(d1, d2, x1, x2, cos, sin, sign)
		return
	}
	for len(d1) > 0 {
		n := min(len(d1), maxCall)
		rotateAMD64(&d1[0], &d2[0], &x1[0], &x2[0], &cos[0], &sin[0], n, sign)
		d1, d2, x1, x2, cos, sin = d1[n:], d2[n:], x1[n:], x2[n:], cos[n:], sin[n:]
	}
}
