package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// littleEndian reports whether this machine stores numbers in the byte order of the format.
func littleEndian() bool {
	one := uint16(1)
	return *(*byte)(unsafe.Pointer(&one)) == 1
}

// Float32s returns data as float32 values: the same memory if possible (little-endian machine, aligned address),
// otherwise a copy. It panics if the length of data is not a multiple of 4.
func Float32s(data []byte) []float32 {
	if len(data)%4 != 0 {
		panic(fmt.Sprintf("safetensors: %d bytes are not float32 values", len(data)))
	}
	if len(data) == 0 {
		return nil
	}
	if p := unsafe.Pointer(&data[0]); littleEndian() && uintptr(p)%4 == 0 {
		return unsafe.Slice((*float32)(p), len(data)/4)
	}
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}

// Uint16s returns data as 16-bit words, the bits of F16 or BF16 values: the same memory if possible, as for [Float32s],
// otherwise a copy. It panics if the length of data is odd.
func Uint16s(data []byte) []uint16 {
	if len(data)%2 != 0 {
		panic(fmt.Sprintf("safetensors: %d bytes are not 16-bit words", len(data)))
	}
	if len(data) == 0 {
		return nil
	}
	if p := unsafe.Pointer(&data[0]); littleEndian() && uintptr(p)%2 == 0 {
		return unsafe.Slice((*uint16)(p), len(data)/2)
	}
	words := make([]uint16, len(data)/2)
	for i := range words {
		words[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	return words
}

// Bytes returns the bytes of values in the encoding of F32: the same memory on little-endian machines, a copy on
// others.
func Bytes(values []float32) []byte {
	if len(values) == 0 {
		return nil
	}
	if littleEndian() {
		return unsafe.Slice((*byte)(unsafe.Pointer(&values[0])), 4*len(values))
	}
	data := make([]byte, 4*len(values))
	for i, v := range values {
		binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
	}
	return data
}

// AsFloat32 returns the elements of a tensor of type F32, F16 or BF16 as float32; every value of these types is exact
// in float32. The result is a view of the tensor's data if possible (F32) and must not be changed. For other types
// AsFloat32 returns an error that names the tensor.
func AsFloat32(t Tensor) ([]float32, error) {
	switch t.DType {
	case F32:
		if len(t.Data)%4 == 0 {
			return Float32s(t.Data), nil
		}
	case F16, BF16:
		if len(t.Data)%2 != 0 {
			break
		}
		widen := FromF16
		if t.DType == BF16 {
			widen = FromBF16
		}
		words := Uint16s(t.Data)
		values := make([]float32, len(words))
		for i, w := range words {
			values[i] = widen(w)
		}
		return values, nil
	default:
		return nil, fmt.Errorf("safetensors: tensor %s has dtype %s, which is not supported here (want F32, F16 or BF16)",
			quote(t.Name), t.DType)
	}
	return nil, fmt.Errorf("safetensors: tensor %s: %d bytes are not %s values", quote(t.Name), len(t.Data), t.DType)
}

// FromBF16 returns the value of a bfloat16: the upper half of a float32.
func FromBF16(w uint16) float32 { return math.Float32frombits(uint32(w) << 16) }

// FromF16 returns the value of an IEEE 754 half-precision number. NaNs keep their sign and payload and become quiet, as
// with conversion in hardware.
func FromF16(w uint16) float32 {
	sign := uint32(w&0x8000) << 16
	exponent := uint32(w>>10) & 0x1f
	fraction := uint32(w & 0x3ff)
	switch {
	case exponent == 0x1f && fraction != 0:
		return math.Float32frombits(sign | 0x7fc00000 | fraction<<13)
	case exponent == 0x1f:
		return math.Float32frombits(sign | 0x7f800000)
	case exponent == 0: // fraction·2^-24, exact
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	}
	return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
}
