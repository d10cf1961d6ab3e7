package kernel

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"unsafe"
)

// pages returns the bytes of a page between two pages that must not be accessed.
func pages(t *testing.T) []byte {
	t.Helper()
	size := syscall.Getpagesize()
	all, err := syscall.Mmap(-1, 0, 3*size, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(all); err != nil {
			t.Error(err)
		}
	})
	page := all[size : 2*size : 2*size]
	if err := syscall.Mprotect(page, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		t.Fatal(err)
	}
	return page
}

// TestNothingOutsideIsTouched runs the functions on slices that begin or end at the border of accessible memory: an
// access outside would end the process.
func TestNothingOutsideIsTouched(t *testing.T) { forEachVectors(t, testNothingOutside) }

func testNothingOutside(t *testing.T) {
	rng := rand.New(rand.NewPCG(27, 28))
	var all [5][]float32
	for k := range all {
		page := pages(t)
		all[k] = unsafe.Slice((*float32)(unsafe.Pointer(&page[0])), len(page)/4)
		copy(all[k], normalSlice(rng, len(all[k])))
	}
	page := pages(t)
	halves := unsafe.Slice((*uint16)(unsafe.Pointer(&page[0])), len(page)/2)
	functions := slicewiseFunctions()
	for n := range 70 {
		for _, atEnd := range []bool{false, true} {
			var x [5][]float32
			half := halves[:n]
			for k := range x {
				x[k] = all[k][:n]
				if atEnd {
					x[k] = all[k][len(all[k])-n:]
				}
			}
			if atEnd {
				half = halves[len(halves)-n:]
			}
			for _, f := range functions {
				f.run(x[4], [][]float32{x[0], x[1], x[2]}[:f.inputs])
			}
			Dot(x[0], x[1])
			Sum(x[0])
			SumSquares(x[0])
			FirstNonFinite(x[0])
			Softmax(x[4], 1)
			rstd := LayerNorm(x[3], x[4], x[0], x[1], x[2], 1e-5)
			LayerNormBackward(x[3], x[0], x[4], x[1], rstd)
			LayerNormParams(x[3], x[4], x[0], x[1])
			rstd = RMSNorm(x[3], x[0], x[1], 1e-5)
			RMSNormBackward(x[3], x[0], x[4], x[1], rstd)
			RMSNormParams(x[3], x[4], x[0], rstd)
			Rotate(x[3], x[0], x[1][:n/2], x[2][:n/2], n%3 == 0)
			if n > 0 {
				CrossEntropyRow(x[3], n/3, atEnd)
				CrossEntropyRow(x[3], n/3, !atEnd)
			}
			AttendOne(x[3], x[0], x[1], x[2], 0, min(1, n), 1, nil, x[4])
			if rows, d := 4, n/4; d > 0 {
				AttendOne(x[3][:d], x[0][:d], x[1], x[2], d, rows, 1, nil, x[4])
			}
			Dropout(x[4], x[0], Key{}, Site{}, 4*n, 0.5)
			DropoutAdd(x[4], x[0], Key{}, Site{}, 4*n, 0.5)
			Scale(x[4], x[4], 0)
			AdamW(x[3], x[0], x[2], x[4], AdamWConfig{LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8}, 1)
			for _, kind := range []Type{F16, BF16} {
				Narrow(half, x[0], kind)
				Widen(x[4], half, kind)
			}
		}
	}
}

// TestDequantizeTouchesNothingOutside widens blocks that begin or end at the border of accessible memory.
func TestDequantizeTouchesNothingOutside(t *testing.T) { forEachVectors(t, testDequantizeOutside) }

func testDequantizeOutside(t *testing.T) {
	from, to := pages(t), pages(t)
	floats := unsafe.Slice((*float32)(unsafe.Pointer(&to[0])), len(to)/4)
	for _, kind := range quantisedTypes() {
		for blocks := 1; blocks*kind.BlockValues() <= len(floats); blocks++ {
			n := blocks * kind.BlockBytes()
			Dequantize(floats[:blocks*kind.BlockValues()], from[:n], kind)
			Dequantize(floats[len(floats)-blocks*kind.BlockValues():], from[len(from)-n:], kind)
		}
	}
}
