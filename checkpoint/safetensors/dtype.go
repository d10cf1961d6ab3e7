package safetensors

// DType is the name of an element type as the header spells it.
type DType string

// The element types of the format, in the order in which the reference writer sorts them (by growing alignment).
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

// rank returns the place of d in the writer's order, from 1, and the size of an element in bits; 0, 0 for an unknown type.
func (d DType) rank() (place, bits int) {
	switch d {
	case Bool:
		return 1, 8
	case F4:
		return 2, 4
	case F6E2M3:
		return 3, 6
	case F6E3M2:
		return 4, 6
	case U8:
		return 5, 8
	case I8:
		return 6, 8
	case F8E5M2:
		return 7, 8
	case F8E4M3:
		return 8, 8
	case F8E8M0:
		return 9, 8
	case F8E4M3FNUZ:
		return 10, 8
	case F8E5M2FNUZ:
		return 11, 8
	case I16:
		return 12, 16
	case U16:
		return 13, 16
	case F16:
		return 14, 16
	case BF16:
		return 15, 16
	case I32:
		return 16, 32
	case U32:
		return 17, 32
	case F32:
		return 18, 32
	case C64:
		return 19, 64
	case F64:
		return 20, 64
	case I64:
		return 21, 64
	case U64:
		return 22, 64
	}
	return 0, 0
}

// Bits returns the size of one element in bits, 0 if d is not a type of the format.
func (d DType) Bits() int {
	_, bits := d.rank()
	return bits
}
