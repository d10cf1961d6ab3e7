//go:build !race

package kernel

import "testing"

// TestMatMulAllocatesNothing checks operands on the caller's stack, once buffers have grown. It does not run with the
// race detector, which makes sync.Pool drop values at random.
func TestMatMulAllocatesNothing(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	const n = 96
	x, w, y, bias := make([]float32, n*n), make([]float32, n*n), make([]float32, n*n), make([]float32, n)
	q := make([]byte, Q4_0.Bytes(n*n))
	for _, pool := range []*Pool{p, nil} {
		allocs := testing.AllocsPerRun(50, func() {
			pool.MatMul(y, n, n, n, []Term{
				{A: Mat{F32: x, Stride: n}, B: Mat{F32: w, Stride: n, Trans: true}, K: n},
				{A: Mat{F32: x, Stride: n, Trans: true}, B: Mat{F32: w, Stride: n}, K: n},
				{A: Mat{F32: x, Stride: n}, B: Mat{Bytes: q, Type: Q4_0, Stride: n, Trans: true}, K: n},
				{A: Mat{F32: x, Stride: n}, B: Mat{Bytes: q, Type: Q4_0, Stride: n}, K: n},
			}, Epilogue{Bias: bias})
		})
		// The garbage collector may free a buffer, or a buffer may grow on a worker's first task; the average must not show
		// it.
		if allocs >= 1 {
			t.Errorf("%v allocations with %d workers, want none", allocs, pool.Workers())
		}
	}
}

func TestMatVecAllocatesNothing(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	const n, k = 512, 512
	x, y, w, q := make([]float32, 2*k), make([]float32, 2*n), make([]uint16, n*k), make([]byte, Q6_K.Bytes(n*k))
	for _, pool := range []*Pool{p, nil} {
		for _, trans := range []bool{false, true} {
			allocs := testing.AllocsPerRun(50, func() {
				pool.MatVec(y, n, x, k, 2, Mat{U16: w, Type: BF16, Stride: k, Trans: trans}, n, k, x)
				pool.MatVec(y, n, x, k, 2, Mat{Bytes: q, Type: Q6_K, Stride: k, Trans: trans}, n, k, nil)
			})
			if allocs >= 1 {
				t.Errorf("%v allocations with %d workers, transposed %v, want none", allocs, pool.Workers(), trans)
			}
		}
	}
}
