package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestMatMulTouchesNothingOutside puts operands and result at the borders of pages that must not be accessed.
func TestMatMulTouchesNothingOutside(t *testing.T) {
	var floats [3][]float32
	var halves [2][]uint16
	for i := range floats {
		page := pages(t)
		floats[i] = unsafe.Slice((*float32)(unsafe.Pointer(&page[0])), len(page)/4)
	}
	for i := range halves {
		page := pages(t)
		halves[i] = unsafe.Slice((*uint16)(unsafe.Pointer(&page[0])), len(page)/2)
	}
	shapes := []struct{ m, n, k int }{
		{1, 1, 1}, {5, 15, 3}, {13, 16, 4}, {7, 17, 9}, {8, 8, 33}, {12, 7, 12}, {31, 30, 31}, {33, 20, 24},
		{40, 25, 21}, {8, 100, 8},
		{9, 98, 10},
	}
	forEachTile(t, func(t *testing.T, k *tileKernels) {
		rng := rand.New(rand.NewPCG(9, 10))
		for _, s := range shapes {
			for orientation := range 4 {
				for _, kind := range []Type{F32, F16, BF16} {
					for _, atEnd := range []bool{false, true} {
						transA, transB := orientation&1 != 0, orientation&2 != 0
						name := fmt.Sprintf("%d×%d×%d %v, transposed %v %v, at the end %v", s.m, s.k, s.n, kind, transA, transB, atEnd)
						c := newCase(rng, s.m, s.n, []int{s.k}, kind, kind, transA, transB, 0, Epilogue{})
						for i, m := range []*Mat{&c.terms[0].A, &c.terms[0].B} {
							m.F32 = moved(floats[i], m.F32, atEnd)
							m.U16 = moved(halves[i], m.U16, atEnd)
						}
						dst := moved(floats[2], c.dst, atEnd)
						(*Pool)(nil).matMul(k, dst, c.ldd, c.m, c.n, c.terms, c.e)
						t.Run(name, func(t *testing.T) { c.verify(t, dst) })
					}
				}
			}
		}
	})
}

// TestMatVecTouchesNothingOutside puts the operands and the result of MatVec at the borders of pages that must not be
// accessed.
func TestMatVecTouchesNothingOutside(t *testing.T) {
	var floats [3][]float32
	for i := range floats {
		page := pages(t)
		floats[i] = unsafe.Slice((*float32)(unsafe.Pointer(&page[0])), len(page)/4)
	}
	blocks := pages(t)
	halves := unsafe.Slice((*uint16)(unsafe.Pointer(&blocks[0])), len(blocks)/2)
	rng := rand.New(rand.NewPCG(49, 50))
	for _, kind := range Types() {
		for _, s := range []struct{ m, n, k int }{{1, 1, 1}, {1, 5, 15}, {2, 4, 16}, {3, 7, 24}, {1, 33, 9}, {2, 16, 31}} {
			for _, trans := range []bool{false, true} {
				for _, atEnd := range []bool{false, true} {
					c := newVecCase(rng, s.m, s.n, s.k, kind, trans, true)
					if !kind.Quantised() { // without gaps, so that a page holds it
						c.w, _ = randomMat(rng, s.n, s.k, 0, kind, trans)
					}
					if len(c.w.Bytes) > len(blocks) {
						continue
					}
					w := Mat{
						F32: moved(floats[0], c.w.F32, atEnd), U16: moved(halves, c.w.U16, atEnd), Bytes: moved(blocks, c.w.Bytes, atEnd),
						Type: kind, Stride: c.w.Stride, Trans: trans,
					}
					dst := moved(floats[1], make([]float32, extent(s.m, s.n, s.n)), atEnd)
					x := moved(floats[2], c.x, atEnd)
					(*Pool)(nil).MatVec(dst, s.n, x, c.ldx, s.m, w, s.n, s.k, c.bias)
				}
			}
		}
	}
}

// moved copies values to the beginning or the end of a page and returns the copy.
func moved[T any](page, values []T, atEnd bool) []T {
	if values == nil {
		return nil
	}
	to := page[:len(values):len(values)]
	if atEnd {
		to = page[len(page)-len(values):]
	}
	copy(to, values)
	return to
}
