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
	if b.term.BF16 && pairTiles != nil && b.term.A.Type == F32 {
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
	if !m.Trans {
		s.packRows(t.b, m, row, k, j, t.n)
		return
	}
	// Columns of B are stored as rows.
	s.pairs = grow(s.pairs, t.k*t.n)
	for c := range t.n {
		s.pairRow(s.pairs[t.k*c:][:t.k], m, j+c, row, k)
	}
	s.view = Mat{F32: s.pairs, Stride: t.k}
	b.kernel.transpose(t.b, b.kernel.cols, &s.view, 0, t.n, 0, t.k)
}

// packRows packs stored rows [k0, k0+k), columns [j0, j0+n), as pairs. A row that is missing for the last pair, and
// columns after n, count as 0.
func (s *scratch) packRows(dst []float32, m *Mat, k0, k, j0, n int) {
	cols, pairs := pairTiles.tile.cols, ceilDiv(k, 2)
	if n == cols && k%2 == 0 {
		pairTiles.pack(dst, m, k0, pairs, j0)
		return
	}
	s.row = grow(s.row, 2*pairs*cols)
	whole := s.row[:2*pairs*cols]
	clear(whole)
	packPanel(whole, cols, m, k0, k, j0, n)
	s.view = Mat{F32: whole, Stride: cols}
	pairTiles.pack(dst, &s.view, 0, pairs, 0)
}

// pairRow rounds k stored values of row i from column j on to pairs. A value that is missing for the last one is 0.
func (s *scratch) pairRow(dst []float32, m *Mat, i, j, k int) {
	halves := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(dst))), 2*len(dst))
	from := i*m.Stride + j
	switch m.Type {
	case BF16:
		copy(halves[:k], m.U16[from:])
	case F16:
		s.row = grow(s.row, k)
		Widen(s.row[:k], m.U16[from:][:k], F16)
		Narrow(halves[:k], s.row[:k], BF16)
	default:
		Narrow(halves[:k], m.F32[from:][:k], BF16)
	}
	clear(halves[k:])
}

// loadPairs is loadA for pairs.
func (b *block) loadPairs(s *scratch, i, rows int) []float32 {
	t, m, k := &s.tile, &b.term.A, b.k1-b.k0
	t.aRow, t.aCol = t.k, 1
	s.a = grow(s.a, rows*t.k)
	if m.Trans { // rows of A are stored as columns
		cols := b.kernel.cols
		s.pairs = grow(s.pairs, t.k*cols)
		for r := 0; r < rows; r += cols {
			n := min(cols, rows-r)
			s.packRows(s.pairs, m, b.k0, k, i+r, n)
			s.view = Mat{F32: s.pairs, Stride: cols}
			b.kernel.transpose(s.a[r*t.k:], t.k, &s.view, 0, t.k, 0, n)
		}
		return s.a
	}
	for r := range rows {
		s.pairRow(s.a[t.k*r:][:t.k], m, i+r, b.k0, k)
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
