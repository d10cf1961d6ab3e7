package kernel

func dropoutGeneric(dst, x []float32, m mask, first int) {
	x = x[:len(dst)]
	var words [4]uint32
	for i := range dst {
		c := first + i
		if i == 0 || c&3 == 0 {
			words = m.words(c >> 2)
		}
		if words[c&3] >= m.threshold {
			dst[i] = x[i] * m.scale
		} else {
			dst[i] = 0
		}
	}
}

func dropoutAddGeneric(dst, x []float32, m mask, first int) {
	x = x[:len(dst)]
	var words [4]uint32
	for i := range dst {
		c := first + i
		if i == 0 || c&3 == 0 {
			words = m.words(c >> 2)
		}
		var kept float32
		if words[c&3] >= m.threshold {
			kept = x[i] * m.scale
		}
		dst[i] += float32(kept) // the conversion rounds the product, as Dropout followed by AddTo does
	}
}
