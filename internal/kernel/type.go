package kernel

import "fmt"

// Type is the encoding of stored numbers: one by one, or quantised in blocks that share scales. The quantised types are
// those of GGUF, with the names and the layout of ggml.
type Type uint8

const (
	F32  Type = iota // IEEE 754 binary32, in a []float32
	F16              // IEEE 754 binary16, in a []uint16
	BF16             // the upper half of a binary32, in a []uint16
	Q8_0             // blocks of 32: F16 scale, 8 bits each
	Q4_0             // blocks of 32: F16 scale, 4 bits each around 8
	Q4_1             // blocks of 32: F16 scale and minimum, 4 bits each
	Q5_0             // blocks of 32: F16 scale, 5 bits each around 16
	Q5_1             // blocks of 32: F16 scale and minimum, 5 bits each
	Q4_K             // blocks of 256: F16 scale and minimum, each times 6 bits for every 32 values; 4 bits each
	Q5_K             // as Q4_K, but 5 bits each
	Q6_K             // blocks of 256: F16 scale, times 8 bits for every 16 values; 6 bits each around 32
	typeCount
)

// typeLayouts holds the name of each type, and the values and bytes of a block.
var typeLayouts = [typeCount]struct {
	name          string
	values, bytes int
}{
	F32: {"F32", 1, 4}, F16: {"F16", 1, 2}, BF16: {"BF16", 1, 2},
	Q8_0: {"Q8_0", 32, 34}, Q4_0: {"Q4_0", 32, 18}, Q4_1: {"Q4_1", 32, 20}, Q5_0: {"Q5_0", 32, 22}, Q5_1: {"Q5_1", 32, 24},
	Q4_K: {"Q4_K", 256, 144}, Q5_K: {"Q5_K", 256, 176}, Q6_K: {"Q6_K", 256, 210},
}

// Types returns all types in the order of their constants.
func Types() []Type {
	all := make([]Type, typeCount)
	for i := range all {
		all[i] = Type(i)
	}
	return all
}

// String returns the name that safetensors and GGUF use, such as F32, BF16 or Q4_K.
func (t Type) String() string {
	if t >= typeCount {
		return fmt.Sprintf("Type(%d)", uint8(t))
	}
	return typeLayouts[t].name
}

// BlockValues returns the number of values in a block: 1, 32 or 256.
func (t Type) BlockValues() int { return typeLayouts[t].values }

// BlockBytes returns the size of a block in bytes: the size of one number for types that are not quantised.
func (t Type) BlockBytes() int { return typeLayouts[t].bytes }

// Quantised reports whether values are stored in blocks with scales.
func (t Type) Quantised() bool { return t.BlockValues() > 1 }

// Bytes returns the size in bytes of n values; n must be a multiple of BlockValues.
func (t Type) Bytes(n int) int { return n / t.BlockValues() * t.BlockBytes() }
