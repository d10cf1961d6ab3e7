package kernel

import "unsafe"

// rectangle computes one task's part of dst.
func (c *product) rectangle(task int, s *scratch) {
	i0 := task / c.across * c.rows
	j0 := task % c.across * c.cols
	r := rect{i0, min(i0+c.rows, c.m), j0, min(j0+c.cols, c.n)}
	first := true
	for t := range c.terms {
		term := &c.terms[t]
		parts := ceilDiv(term.K, blockK)
		for part := range parts {
			k0, k1 := part*term.K/parts, (part+1)*term.K/parts
			c.block(s, r, term, k0, k1, first)
			first = false
		}
	}
	if first {
		c.start(r)
	}
}

// rect is rows [i0, i1) and columns [j0, j1) of dst.
type rect struct{ i0, i1, j0, j1 int }

// zeros is the row that sums start from when nothing joins them.
var zeros [panelCols]float32

// start fills a rectangle with what sums start from.
func (c *product) start(r rect) {
	for i := r.i0; i < r.i1; i++ {
		row := c.dst[i*c.ldd+r.j0 : i*c.ldd+r.j1]
		if !c.e.Accumulate {
			clear(row)
		}
		if c.e.Bias != nil {
			for j, b := range c.e.Bias[r.j0:r.j1] {
				row[j] += b
			}
		}
	}
}

// block adds A[:, k0:k1]·B[k0:k1, :] of one term to a rectangle; first says that nothing has been written there yet.
func (c *product) block(s *scratch, r rect, term *Term, k0, k1 int, first bool) {
	accumulate := !first || c.e.Accumulate
	if first && accumulate && c.e.Bias != nil {
		c.start(r)
	}
	t := &s.tile
	t.k = k1 - k0
	packed := term.B.Trans || term.B.Type != F32 || r.i1-r.i0 > 2*panelCols
	if packed {
		s.b = grow(s.b, roundUp(r.j1-r.j0, panelCols)*t.k)
	}
	blocks := ceilDiv(r.i1-r.i0, blockM)
	height := roundUp(ceilDiv(r.i1-r.i0, blocks), 6)
	for i := r.i0; i < r.i1; i += height {
		rows := min(height, r.i1-i)
		t.m = rows
		s.loadA(c.kernel, &term.A, i, k0)
		for j := r.j0; j < r.j1; j += panelCols {
			t.m, t.n = rows, min(panelCols, r.j1-j)
			if packed {
				t.b, t.bRow = s.b[(j-r.j0)*t.k:], panelCols
				if i == r.i0 {
					c.kernel.pack(t.b, &term.B, k0, t.k, j, t.n)
				}
			} else {
				t.b, t.bRow = term.B.F32[k0*term.B.Stride+j:], term.B.Stride
			}
			t.to, t.toRow = c.dst[i*c.ldd+j:], c.ldd
			switch {
			case accumulate:
				t.from, t.fromRow = t.to, t.toRow
			case c.e.Bias != nil:
				t.from, t.fromRow = c.e.Bias[j:], 0
			default:
				t.from, t.fromRow = zeros[:], 0
			}
			t.ahead, t.aheadTiles = nil, 0
			if next := j + panelCols; packed && i == r.i0 && next < r.j1 {
				t.fetch(&term.B, k0, next)
			} else if i+rows < r.i1 {
				t.fetchA(&term.A, i+rows, min(i+rows+height, r.i1), k0, (j-r.j0)/panelCols)
			} else if k1 < term.K {
				t.fetchA(&term.A, r.i0, min(r.i0+height, r.i1), k1, (j-r.j0)/panelCols)
			}
			c.kernel.multiply(t)
		}
	}
	*t = tile{}
}

// fetch arranges that the values of B that the panel from column j on will be packed from come into the cache.
func (t *tile) fetch(b *Mat, k0, j int) {
	size := b.Type.Size()
	at := k0*b.Stride + j
	t.aheadStep, t.aheadTiles = b.Stride*size, 4 // one stored row of the panel per step
	if b.Trans {
		at = j*b.Stride + k0
		t.aheadStep, t.aheadTiles = 4*size, panelCols // along one stored row per tile
		t.aheadSkip = (b.Stride - t.k/4*4) * size
	}
	if b.Type == F32 {
		t.ahead = unsafe.Pointer(&b.F32[at])
	} else {
		t.ahead = unsafe.Pointer(&b.U16[at])
	}
}

// fetchA arranges the same for rows [i0, i1) of A, one row per tile, during the panel of that number.
func (t *tile) fetchA(a *Mat, i0, i1, k0, panel int) {
	if a.Trans || a.Type != F32 {
		return
	}
	tiles := ceilDiv(t.m, 6)
	first := i0 + panel*tiles
	t.aheadTiles = min(tiles, i1-first)
	if t.aheadTiles <= 0 {
		t.aheadTiles = 0
		return
	}
	t.aheadStep = 16
	t.aheadSkip = (a.Stride - t.k/4*4) * 4
	t.ahead = unsafe.Pointer(&a.F32[first*a.Stride+k0])
}

// loadA points the tile at rows [i, i+m) and columns [k0, k0+k) of A, widened into scratch if they are stored as halves.
func (s *scratch) loadA(kernel *tileKernels, a *Mat, i, k0 int) {
	t := &s.tile
	first, rows, cols := i*a.Stride+k0, t.m, t.k
	if a.Trans {
		first, rows, cols = k0*a.Stride+i, t.k, t.m
	}
	stride := a.Stride
	if a.Type == F32 {
		t.a = a.F32[first:]
	} else {
		s.a = grow(s.a, rows*cols)
		for row := range rows {
			kernel.widen(s.a[row*cols:(row+1)*cols], a.U16[first+row*stride:][:cols], a.Type)
		}
		t.a, stride = s.a, cols
	}
	t.aRow, t.aCol = stride, 1
	if a.Trans {
		t.aRow, t.aCol = 1, stride
	}
}

// grow returns a slice of at least that length, the old one if it is long enough. Contents are not kept.
func grow(s []float32, length int) []float32 {
	if len(s) < length {
		return make([]float32, length)
	}
	return s
}
