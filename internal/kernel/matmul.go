package kernel

import "fmt"

// Type says how a stored number is encoded.
type Type uint8

const (
	F32  Type = iota // IEEE 754 binary32, in a []float32
	F16              // IEEE 754 binary16, in a []uint16
	BF16             // the upper half of a binary32, in a []uint16
)

// Size returns the bytes of one number: 4 or 2.
func (t Type) Size() int {
	if t == F32 {
		return 4
	}
	return 2
}

// String returns the name that safetensors uses: F32, F16 or BF16.
func (t Type) String() string {
	switch t {
	case F32:
		return "F32"
	case F16:
		return "F16"
	case BF16:
		return "BF16"
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// Mat is a view of a matrix in memory, which the caller owns. Element (i, j) stands at
//
//	i·Stride + j           without Trans
//	j·Stride + i           with Trans
//
// of F32 if Type is F32 (the zero value), otherwise of U16. Trans thus presents the transpose of what is stored; nothing is moved.
// Stride may be larger than a stored row, for a view of some columns of a wider matrix.
type Mat struct {
	F32    []float32
	U16    []uint16
	Type   Type
	Stride int
	Trans  bool
}

// Term is one product of a sum of products: A (m×K) times B (K×n).
type Term struct {
	A, B Mat
	K    int
}

// Epilogue says what joins the sum of products in the result. The zero value means nothing does.
type Epilogue struct {
	Accumulate bool      // dst += instead of dst =
	Bias       []float32 // nil, or n values added to every row
}

// MatMul computes
//
//	dst = Σ_t A_t·B_t (+ dst) (+ bias)
//
// where dst is m×n with row stride ldd. The terms are one long summed dimension: the product of a low-rank pair, or the gradients of
// several projections of one input, join in the same pass over dst. With no term or K = 0 the sum is zero.
//
// Every element is one chain of additions (fused with the multiplications in the assembly versions): it starts from dst, bias or zero
// and goes through the terms in order, K ascending. So the bits depend neither on the number of workers nor on how the
// rows or columns of dst are divided among calls. Halves are widened exactly.
//
// dst must not overlap an operand; what lies in dst between n and ldd stays as it is. MatMul panics if a slice is too short for its shape. It
// allocates nothing once buffers have their size. A nil pool, or one that is busy, computes on the caller.
func (p *Pool) MatMul(dst []float32, ldd, m, n int, terms []Term, e Epilogue) {
	p.matMul(&tiles.kernel, dst, ldd, m, n, terms, e)
}

// check panics unless every slice holds its matrix.
func check(dst []float32, ldd, m, n int, terms []Term, e Epilogue) {
	if m < 0 || n < 0 || ldd < n || len(dst) < extent(m, n, ldd) {
		panic(fmt.Sprintf("kernel: MatMul: %d×%d result with row stride %d does not fit %d values", m, n, ldd, len(dst)))
	}
	if e.Bias != nil && len(e.Bias) < n {
		panic(fmt.Sprintf("kernel: MatMul: bias has %d values, result has %d columns", len(e.Bias), n))
	}
	for i := range terms {
		t := &terms[i]
		t.A.check(i, "A", m, t.K)
		t.B.check(i, "B", t.K, n)
	}
}

func (a *Mat) check(term int, name string, rows, cols int) {
	if a.Trans {
		rows, cols = cols, rows
	}
	have := len(a.F32)
	if a.Type != F32 {
		have = len(a.U16)
	}
	if a.Type > BF16 || rows < 0 || cols < 0 || (rows > 1 && a.Stride < cols) || have < extent(rows, cols, a.Stride) {
		panic(fmt.Sprintf("kernel: MatMul: term %d: %s stores %d×%d of %v with row stride %d, which does not fit %d values",
			term, name, rows, cols, a.Type, a.Stride, have))
	}
}

// extent returns how many values a row-major matrix spans.
func extent(rows, cols, stride int) int {
	if rows <= 0 || cols <= 0 {
		return 0
	}
	return (rows-1)*stride + cols
}
