package kernel

import "fmt"

// Mat is a view of a matrix in memory, which the caller owns. Element (i, j) is at index
//
//	i·Stride + j           without Trans
//	j·Stride + i           with Trans
//
// of F32 if Type is F32 (the zero value), and of U16 for F16 and BF16. With Trans, Mat thus presents the transpose of
// the stored matrix without moving anything. Stride may be larger than a stored row, for a view of some columns of a
// wider matrix.
//
// A quantised matrix is in Bytes. Its blocks lie along stored rows, and Stride, which counts values, is a multiple of
// the block size. Only the B of a product may be quantised.
type Mat struct {
	F32    []float32
	U16    []uint16
	Bytes  []byte
	Type   Type
	Stride int
	Trans  bool
}

// Term is one product of a sum of products: A (m×K) times B (K×n).
type Term struct {
	A, B Mat
	K    int
	// BF16 rounds the values of A and B to BF16 before they are multiplied. Products are added up in float32 all the same.
	// A processor with instructions for that takes about half the time; there the order of the sums is another, and
	// numbers below the normal range count as 0.
	BF16 bool
}

// Epilogue says what MatMul adds to the sum of products. The zero value adds nothing.
type Epilogue struct {
	Accumulate bool      // dst += instead of dst =
	Bias       []float32 // nil, or n values added to every row
}

// MatMul computes
//
//	dst = Σ_t A_t·B_t (+ dst) (+ bias)
//
// where dst is m×n with row stride ldd. The terms act as one long summed dimension, so the product of a low-rank pair,
// or the gradients of several projections of one input, are added in the same pass over dst. Without terms, or with K =
// 0, the sum is zero.
//
// Every element is one chain of additions (fused with the multiplications in the assembly versions): it starts from
// dst, bias or zero and takes the terms in order, with ascending k. So the bits depend neither on the number of workers
// nor on how the rows or columns of dst are divided among calls. F16 and BF16 values are widened exactly, and a
// quantised B gives the same bits as the values that [Dequantize] makes of it.
//
// dst must not overlap an operand; elements of dst between columns n and ldd keep their values. MatMul panics if a
// slice is too short for its shape. It allocates nothing once its buffers have grown to their size. With a nil or busy
// pool, the calling goroutine computes everything.
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
	if !a.holds(rows, cols) || name == "A" && a.Type.Quantised() {
		panic(fmt.Sprintf("kernel: MatMul: term %d: %s stores %d×%d of %v with row stride %d, "+
			"which does not fit %d values, %d halves and %d bytes",
			term, name, rows, cols, a.Type, a.Stride, len(a.F32), len(a.U16), len(a.Bytes)))
	}
}

// holds reports whether the slice of the matrix's type holds the given number of stored rows and columns.
func (a *Mat) holds(rows, cols int) bool {
	if a.Type >= typeCount || rows < 0 || cols < 0 || rows > 1 && a.Stride < cols {
		return false
	}
	switch a.Type {
	case F32:
		return len(a.F32) >= extent(rows, cols, a.Stride)
	case F16, BF16:
		return len(a.U16) >= extent(rows, cols, a.Stride)
	}
	values, bytes := a.Type.BlockValues(), a.Type.BlockBytes()
	return (rows < 2 || a.Stride%values == 0) && len(a.Bytes) >= extent(rows, ceilDiv(cols, values), a.Stride/values)*bytes
}

// extent returns the number of values that a row-major matrix spans.
func extent(rows, cols, stride int) int {
	if rows <= 0 || cols <= 0 {
		return 0
	}
	return (rows-1)*stride + cols
}
