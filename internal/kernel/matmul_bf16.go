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
	s.halves = growHalves(s.halves, 2*t.k*t.n)
	for c := range t.n {
		to := s.halves[2*t.k*c:][:2*t.k]
		m.narrowRow(s, to[:k], j+c, row)
		if k%2 == 1 {
			to[k] = 0
		}
	}
	s.view = Mat{F32: pairsIn(s.halves), Stride: t.k}
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
