package safetensors

// DType is the name of an element type as the header spells it.
type DType string

// The element types of the format. The reference writer sorts them in this order, last first.
const (
	Bool       DType = "BOOL"
	F4         DType = "F4" // two values in a byte
	F6E2M3     DType = "F6_E2M3"
	F6E3M2     DType = "F6_E3M2"
	U8         DType = "U8"
	I8         DType = "I8"
	F8E5M2     DType = "F8_E5M2"
	F8E4M3     DType = "F8_E4M3"
	F8E8M0     DType = "F8_E8M0"
	F8E4M3FNUZ DType = "F8_E4M3FNUZ"
	F8E5M2FNUZ DType = "F8_E5M2FNUZ"
	I16        DType = "I16"
	U16        DType = "U16"
	F16        DType = "F16"
	BF16       DType = "BF16"
	I32        DType = "I32"
	U32        DType = "U32"
	F32        DType = "F32"
	C64        DType = "C64" // two F32
	F64        DType = "F64"
	I64        DType = "I64"
	U64        DType = "U64"
)

// types lists the element types in the writer's order with their sizes in bits.
var types = [...]struct {
	dtype DType
	bits  int
}{
	{Bool, 8}, {F4, 4}, {F6E2M3, 6}, {F6E3M2, 6}, {U8, 8}, {I8, 8},
	{F8E5M2, 8}, {F8E4M3, 8}, {F8E8M0, 8}, {F8E4M3FNUZ, 8}, {F8E5M2FNUZ, 8},
	{I16, 16}, {U16, 16}, {F16, 16}, {BF16, 16},
	{I32, 32}, {U32, 32}, {F32, 32},
	{C64, 64}, {F64, 64}, {I64, 64}, {U64, 64},
}

// place returns the index of d in types, or -1 if d is not a type of the format.
func (d DType) place() int {
	for i, t := range types {
		if t.dtype == d {
			return i
		}
	}
	return -1
}

// Bits returns the size of one element in bits, or 0 if d is not a type of the format.
func (d DType) Bits() int {
	if i := d.place(); i >= 0 {
		return types[i].bits
	}
	return 0
}
