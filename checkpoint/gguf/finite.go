package gguf

import (
	"encoding/binary"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

// halves holds the byte positions of the F16 numbers in a quantised block: the scale, and the minimum if the type has
// one.
var halves = map[Type][]int{
	Q4_0: {0}, Q4_1: {0, 2}, Q5_0: {0}, Q5_1: {0, 2}, Q8_0: {0}, Q4_K: {0, 2}, Q5_K: {0, 2}, Q6_K: {208},
}

// NonFinite returns the number of elements of a tensor that are NaN or infinite. If the scale or the minimum of a block
// is, all elements of the block count. NonFinite returns 0 for types that are not in [Types].
func NonFinite(t Tensor) int {
	at, quantised := halves[t.Type]
	if !quantised {
		return safetensors.NonFinite(safetensors.Tensor{DType: safetensors.DType(t.Type.String()), Data: t.Data})
	}
	elements, size := t.Type.Block()
	count := 0
	for data := t.Data; len(data) >= size; data = data[size:] {
		for _, i := range at {
			if binary.LittleEndian.Uint16(data[i:])&0x7c00 == 0x7c00 {
				count += elements
				break
			}
		}
	}
	return count
}
