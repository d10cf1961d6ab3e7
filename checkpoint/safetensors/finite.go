package safetensors

import "encoding/binary"

// NonFinite counts the elements of a tensor of type F32, F16 or BF16 that are NaN or infinite; tensors of other types count 0.
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

// countNonFinite counts the little-endian words of size bytes in which all bits of the exponent's mask are set. It looks at eight
// bytes at once, word by word only where one of them is not finite.
func countNonFinite(data []byte, exponent uint64, size int) int {
	width := 8 * size
	var mask, low uint64 // the exponent and the lowest bit of each word
	for shift := 0; shift < 64; shift += width {
		mask |= exponent << shift
		low |= 1 << shift
	}
	high := low << (width - 1)
	count := 0
	i := 0
	for ; i+8 <= len(data); i += 8 {
		finite := binary.LittleEndian.Uint64(data[i:])&mask ^ mask // a word is 0 here if it is not finite
		if (finite-low)&^finite&high != 0 {
			for shift := 0; shift < 64; shift += width {
				if finite>>shift&(1<<width-1) == 0 {
					count++
				}
			}
		}
	}
	for ; i+size <= len(data); i += size {
		word := uint64(binary.LittleEndian.Uint16(data[i:]))
		if size == 4 {
			word = uint64(binary.LittleEndian.Uint32(data[i:]))
		}
		if word&exponent == exponent {
			count++
		}
	}
	return count
}
