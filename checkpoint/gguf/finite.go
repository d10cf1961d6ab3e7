package gguf

import (
	"encoding/binary"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

// halves tells at which bytes of a quantised block its F16 numbers stand: the scale, and the minimum where the type has one.
var halves = map[Type][]int{
	Q4_0: {0}, Q4_1: {0, 2}, Q5_0: {0}, Q5_1: {0, 2}, Q8_0: {0}, Q4_K: {0, 2}, Q5_K: {0, 2}, Q6_K: {208},
}

// NonFinite counts the elements of a tensor that are NaN or infinite. All elements of a block count whose scale or minimum is. It
// counts 0 for types that are not in [Types].
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
