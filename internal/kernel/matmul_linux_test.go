package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// TestMatMulTouchesNothingOutside puts operands and result at the borders of pages that may not be touched.
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
		{1, 1, 1}, {5, 15, 3}, {13, 16, 4}, {7, 17, 9}, {8, 8, 33}, {12, 7, 12}, {31, 30, 31}, {33, 20, 24}, {40, 25, 21}, {8, 100, 8},
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

// moved copies values to the beginning or the end of a page.
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
