package kernel

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
	for i := r.i0; i < r.i1; i += blockM {
		t.m = min(blockM, r.i1-i)
		s.loadA(c.kernel, &term.A, i, k0)
		for j := r.j0; j < r.j1; j += panelCols {
			t.n = min(panelCols, r.j1-j)
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
			c.kernel.multiply(t)
		}
	}
	*t = tile{}
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
