package safetensors

import "encoding/binary"

// NonFinite returns the number of elements of a tensor of type F32, F16 or BF16 that are NaN or infinite, and 0 for
// tensors of other types.
func NonFinite(t Tensor) int {
	switch t.DType {
	case F32:
		return countNonFinite(t.Data, 0x7f800000, 4)
	case F16:
		return countNonFinite(t.Data, 0x7c00, 2)
	case BF16:
		return countNonFinite(t.Data, 0x7f80, 2)
	}
	return 0
}

// countNonFinite counts the little-endian words of size bytes in which all bits of the exponent are set. It tests 32
// bytes at once, and goes word by word only if one of them is not finite.
func countNonFinite(data []byte, exponent uint64, size int) int {
	var mask, low uint64 // the exponent and the lowest bit of each word
	for shift := 0; shift < 64; shift += 8 * size {
		mask |= exponent << shift
		low |= 1 << shift
	}
	high := low << (8*size - 1)
	// suspect returns a value other than 0 if a word of b is not finite: the inverted exponent of such a word is 0, and
	// only a subtraction from 0 (or a borrow from such a word) sets the highest bit.
	suspect := func(b []byte) uint64 {
		inverted := binary.LittleEndian.Uint64(b)&mask ^ mask
		return (inverted - low) &^ inverted & high
	}
	count := 0
	for ; len(data) >= 32; data = data[32:] {
		b := data[:32]
		if suspect(b)|suspect(b[8:])|suspect(b[16:])|suspect(b[24:]) != 0 {
			count += countWords(b, exponent, size)
		}
	}
	return count + countWords(data, exponent, size)
}

func countWords(data []byte, exponent uint64, size int) int {
	count := 0
	for ; len(data) >= size; data = data[size:] {
		word := uint64(binary.LittleEndian.Uint16(data))
		if size == 4 {
			word = uint64(binary.LittleEndian.Uint32(data))
		}
		if word&exponent == exponent {
			count++
		}
	}
	return count
}
