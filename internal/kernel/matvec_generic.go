package kernel

// at returns stored value i of a matrix that is not quantised.
func (a *Mat) at(i int) float32 {
	switch a.Type {
	case F16:
		return valueF16(a.U16[i])
	case BF16:
		return valueBF16(a.U16[i])
	}
	return a.F32[i]
}

// dotsGeneric keeps eight partial sums for each row, as dotGeneric does.
func dotsGeneric(dst, x []float32, w *Mat, row int) {
	var wide [64]float32
	for i := range dst {
		from := (row + i) * w.Stride
		if w.Type == F32 {
			dst[i] = dotGeneric(x, w.F32[from:][:len(x)])
			continue
		}
		var s [8]float32
		for j := 0; j < len(x); j += len(wide) {
			part := x[j:min(j+len(wide), len(x))]
			widenRow(wide[:len(part)], w.U16[from+j:][:len(part)], w.Type)
			for l, v := range part {
				s[l%8] += float32(v * wide[l])
			}
		}
		dst[i] = total8(&s)
	}
}

func addScaled4Generic(dst, x0, x1, x2, x3 []float32, s *[4]float32) {
	x0, x1, x2, x3 = x0[:len(dst)], x1[:len(dst)], x2[:len(dst)], x3[:len(dst)]
	for i, v := range dst {
		v += float32(s[0] * x0[i])
		v += float32(s[1] * x1[i])
		v += float32(s[2] * x2[i])
		dst[i] = v + float32(s[3]*x3[i])
	}
}
