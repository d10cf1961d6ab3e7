package kernel

import "math"

// packGo is tileKernels.pack in plain Go, for panels of 16 columns.
func packGo(dst []float32, m *Mat, k0, k, j0, n int) { packPanel(dst, 16, m, k0, k, j0, n) }

// packPanel packs a panel of the given number of columns, of which n are filled.
func packPanel(dst []float32, cols int, m *Mat, k0, k, j0, n int) {
	for i := range k {
		row := dst[i*cols:][:n]
		from := (k0+i)*m.Stride + j0
		if m.Type == F32 {
			copy(row, m.F32[from:])
		} else {
			Widen(row, m.U16[from:][:n], m.Type)
		}
	}
}

// transposeGo is tileKernels.transpose in plain Go.
func transposeGo(dst []float32, row int, m *Mat, i0, rows, j0, cols int) {
	for i := range rows {
		from := (i0+i)*m.Stride + j0
		switch m.Type {
		case F32:
			for j, v := range m.F32[from:][:cols] {
				dst[j*row+i] = v
			}
		case F16:
			for j, h := range m.U16[from:][:cols] {
				dst[j*row+i] = valueF16(h)
			}
		case BF16:
			for j, h := range m.U16[from:][:cols] {
				dst[j*row+i] = valueBF16(h)
			}
		}
	}
}

// widenRow converts values of type F16 or BF16; the slices have equal lengths.
func widenRow(dst []float32, src []uint16, t Type) {
	if t == F16 {
		for i, h := range src {
			dst[i] = valueF16(h)
		}
		return
	}
	for i, h := range src {
		dst[i] = valueBF16(h)
	}
}

func valueBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// valueF16 moves sign, exponent and fraction to their places. A number with exponent zero has no hidden one: it is its
// fraction times 2^-24, which float32 holds exactly. The largest exponent means infinity or NaN.
func valueF16(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h & 0x3ff)
	switch exponent {
	case 0:
		v := float32(fraction) * 0x1p-24
		return math.Float32frombits(math.Float32bits(v) | sign)
	case 0x1f:
		if fraction != 0 {
			fraction |= 0x200 // quiet, as the processor's conversion does
		}
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}
