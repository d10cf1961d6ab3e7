package kernel

import "unsafe"

// pairKernels multiply pairs of BF16 and add the products up in float32, in one instruction. An element of their A and
// of their panels is two values that follow each other in the summed dimension, in the 32 bits of a float32.
type pairKernels struct {
	tile tileKernels // without pack; transpose moves 32 bits
	// pack rounds stored rows [k0, k0+2·pairs), columns [j0, j0+cols), to rows of pairs.
	pack func(dst []float32, m *Mat, k0, pairs, j0 int)
}

// use makes the block compute its present term with the version that the term asks for.
func (b *block) use() {
	b.kernel, b.paired = b.product.kernel, false
	if b.term.BF16 && pairTiles != nil && !b.term.A.Trans && b.term.A.Type == F32 {
		b.kernel, b.paired = &pairTiles.tile, true
	}
}

// packPairs is pack for pairs: it fills the tile's panel with the columns of B from j on.
func (b *block) packPairs(s *scratch, j int) {
	t, m := &s.tile, &b.term.B
	row, k := b.k0, b.k1-b.k0
	if m.Type.Quantised() {
		b.widenPanel(s, j)
		m, row, j = &s.wide.mat, s.wide.row, j-s.wide.col
	}
	if !m.Trans && !m.Type.Quantised() && t.n == b.kernel.cols && k%2 == 0 {
		pairTiles.pack(t.b, m, row, t.k, j)
		return
	}
	// Rows of 2·pairs values: columns of B that are stored as rows. What is missing is 0.
	s.halves = growHalves(s.halves, 2*t.k*t.n)
	rows := s.halves[:2*t.k*t.n]
	clear(rows)
	for c := range t.n {
		to := rows[2*t.k*c:][:k]
		if m.Trans {
			m.narrowRow(s, to, j+c, row)
			continue
		}
		for i := range to { // the last columns only
			one := [1]float32{m.at((row+i)*m.Stride + j + c)}
			Narrow(to[i:i+1], one[:], BF16)
		}
	}
	view := Mat{F32: pairsIn(rows), Stride: t.k}
	b.kernel.transpose(t.b, b.kernel.cols, &view, 0, t.n, 0, t.k)
}

// narrowRow rounds stored values of row i from column j on to BF16.
func (a *Mat) narrowRow(s *scratch, dst []uint16, i, j int) {
	from := i*a.Stride + j
	switch a.Type {
	case BF16:
		copy(dst, a.U16[from:])
	case F16:
		s.row = grow(s.row, len(dst))
		Widen(s.row[:len(dst)], a.U16[from:][:len(dst)], F16)
		Narrow(dst, s.row[:len(dst)], BF16)
	default:
		Narrow(dst, a.F32[from:][:len(dst)], BF16)
	}
}

// loadPairs is loadA for pairs.
func (b *block) loadPairs(s *scratch, i, rows int) []float32 {
	t, m, k := &s.tile, &b.term.A, b.k1-b.k0
	t.aRow, t.aCol = t.k, 1
	s.a = grow(s.a, rows*t.k)
	halves := halvesIn(s.a)
	for r := range rows {
		to := halves[2*t.k*r:][:2*t.k]
		Narrow(to[:k], m.F32[(i+r)*m.Stride+b.k0:][:k], BF16)
		if k%2 == 1 {
			to[k] = 0
		}
	}
	return s.a
}

// roundBF16 rounds float32 to the values that BF16 has, for versions without pairs.
func roundBF16(x []float32) {
	var halves [256]uint16
	for len(x) > 0 {
		n := min(len(x), len(halves))
		Narrow(halves[:n], x[:n], BF16)
		Widen(x[:n], halves[:n], BF16)
		x = x[n:]
	}
}

// halvesIn and pairsIn show the memory of a slice as halves of its elements, and as pairs of them.
func halvesIn(x []float32) []uint16 {
	return unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(x))), 2*len(x))
}

func pairsIn(x []uint16) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/2)
}

// growHalves is grow for halves, with the alignment of float32.
func growHalves(s []uint16, length int) []uint16 {
	if len(s) < length {
		return halvesIn(make([]float32, ceilDiv(length, 2)))
	}
	return s
}
