//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go -C asm run ./matmul -pkg kernel -out ../matmul_amd64.s

// archTiles are the versions in assembly.
var archTiles = []alternative[tileKernels]{{"avx2", hasAVX2, tileKernels{multiplyAVX2, packAVX2, widenRow}}}

// The assembly reads the fields of a tile at these offsets.
var (
	_ [unsafe.Offsetof(tile{}.b)]byte          = [24]byte{}
	_ [unsafe.Offsetof(tile{}.from)]byte       = [48]byte{}
	_ [unsafe.Offsetof(tile{}.to)]byte         = [72]byte{}
	_ [unsafe.Offsetof(tile{}.aRow)]byte       = [96]byte{}
	_ [unsafe.Offsetof(tile{}.aCol)]byte       = [104]byte{}
	_ [unsafe.Offsetof(tile{}.bRow)]byte       = [112]byte{}
	_ [unsafe.Offsetof(tile{}.fromRow)]byte    = [120]byte{}
	_ [unsafe.Offsetof(tile{}.toRow)]byte      = [128]byte{}
	_ [unsafe.Offsetof(tile{}.m)]byte          = [136]byte{}
	_ [unsafe.Offsetof(tile{}.n)]byte          = [144]byte{}
	_ [unsafe.Offsetof(tile{}.k)]byte          = [152]byte{}
	_ [unsafe.Offsetof(tile{}.ahead)]byte      = [160]byte{}
	_ [unsafe.Offsetof(tile{}.aheadStep)]byte  = [168]byte{}
	_ [unsafe.Offsetof(tile{}.aheadSkip)]byte  = [176]byte{}
	_ [unsafe.Offsetof(tile{}.aheadTiles)]byte = [184]byte{}
)

// multiply16AVX2 computes a tile of 16 columns.
//
//go:noescape
func multiply16AVX2(t *tile)

// multiply15AVX2 computes a tile of 9 to 15 columns.
//
//go:noescape
func multiply15AVX2(t *tile)

// multiply8AVX2 computes a tile of 1 to 8 columns.
//
//go:noescape
func multiply8AVX2(t *tile)

// packRows…AVX2 copies rows of 16 columns into each of some panels that lie panel bytes apart. stride is in bytes.
//
//go:noescape
func packRowsF32AVX2(dst *float32, panel int, src *float32, stride, rows, panels int)

//go:noescape
func packRowsF16AVX2(dst *float32, panel int, src *uint16, stride, rows, panels int)

//go:noescape
func packRowsBF16AVX2(dst *float32, panel int, src *uint16, stride, rows, panels int)

// packColumns…AVX2 makes 8 stored rows of 4·quads elements columns of a panel. stride is in bytes.
//
//go:noescape
func packColumnsF32AVX2(dst *float32, src *float32, stride, quads int)

//go:noescape
func packColumnsF16AVX2(dst *float32, src *uint16, stride, quads int)

//go:noescape
func packColumnsBF16AVX2(dst *float32, src *uint16, stride, quads int)

// pause spends a few hundred cycles without work, as a hint to a processor that shares its core between threads.
func pause()

func multiplyAVX2(t *tile) {
	switch {
	case t.n == panelCols:
		multiply16AVX2(t)
	case t.n > panelCols/2:
		multiply15AVX2(t)
	default:
		multiply8AVX2(t)
	}
}

// packAVX2 packs whole vectors in assembly and what is left over in Go.
func packAVX2(dst []float32, b *Mat, k0, k, j0, n int) {
	if !b.Trans {
		if n < panelCols {
			packGo(dst, b, k0, k, j0, n)
			return
		}
		from := k0*b.Stride + j0
		switch b.Type {
		case F32:
			packRowsF32AVX2(&dst[0], 0, &b.F32[from], 4*b.Stride, k, 1)
		case F16:
			packRowsF16AVX2(&dst[0], 0, &b.U16[from], 2*b.Stride, k, 1)
		case BF16:
			packRowsBF16AVX2(&dst[0], 0, &b.U16[from], 2*b.Stride, k, 1)
		}
		return
	}
	quads := k / 4
	j := 0
	for ; j+8 <= n && quads > 0; j += 8 {
		from := (j0+j)*b.Stride + k0
		switch b.Type {
		case F32:
			packColumnsF32AVX2(&dst[j], &b.F32[from], 4*b.Stride, quads)
		case F16:
			packColumnsF16AVX2(&dst[j], &b.U16[from], 2*b.Stride, quads)
		case BF16:
			packColumnsBF16AVX2(&dst[j], &b.U16[from], 2*b.Stride, quads)
		}
	}
	packColumns(dst[4*quads*panelCols:], b, k0+4*quads, k-4*quads, j0, 0, j)
	packColumns(dst, b, k0, k, j0, j, n)
}
