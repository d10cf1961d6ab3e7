//go:build amd64 && !purego

package kernel

// pairTiles are the kernels for pairs of BF16, nil where the processor has none.
var pairTiles = func() *pairKernels {
	if !hasBF16 {
		return nil
	}
	return &pairKernels{tileKernels{14, 32, true, multiplyBF16, nil, transposeAVX2}, packPairs}
}()

// multiply32BF16 computes a tile of 17 to 32 columns from pairs of BF16.
//
//go:noescape
func multiply32BF16(t *tile)

// multiply16BF16 computes a tile of 1 to 16 columns from pairs of BF16.
//
//go:noescape
func multiply16BF16(t *tile)

// packPairs… rounds 32 columns of pairs of rows to BF16. stride is in bytes.
//
//go:noescape
func packPairsF32(dst *float32, src *float32, stride, pairs int)

//go:noescape
func packPairsF16(dst *float32, src *uint16, stride, pairs int)

//go:noescape
func packPairsBF16(dst *float32, src *uint16, stride, pairs int)

func multiplyBF16(t *tile) {
	if t.n > 16 {
		multiply32BF16(t)
	} else {
		multiply16BF16(t)
	}
}

func packPairs(dst []float32, m *Mat, k0, pairs, j0 int) {
	from := k0*m.Stride + j0
	switch {
	case pairs == 0:
	case m.Type == F32:
		packPairsF32(&dst[0], &m.F32[from], 4*m.Stride, pairs)
	case m.Type == F16:
		packPairsF16(&dst[0], &m.U16[from], 2*m.Stride, pairs)
	case m.Type == BF16:
		packPairsBF16(&dst[0], &m.U16[from], 2*m.Stride, pairs)
	}
}
