package kernel

import "unsafe"

// tile holds the arguments of one call of a version's inner loop: m×k of A times one panel, k×n, of B. Assembly reads
// its fields.
//
//	to(i, j) = from(i, j) + Σ_k a(i, k)·b(k, j)
//
// The slices begin at the first element of each matrix; from may be to, or one row for all rows if fromRow is 0.
type tile struct {
	a          []float32 // (i, k) at i·aRow + k·aCol
	b          []float32 // (k, j) at k·bRow + j
	from       []float32 // (i, j) at i·fromRow + j
	to         []float32 // (i, j) at i·toRow + j
	aRow, aCol int
	bRow       int
	fromRow    int
	toRow      int
	m, n, k    int // n <= cols; assembly counts m down

	// Prefetching: after every fetchEvery values of k, assembly touches the cache line at ahead and advances ahead by
	// aheadStep bytes, and by aheadSkip more at the end of each tile; after aheadTiles tiles it stops. A version with
	// pairs advances by aheadStep and aheadBack by turns, and so fetches two rows side by side.
	ahead                                       unsafe.Pointer
	aheadStep, aheadSkip, aheadTiles, aheadBack int
}

// maxCols is the largest number of columns of a version's panels.
const maxCols = 32

// tileKernels holds the parts of a product in one version.
type tileKernels struct {
	rows, cols int  // of a full tile; cols is also the number of columns of a packed panel, at most maxCols
	pairs      bool // a tile fetches two places by turns
	multiply   func(t *tile)
	// pack copies stored rows [k0, k0+k), columns [j0, j0+n), to rows of cols, widened. Columns of dst past n keep
	// their values.
	pack func(dst []float32, m *Mat, k0, k, j0, n int)
	// transpose writes stored element (i0+i, j0+j) to dst[j·row+i], widened.
	transpose func(dst []float32, row int, m *Mat, i0, rows, j0, cols int)
}

// tileAlternatives lists the versions, the fastest first.
var tileAlternatives = append(archTiles,
	alternative[tileKernels]{plain, true, tileKernels{6, 16, false, multiplyGo, packGo, transposeGo}})

// tiles is the version in use.
var tiles = choose(tileAlternatives)

// multiplyGo is the tile in plain Go: it keeps 2×4 running sums in registers, and computes the rest one by one.
func multiplyGo(t *tile) {
	for i := 0; i < t.m; i += 2 {
		j := 0
		if i+2 <= t.m {
			for ; j+4 <= t.n; j += 4 {
				t.sum2x4(i, j)
			}
		}
		for ; j < t.n; j++ {
			for row := i; row < min(i+2, t.m); row++ {
				t.sum1x1(row, j)
			}
		}
	}
}

// The conversions of products to float32 below forbid fused multiply-add, so that the bits are the same on every
// processor.

func (t *tile) sum1x1(i, j int) {
	sum := t.from[i*t.fromRow+j]
	for k := range t.k {
		sum += float32(t.a[i*t.aRow+k*t.aCol] * t.b[k*t.bRow+j])
	}
	t.to[i*t.toRow+j] = sum
}

func (t *tile) sum2x4(i, j int) {
	from0, from1 := t.from[i*t.fromRow+j:][:4], t.from[(i+1)*t.fromRow+j:][:4]
	s00, s01, s02, s03 := from0[0], from0[1], from0[2], from0[3]
	s10, s11, s12, s13 := from1[0], from1[1], from1[2], from1[3]
	a, step, row := t.a, t.aCol, t.bRow
	at0, at1, bt := i*t.aRow, (i+1)*t.aRow, j
	for range t.k {
		b := t.b[bt : bt+4 : bt+4]
		a0, a1 := a[at0], a[at1]
		s00 += float32(a0 * b[0])
		s10 += float32(a1 * b[0])
		s01 += float32(a0 * b[1])
		s11 += float32(a1 * b[1])
		s02 += float32(a0 * b[2])
		s12 += float32(a1 * b[2])
		s03 += float32(a0 * b[3])
		s13 += float32(a1 * b[3])
		at0, at1, bt = at0+step, at1+step, bt+row
	}
	to0, to1 := t.to[i*t.toRow+j:][:4], t.to[(i+1)*t.toRow+j:][:4]
	to0[0], to0[1], to0[2], to0[3] = s00, s01, s02, s03
	to1[0], to1[1], to1[2], to1[3] = s10, s11, s12, s13
}
