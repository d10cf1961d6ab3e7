package kernel

import "unsafe"

// block is one step of a task: to rows [i0, i1) and columns [j0, j1) of dst it adds A[:, k0:k1]·B[k0:k1, :] of one
// term.
type block struct {
	*product
	dst            []float32 // element (i, j) of the result is at i·ldd + j − origin
	ldd, origin    int
	e              Epilogue
	term           *Term
	kernel         *tileKernels // the version for term
	paired         bool         // it is the one for pairs of BF16
	i0, i1, j0, j1 int
	k0, k1         int
	first          bool // nothing has been written to this part of dst
	height         int  // rows of A at a time
}

// zeros is the row that sums start from if neither dst nor a bias is added.
var zeros [maxCols]float32

// rectangle computes one task's part of dst.
func (c *product) rectangle(task int, s *scratch) {
	i0, j0 := task/c.across*c.rows, task%c.across*c.cols
	b := block{
		product: c, dst: c.dst, ldd: c.ldd, e: c.e,
		i0: i0, i1: min(i0+c.rows, c.m), j0: j0, j1: min(j0+c.cols, c.n), first: true,
	}
	height, most := b.i1-b.i0, blockM
	if c.turned {
		b.turnedIn(s)
		most = turnedHeight
	}
	for i := range c.terms {
		b.term = &c.terms[i]
		b.use()
		most := most - most%b.kernel.rows
		b.height = roundUp(ceilDiv(height, ceilDiv(height, most)), b.kernel.rows)
		unit := b.depthUnit()
		units, parts := ceilDiv(b.term.K, unit), ceilDiv(b.term.K, max(unit, b.depth()/unit*unit))
		for part := range parts {
			b.k0, b.k1 = part*units/parts*unit, min((part+1)*units/parts*unit, b.term.K)
			b.run(s)
			b.first = false
		}
	}
	if b.first {
		b.start()
	}
	if c.turned {
		b.turnedOut()
	}
}

// depth returns how much of the summed dimension a block may take. If A is read across its stored rows, short blocks
// keep those rows in the first-level cache until all of their values have been read. A long sum with a small result,
// such as the gradient of a low-rank factor, reads both operands once from memory: blocks of a few rows let the
// processor prefetch each row while the result stays in the cache.
func (b *block) depth() int {
	switch {
	case b.paired:
		return 2 * blockK
	case !b.term.A.Trans || min(b.m, b.n) > skinny:
		return blockK
	case b.term.K <= longK:
		return shortBlockK
	}
	return streamK
}

// depthUnit returns the number that block borders in the summed dimension should be a multiple of, so that no quantised
// block is widened twice and no pair is parted.
func (b *block) depthUnit() int {
	unit := 1
	if b.term.B.Trans {
		unit = b.term.B.Type.BlockValues()
	}
	if b.paired && unit == 1 {
		return 2
	}
	return unit
}

// start sets the rectangle to the values that its sums start from.
func (b *block) start() {
	for i := b.i0; i < b.i1; i++ {
		row := b.dst[i*b.ldd+b.j0-b.origin:][:b.j1-b.j0]
		if !b.e.Accumulate {
			clear(row)
		}
		if b.e.Bias != nil {
			for j, v := range b.e.Bias[b.j0:b.j1] {
				row[j] += v
			}
		}
	}
}

