package kernel

// quantWindow is the minimum number of columns of a quantised B without Trans that are widened at a time. It is larger
// than a panel, so that each stored row is visited less often.
const quantWindow = 128

// window is a rectangle of a quantised B that has been widened.
type window struct {
	values   []float32
	mat      Mat // of values; kept here because it is passed by reference
	from, to int // columns of B, for a B without Trans
	row, col int // of B, where the rectangle begins
}

// packQuantised is pack for a quantised B: it widens whole blocks and packs from the result.
func (b *block) packQuantised(s *scratch, j int) {
	t, w := &s.tile, &s.wide
	b.widenPanel(s, j)
	if w.mat.Trans {
		b.kernel.transpose(t.b, b.kernel.cols, &w.mat, 0, t.n, w.row, t.k)
		return
	}
	b.kernel.pack(t.b, &w.mat, 0, t.k, j-w.col, t.n)
}

// widenPanel makes the window hold the columns of B from j on, for a panel. Blocks lie along stored rows, which are
// columns of B with Trans; values of a block that the panel does not need are dropped. Without Trans a window serves
// all panels that lie in it.
func (b *block) widenPanel(s *scratch, j int) {
	t, w, m := &s.tile, &s.wide, &b.term.B
	unit := m.Type.BlockValues()
	if m.Trans {
		from := b.k0 / unit * unit
		w.widen(m, j, t.n, from, roundUp(b.k1, unit))
		w.row, w.col = b.k0-from, j
		return
	}
	if j < w.from || j+t.n > w.to {
		w.from = j / unit * unit
		w.to = roundUp(min(w.from+max(unit, quantWindow), b.j1), unit)
		w.widen(m, b.k0, b.k1-b.k0, w.from, w.to)
	}
	w.row, w.col = 0, w.from
}

// widen fills the window with the given stored rows and columns, which are whole blocks.
func (w *window) widen(m *Mat, row, rows, from, to int) {
	width := to - from
	w.values = grow(w.values, rows*width)
	w.mat = Mat{F32: w.values, Stride: width, Trans: m.Trans}
	for i := range rows {
		m.dequantizeRow(w.values[i*width:][:width], row+i, from)
	}
}

// dequantizeRow widens values of stored row i, starting at column from; from begins a block, and dst is whole blocks.
func (a *Mat) dequantizeRow(dst []float32, i, from int) {
	t := a.Type
	dequantize(dst, a.Bytes[t.Bytes(i*a.Stride+from):][:t.Bytes(len(dst))], t)
}
