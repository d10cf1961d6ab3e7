package kernel

import "encoding/binary"

// dequantizeGeneric is Dequantize for whole blocks. The conversions of products to float32 prevent fused multiply-add:
// all versions round after each operation, in ggml's order.
func dequantizeGeneric(dst []float32, src []byte, t Type) {
	block := blockGo[t]
	values, bytes := t.BlockValues(), t.BlockBytes()
	for len(dst) > 0 {
		block(dst[:values:values], src[:bytes:bytes])
		dst, src = dst[values:], src[bytes:]
	}
}

// blockGo widens one block of each quantised type.
var blockGo = [typeCount]func(dst []float32, b []byte){
	Q8_0: blockQ8_0, Q4_0: blockQ4_0, Q4_1: blockQ4_1, Q5_0: blockQ5_0, Q5_1: blockQ5_1,
	Q4_K: blockQ4_K, Q5_K: blockQ5_K, Q6_K: blockQ6_K,
}

// f16At returns the binary16 at the start of b as a float32.
func f16At(b []byte) float32 { return valueF16(binary.LittleEndian.Uint16(b)) }

func blockQ8_0(dst []float32, b []byte) {
	d := f16At(b)
	for i, q := range b[2:34] {
		dst[i] = d * float32(int8(q))
	}
}

// In blocks of 32 with 4 bits, value i is in the low half of byte i and value i+16 in its high half.

func blockQ4_0(dst []float32, b []byte) {
	d := f16At(b)
	for i, q := range b[2:18] {
		dst[i] = d * float32(int(q&15)-8)
		dst[i+16] = d * float32(int(q>>4)-8)
	}
}

func blockQ4_1(dst []float32, b []byte) {
	d, m := f16At(b), f16At(b[2:])
	for i, q := range b[4:20] {
		dst[i] = float32(d*float32(q&15)) + m
		dst[i+16] = float32(d*float32(q>>4)) + m
	}
}

// The fifth bits are stored separately: that of value i is bit i of a 32-bit number.

func blockQ5_0(dst []float32, b []byte) {
	d, high := f16At(b), binary.LittleEndian.Uint32(b[2:])
	for i, q := range b[6:22] {
		dst[i] = d * float32(int(q&15|byte(high>>i&1)<<4)-16)
		dst[i+16] = d * float32(int(q>>4|byte(high>>(i+16)&1)<<4)-16)
	}
}

func blockQ5_1(dst []float32, b []byte) {
	d, m, high := f16At(b), f16At(b[2:]), binary.LittleEndian.Uint32(b[4:])
	for i, q := range b[8:24] {
		dst[i] = float32(d*float32(q&15|byte(high>>i&1)<<4)) + m
		dst[i+16] = float32(d*float32(q>>4|byte(high>>(i+16)&1)<<4)) + m
	}
}

// scalesK unpacks the 6-bit factors of the scale and of the minimum of each 32 values from 12 bytes: the first four are
// in the low bits of bytes 0-3 and 4-7, the others in the halves of bytes 8-11 and the upper bits of the first eight.
func scalesK(b []byte) (scale, minimum [8]byte) {
	for i := range 4 {
		s, m, both := b[i], b[i+4], b[i+8]
		scale[i], scale[i+4] = s&0x3f, both&15|s>>2&0x30
		minimum[i], minimum[i+4] = m&0x3f, both>>4|m>>2&0x30
	}
	return scale, minimum
}

// In blocks of 256 with 4 bits, 32 bytes hold 64 values: the first half of them in the low halves.

func blockQ4_K(dst []float32, b []byte) {
	d, dmin := f16At(b), f16At(b[2:])
	scale, minimum := scalesK(b[4:16])
	for s := range scale {
		scaled, least := d*float32(scale[s]), dmin*float32(minimum[s])
		out := dst[32*s:][:32]
		for i, q := range b[16+s/2*32:][:32] {
			out[i] = float32(scaled*float32(q>>(s%2*4)&15)) - least
		}
	}
}

func blockQ5_K(dst []float32, b []byte) {
	d, dmin := f16At(b), f16At(b[2:])
	scale, minimum := scalesK(b[4:16])
	high := b[16:48]
	for s := range scale {
		scaled, least := d*float32(scale[s]), dmin*float32(minimum[s])
		out := dst[32*s:][:32]
		for i, q := range b[48+s/2*32:][:32] {
			out[i] = float32(scaled*float32(q>>(s%2*4)&15|high[i]>>s&1<<4)) - least
		}
	}
}

// blockQ6_K widens a block in which 64 bytes hold the low four bits of 128 values, first the low halves of all bytes,
// then the high halves; 32 bytes hold the upper two bits.
func blockQ6_K(dst []float32, b []byte) {
	d := f16At(b[208:])
	for row := range 8 { // of 32 values
		half, r := row/4, row%4
		low, high := b[64*half+32*(r%2):][:32], b[128+32*half:][:32]
		out := dst[32*row:][:32]
		for i := range out {
			q := low[i]>>(r/2*4)&15 | high[i]>>(2*r)&3<<4
			scale := d * float32(int8(b[192+2*row+i/16]))
			out[i] = scale * float32(int(q)-32)
		}
	}
}