// run multiplies b.height rows of A at a time with all panels of B. It packs each panel when the first rows of A reach
// it; meanwhile the tiles fetch the source of the next panel.
func (b *block) run(s *scratch) {
	if b.first && b.e.Accumulate && b.e.Bias != nil {
		b.start()
	}
	t, tileRows, panelCols := &s.tile, b.kernel.rows, b.kernel.cols
	t.k = b.k1 - b.k0
	if b.paired {
		t.k = ceilDiv(t.k, 2)
	}
	s.wide.from, s.wide.to = 0, 0
	packed := b.term.B.Trans || b.term.B.Type != F32 || b.i1-b.i0 > unpacked || b.term.BF16
	if packed {
		s.b = grow(s.b, roundUp(b.j1-b.j0, panelCols)*t.k)
	}
	for i := b.i0; i < b.i1; i += b.height {
		rows := min(b.height, b.i1-i)
		a := b.loadA(s, i, rows)
		ahead := b.rowsAfter(i + rows)
		for j := b.j0; j < b.j1; j += panelCols {
			t.n = min(panelCols, b.j1-j)
			fetching := 0 // rows whose tiles fetch the next panel of B; the tiles of the other rows fetch A
			if packed {
				t.b, t.bRow = s.b[(j-b.j0)*t.k:], panelCols
				if i == b.i0 {
					b.pack(s, j)
					fetching = min(rows, tileRows*b.fetchPanel(t, j+panelCols))
					b.multiply(t, a, i, fetching, j)
				}
			} else {
				t.b, t.bRow = b.term.B.F32[b.k0*b.term.B.Stride+j:], b.term.B.Stride
			}
			if fetching < rows {
				b.fetch(&ahead, t, ceilDiv(rows-fetching, tileRows))
				b.multiply(t, a[fetching*t.aRow:], i+fetching, rows-fetching, j)
			}
		}
	}
	*t = tile{}
}

// pack fills the tile's panel with the columns of B from j on.
func (b *block) pack(s *scratch, j int) {
	t := &s.tile
	switch {
	case b.paired:
		b.packPairs(s, j)
		return
	case b.term.B.Type.Quantised():
		b.packQuantised(s, j)
	case b.term.B.Trans:
		b.kernel.transpose(t.b, b.kernel.cols, &b.term.B, j, t.n, b.k0, t.k)
	default:
		b.kernel.pack(t.b, &b.term.B, b.k0, t.k, j, t.n)
	}
	if b.term.BF16 {
		roundBF16(t.b[:t.k*b.kernel.cols])
	}
}

// multiply runs the tile on m rows of a, which give rows i, i+1, … of dst, and on the panel whose first column is j.
func (b *block) multiply(t *tile, a []float32, i, m, j int) {
	if m == 0 {
		return
	}
	t.a, t.m = a, m
	t.to, t.toRow = b.dst[i*b.ldd+j-b.origin:], b.ldd
	switch {
	case b.e.Accumulate || !b.first:
		t.from, t.fromRow = t.to, t.toRow
	case b.e.Bias != nil:
		t.from, t.fromRow = b.e.Bias[j:], 0
	default:
		t.from, t.fromRow = zeros[:], 0
	}
	b.kernel.multiply(t)
}

// fetchPanel makes the next tiles fetch the source of the panel that begins at column j, and returns how many tiles
// that takes.
func (b *block) fetchPanel(t *tile, j int) int {
	t.aheadTiles = 0
	m := &b.term.B
	if j >= b.j1 || m.Type.Quantised() || b.paired { // quantised blocks are read in the order of memory anyway
		return 0
	}
	size := m.Type.BlockBytes()
	at := b.k0*m.Stride + j
	if m.Trans {
		at = j*m.Stride + b.k0
		t.aheadTiles = b.alongRows(t, min(b.kernel.cols, b.j1-j), m.Stride, size)
	} else {
		b.acrossRows(t, m.Stride*size, size*b.kernel.cols)
	}
	if m.Type == F32 {
		t.ahead = unsafe.Pointer(&m.F32[at])
	} else {
		t.ahead = unsafe.Pointer(&m.U16[at])
	}
	return t.aheadTiles
}

// alongRows makes tiles fetch stored rows, one or two rows per tile, and returns how many tiles that takes.
func (b *block) alongRows(t *tile, rows, stride, size int) (tiles int) {
	if b.kernel.pairs {
		t.aheadStep, t.aheadBack = stride*size, (2*fetchEvery-stride)*size
		t.aheadSkip = (2*stride - t.k/fetchEvery/2*2*fetchEvery) * size
		if t.k/fetchEvery%2 == 1 { // the last turn ends in the second row
			t.aheadSkip -= stride * size
		}
		return ceilDiv(rows, 2)
	}
	t.aheadStep, t.aheadSkip = fetchEvery*size, (stride-t.k/fetchEvery*fetchEvery)*size
	return rows
}

