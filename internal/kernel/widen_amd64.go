//go:build !purego

package kernel

//go:generate go -C asm run ./vector -family widen

// wideVectors is the number of elements that a step of the assembly converts; plain Go converts the rest with the same
// bits.
const wideVectors = 16

func widen(dst []float32, src []uint16, t Type) {
	if t == F16 {
		widenF16(dst, src)
	} else {
		widenBF16(dst, src)
	}
}

func widenF16(dst []float32, src []uint16) {
	if hasAVX2 {
		for len(dst) >= wideVectors {
			n := min(len(dst), maxCall) &^ (wideVectors - 1)
			widenF16AMD64(&dst[0], &src[0], n)
			dst, src = dst[n:], src[n:]
		}
	}
	widenRow(dst, src, F16)
}

func widenBF16(dst []float32, src []uint16) {
	if hasAVX2 {
		for len(dst) >= wideVectors {
			n := min(len(dst), maxCall) &^ (wideVectors - 1)
			widenBF16AMD64(&dst[0], &src[0], n)
			dst, src = dst[n:], src[n:]
		}
	}
	widenRow(dst, src, BF16)
}

func narrowF16(dst []uint16, src []float32) {
	if hasAVX2 {
		for len(dst) >= wideVectors {
			n := min(len(dst), maxCall) &^ (wideVectors - 1)
			narrowF16AMD64(&dst[0], &src[0], n)
			dst, src = dst[n:], src[n:]
		}
	}
	narrowF16Generic(dst, src)
}

func narrowBF16(dst []uint16, src []float32) {
	if hasAVX2 {
		for len(dst) >= wideVectors {
			n := min(len(dst), maxCall) &^ (wideVectors - 1)
			narrowBF16AMD64(&dst[0], &src[0], n)
			dst, src = dst[n:], src[n:]
		}
	}
	narrowBF16Generic(dst, src)
}
