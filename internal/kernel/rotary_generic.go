package kernel

func rotateGeneric(d1, d2, x1, x2, cos, sin []float32, sign float32) {
	d2, x1, x2, cos, sin = d2[:len(d1)], x1[:len(d1)], x2[:len(d1)], cos[:len(d1)], sin[:len(d1)]
	for i := range d1 {
		a, b, c, s := x1[i], x2[i], cos[i], sign*sin[i]
		d1[i] = float32(a*c) - float32(b*s)
		d2[i] = float32(b*c) + float32(a*s)
	}
}
