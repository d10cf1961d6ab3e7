package gguf

import (
	"fmt"
	"math/bits"
)

// Type is the element type of a tensor, with the number that the format gives it. Types whose names begin with Q store
// blocks of elements: a scale, for some types a minimum, and a few bits for each element.
type Type uint32

// The types that this project can compute with.
const (
	F32  Type = 0
	F16  Type = 1
	Q4_0 Type = 2
	Q4_1 Type = 3
	Q5_0 Type = 6
	Q5_1 Type = 7
	Q8_0 Type = 8
	Q4_K Type = 12
	Q5_K Type = 13
	Q6_K Type = 14
	BF16 Type = 30
)

// Types returns the types that this project can compute with.
func Types() []Type { return []Type{F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K, Q6_K} }

// layout describes how a type is stored.
type layout struct {
	name     string
	elements int // elements in a block
	bytes    int // bytes of a block
}

// layouts holds every type of the format, so that files with other types can be checked and listed. The format has
// dropped the missing numbers.
var layouts = map[Type]layout{
	F32: {"F32", 1, 4}, F16: {"F16", 1, 2}, BF16: {"BF16", 1, 2},
	Q4_0: {"Q4_0", 32, 18}, Q4_1: {"Q4_1", 32, 20}, Q5_0: {"Q5_0", 32, 22}, Q5_1: {"Q5_1", 32, 24}, Q8_0: {"Q8_0", 32, 34},
	Q4_K: {"Q4_K", 256, 144}, Q5_K: {"Q5_K", 256, 176}, Q6_K: {"Q6_K", 256, 210},
	9: {"Q8_1", 32, 40}, 10: {"Q2_K", 256, 84}, 11: {"Q3_K", 256, 110}, 15: {"Q8_K", 256, 292},
	16: {"IQ2_XXS", 256, 66}, 17: {"IQ2_XS", 256, 74}, 18: {"IQ3_XXS", 256, 98}, 19: {"IQ1_S", 256, 50},
	20: {"IQ4_NL", 32, 18},
	21: {"IQ3_S", 256, 110}, 22: {"IQ2_S", 256, 82}, 23: {"IQ4_XS", 256, 136}, 29: {"IQ1_M", 256, 56},
	24: {"I8", 1, 1}, 25: {"I16", 1, 2}, 26: {"I32", 1, 4}, 27: {"I64", 1, 8}, 28: {"F64", 1, 8},
	34: {"TQ1_0", 256, 54}, 35: {"TQ2_0", 256, 66}, 39: {"MXFP4", 32, 17}, 40: {"NVFP4", 64, 36}, 41: {"Q1_0", 128, 18},
}

// String returns the format's name of the type, such as "Q4_K".
func (t Type) String() string {
	if l, ok := layouts[t]; ok {
		return l.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Block returns the number of elements in a block and the size of a block in bytes. It returns 1 and the size of an
// element for a type without blocks, and 0 and 0 for an unknown type.
func (t Type) Block() (elements, size int) {
	l := layouts[t]
	return l.elements, l.bytes
}

// byteSize returns the size of a tensor in bytes. dims has the row length first, as in the file; every dimension must
// be at least 1.
func byteSize(t Type, dims []uint64) (uint64, error) {
	elements, size := t.Block()
	if row := dims[0]; row%uint64(elements) != 0 {
		return 0, fmt.Errorf("rows of %d elements are not whole blocks of %s, which hold %d", row, t, elements)
	}
	n := dims[0] / uint64(elements)
	for _, d := range append(dims[1:len(dims):len(dims)], uint64(size)) {
		high, low := bits.Mul64(n, d)
		if high != 0 {
			return 0, fmt.Errorf("%s %v: the size overflows", t, dims)
		}
		n = low
	}
	return n, nil
}