// acrossRows makes tiles fetch the columns of a panel out of stored rows. The columns of a row are bytes wide: a cache
// line or two, or less.
func (b *block) acrossRows(t *tile, stride, bytes int) {
	const line = 64
	t.aheadTiles, t.aheadStep, t.aheadBack, t.aheadSkip = fetchEvery, stride, stride, 0
	if b.kernel.pairs && bytes > line {
		t.aheadTiles, t.aheadStep, t.aheadBack = 2*fetchEvery, line, stride-line
		if t.k/fetchEvery%2 == 1 {
			t.aheadSkip = stride - line
		}
	}
}

// rowsAhead are rows of a stored A that tiles may fetch for the block that follows, one row per tile.
type rowsAhead struct {
	a      []float32 // from the first wanted value on
	rows   int
	stride int
}

// rowsAfter returns the rows that are needed after those before row i: the next rows of this block, or the first rows
// of the next block of this term.
func (b *block) rowsAfter(i int) rowsAhead {
	k := b.k0
	if i >= b.i1 {
		i, k = b.i0, b.k1
	}
	m := &b.term.A
	if m.Trans || m.Type != F32 || k >= b.term.K || b.paired {
		return rowsAhead{}
	}
	return rowsAhead{m.F32[i*m.Stride+k:], min(b.height, b.i1-i), m.Stride}
}

// fetch makes the given number of tiles fetch rows of A, as long as there are any.
func (b *block) fetch(r *rowsAhead, t *tile, tiles int) {
	t.aheadTiles = 0
	if r.rows == 0 {
		return
	}
	t.ahead = unsafe.Pointer(&r.a[0])
	t.aheadTiles = min(tiles, b.alongRows(t, r.rows, r.stride, 4))
	done := t.aheadTiles
	if b.kernel.pairs {
		done = min(2*done, r.rows)
	}
	r.rows -= done
	if r.rows > 0 {
		r.a = r.a[done*r.stride:]
	}
}

// loadA returns rows of A from i on, with columns from k0 on, and sets their strides in the tile. It widens F16 and
// BF16 into scratch. For a wide result it also copies to scratch a matrix that is stored transposed, or whose rows are
// a multiple of 4 KiB apart: such rows would all compete for the same few places in the first-level cache.
func (b *block) loadA(s *scratch, i, rows int) []float32 {
	t, m := &s.tile, &b.term.A
	wide := b.j1-b.j0 > wideResult
	switch {
	case b.paired:
		return b.loadPairs(s, i, rows)
	case b.term.BF16: // a copy, which is rounded
	case m.Type == F32 && !m.Trans && !(wide && m.Stride%1024 == 0):
		t.aRow, t.aCol = m.Stride, 1
		return m.F32[i*m.Stride+b.k0:]
	case m.Type == F32 && m.Trans && !wide:
		t.aRow, t.aCol = 1, m.Stride
		return m.F32[b.k0*m.Stride+i:]
	}
	s.a = grow(s.a, rows*t.k)
	t.aRow, t.aCol = t.k, 1
	if b.term.BF16 {
		defer roundBF16(s.a[:rows*t.k])
	}
	if m.Trans {
		b.kernel.transpose(s.a, t.k, m, b.k0, t.k, i, rows)
		return s.a
	}
	for row := range rows {
		to, from := s.a[row*t.k:][:t.k], (i+row)*m.Stride+b.k0
		if m.Type == F32 {
			copy(to, m.F32[from:])
		} else {
			Widen(to, m.U16[from:][:t.k], m.Type)
		}
	}
	return s.a
}

// grow returns a slice of at least the given length: s if it is long enough, otherwise a new one. Contents are not
// kept.
func grow(s []float32, length int) []float32 {
	if len(s) < length {
		return make([]float32, length)
	}
	return s
}
