//go:build amd64 && !purego

package kernel

import "unsafe"

//go:generate go -C asm run ./matmul -pkg kernel -out ../matmul_amd64.s

// archTiles lists the versions in assembly. Both give the same bits. Where a processor computes 512 bits in two halves,
// AVX2 is first: on Zen 4 AVX-512 reaches 0.95 to 1.0 times its speed in products of wide matrices, and 0.73 times with
// 16 columns, whose tile loads a value for each multiplication.
var archTiles = fastestFirst(
	alternative[tileKernels]{avx512, hasAVX512, tileKernels{14, 32, true, multiplyAVX512, packAVX512, transposeAVX2}},
	alternative[tileKernels]{avx2, hasAVX2, tileKernels{6, 16, false, multiplyAVX2, packAVX2, transposeAVX2}},
)

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
	_ [unsafe.Offsetof(tile{}.aheadBack)]byte  = [192]byte{}
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

// multiply32AVX512 computes a tile of 17 to 32 columns.
//
//go:noescape
func multiply32AVX512(t *tile)

// multiply16AVX512 computes a tile of 1 to 16 columns.
//
//go:noescape
func multiply16AVX512(t *tile)

// packRows…AVX512 copies 32 columns into a panel. stride is in bytes.
//
//go:noescape
func packRowsF32AVX512(dst *float32, src *float32, stride, rows int)

//go:noescape
func packRowsF16AVX512(dst *float32, src *uint16, stride, rows int)

//go:noescape
func packRowsBF16AVX512(dst *float32, src *uint16, stride, rows int)

// packRows…AVX2 copies 16 columns into a panel. stride is in bytes.
//
//go:noescape
func packRowsF32AVX2(dst *float32, src *float32, stride, rows int)

//go:noescape
func packRowsF16AVX2(dst *float32, src *uint16, stride, rows int)

//go:noescape
func packRowsBF16AVX2(dst *float32, src *uint16, stride, rows int)

// packColumns…AVX2 turns 8 stored rows of 4·quads elements into columns of dst. row and stride are the distances
// between rows of dst and of src, in bytes.
//
//go:noescape
func packColumnsF32AVX2(dst *float32, row int, src *float32, stride, quads int)

//go:noescape
func packColumnsF16AVX2(dst *float32, row int, src *uint16, stride, quads int)

//go:noescape
func packColumnsBF16AVX2(dst *float32, row int, src *uint16, stride, quads int)

// pause waits a few hundred cycles without work, as a hint to a processor that shares its core between threads.
func pause()

// cpuid returns what the processor says of itself under a number.
//
//go:noescape
func cpuid(leaf uint32) (eax, ebx, ecx, edx uint32)

func multiplyAVX2(t *tile) {
	switch {
	case t.n == 16:
		multiply16AVX2(t)
	case t.n > 8:
		multiply15AVX2(t)
	default:
		multiply8AVX2(t)
	}
}

func multiplyAVX512(t *tile) {
	switch {
	case t.n > 16:
		multiply32AVX512(t)
	case t.n > 8:
		multiply16AVX512(t)
	default: // a register of AVX-512 would be half empty
		t.aheadTiles = 0 // the other tile fetches in another pattern
		multiply8AVX2(t)
	}
}

// packAVX512 packs full panels in assembly.
func packAVX512(dst []float32, m *Mat, k0, k, j0, n int) {
	from := k0*m.Stride + j0
	switch {
	case n < 32 || k == 0:
		packPanel(dst, 32, m, k0, k, j0, n)
	case m.Type == F32:
		packRowsF32AVX512(&dst[0], &m.F32[from], 4*m.Stride, k)
	case m.Type == F16:
		packRowsF16AVX512(&dst[0], &m.U16[from], 2*m.Stride, k)
	case m.Type == BF16:
		packRowsBF16AVX512(&dst[0], &m.U16[from], 2*m.Stride, k)
	}
}

// packAVX2 packs full panels in assembly.
func packAVX2(dst []float32, m *Mat, k0, k, j0, n int) {
	from := k0*m.Stride + j0
	switch {
	case n < 16 || k == 0:
		packGo(dst, m, k0, k, j0, n)
	case m.Type == F32:
		packRowsF32AVX2(&dst[0], &m.F32[from], 4*m.Stride, k)
	case m.Type == F16:
		packRowsF16AVX2(&dst[0], &m.U16[from], 2*m.Stride, k)
	case m.Type == BF16:
		packRowsBF16AVX2(&dst[0], &m.U16[from], 2*m.Stride, k)
	}
}

// transposeAVX2 transposes eight rows by a multiple of four columns at a time in assembly, and the rest in Go.
func transposeAVX2(dst []float32, row int, m *Mat, i0, rows, j0, cols int) {
	quads := cols / 4
	i := 0
	for ; i+8 <= rows && quads > 0; i += 8 {
		from := (i0+i)*m.Stride + j0
		switch m.Type {
		case F32:
			packColumnsF32AVX2(&dst[i], 4*row, &m.F32[from], 4*m.Stride, quads)
		case F16:
			packColumnsF16AVX2(&dst[i], 4*row, &m.U16[from], 2*m.Stride, quads)
		case BF16:
			packColumnsBF16AVX2(&dst[i], 4*row, &m.U16[from], 2*m.Stride, quads)
		}
	}
	if i > 0 && 4*quads < cols {
		transposeGo(dst[4*quads*row:], row, m, i0, i, j0+4*quads, cols-4*quads)
	}
	if i < rows && cols > 0 {
		transposeGo(dst[i:], row, m, i0+i, rows-i, j0, cols)
	}
}
