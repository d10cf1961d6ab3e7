package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// vecCase is a product of a few rows and a matrix, with the result and its tolerance.
type vecCase struct {
	m, n, k    int
	x, bias    []float32
	ldx, ldd   int
	w          Mat
	want, size []float64
}

func newVecCase(rng *rand.Rand, m, n, k int, kind Type, trans, bias bool) *vecCase {
	c := &vecCase{m: m, n: n, k: k, ldx: k + 3, ldd: n + 2, want: make([]float64, m*n), size: make([]float64, m*n)}
	c.x = normalSlice(rng, extent(m, k, c.ldx))
	var values func(i, j int) float32 // of W
	if kind.Quantised() {
		// As B of a product the matrix would be k×n. So W without Trans is stored like B with Trans.
		q, wide := quantisedMat(rng, kind, k, n, !trans)
		q.Trans = trans
		c.w = q
		values = func(i, j int) float32 {
			if trans {
				return wide.F32[j*wide.Stride+i]
			}
			return wide.F32[i*wide.Stride+j]
		}
	} else {
		var v []float32
		c.w, v = randomMat(rng, n, k, 5, kind, trans)
		values = func(i, j int) float32 { return v[i*k+j] }
	}
	if bias {
		c.bias = biasFor(n)
	}
	for r := range m {
		for i := range n {
			at := r*n + i
			if bias {
				c.want[at], c.size[at] = float64(c.bias[i]), math.Abs(float64(c.bias[i]))
			}
			for j := range k {
				p := float64(c.x[r*c.ldx+j]) * float64(values(i, j))
				c.want[at] += p
				c.size[at] += math.Abs(p)
			}
		}
	}
	return c
}

// run computes m rows from r0 on and returns them without gaps.
func (c *vecCase) run(t *testing.T, p *Pool, r0, m int) []float32 {
	t.Helper()
	dst := fence(make([]float32, extent(m, c.n, c.ldd)), m)
	for i := range dst.data {
		dst.data[i] = fenceValue
	}
	p.MatVec(dst.data, c.ldd, c.x[min(len(c.x), r0*c.ldx):], c.ldx, m, c.w, c.n, c.k, c.bias)
	dst.check(t, "MatVec")
	var got []float32
	for r := range m {
		if r > 0 {
			for _, v := range dst.data[(r-1)*c.ldd+c.n : r*c.ldd] {
				if v != fenceValue {
					t.Fatal("the gap between rows of dst was written")
				}
			}
		}
		got = append(got, dst.data[r*c.ldd:][:c.n]...)
	}
	return got
}

// TestMatVec compares with float64, and checks that bits depend neither on the number of rows nor on the workers.
func TestMatVec(t *testing.T) {
	sizes := []struct{ m, n, k int }{
		{1, 1, 1}, {2, 3, 7}, {1, 5, 8}, {3, 4, 9}, {1, 13, 16}, {2, 9, 23}, {1, 8, 24}, {5, 30, 40}, {2, 300, 33},
		{1, 64, 0},
		{3, 700, 576}, {8, 33, 300}, {6, 19, 256}, {1, vecCols + 70, 30}, {1, 9, vecWide + 9},
	}
	rng := rand.New(rand.NewPCG(45, 46))
	p := NewPool(3)
	defer p.Close()
	for _, kind := range Types() {
		for _, s := range sizes {
			for _, trans := range []bool{false, true} {
				c := newVecCase(rng, s.m, s.n, s.k, kind, trans, s.n%2 == 0)
				t.Run(fmt.Sprintf("%d×%d×%d %v, transposed %v", s.m, s.k, s.n, kind, trans), func(t *testing.T) {
					got := c.run(t, nil, 0, s.m)
					for i, want := range c.want {
						if tolerance := c.size[i] * 0x1p-24 * float64(s.k+2); !(math.Abs(float64(got[i])-want) <= tolerance) {
							t.Fatalf("element %d is %v, want %v ± %g", i, got[i], want, tolerance)
						}
					}
					sameBits(t, "three workers", c.run(t, p, 0, s.m), got)
					for r := range s.m {
						sameBits(t, fmt.Sprintf("row %d alone", r), c.run(t, nil, r, 1), got[r*s.n:(r+1)*s.n])
					}
				})
			}
		}
	}
}

// TestDotsPlain compares the plain Go functions with float64 for every type and every remainder.
func TestDotsPlain(t *testing.T) {
	rng := rand.New(rand.NewPCG(47, 48))
	for _, kind := range []Type{F32, F16, BF16} {
		for k := 1; k < 140; k++ {
			c := newVecCase(rng, 1, 3, k, kind, false, false)
			got := make([]float32, 3)
			dotsGeneric(got, c.x[:k], &c.w, 0)
			for i, want := range c.want {
				if !(math.Abs(float64(got[i])-want) <= c.size[i]*0x1p-24*float64(k+2)) {
					t.Fatalf("%v, k %d: %v, want %v", kind, k, got[i], want)
				}
			}
		}
	}
	for n := range 40 {
		var x [5][]float32
		for i := range x {
			x[i] = normalSlice(rng, n)
		}
		s := [4]float32{0.5, -1.5, 2, 0.25}
		for version, f := range versions(addScaled4, addScaled4Generic) {
			dst := fence(x[4], n%9)
			f(dst.data, x[0], x[1], x[2], x[3], &s)
			want, size := wide(x[4]), 0.0
			for i := range want {
				for j, f := range s {
					want[i] += float64(f) * float64(x[j][i])
				}
				size = max(size, math.Abs(want[i]))
			}
			mustBeNear(t, "addScaled4 "+version, dst.data, want, 2e-6*(size+1))
			dst.check(t, "addScaled4")
		}
	}
}

// TestDotsQuantised checks that inner products that widen as they go give the bits of widening first.
func TestDotsQuantised(t *testing.T) {
	rng := rand.New(rand.NewPCG(55, 56))
	ran := 0
	for _, kind := range quantisedTypes() {
		for _, blocks := range []int{1, 2, 3, 18} {
			for n := 1; n < 8; n++ {
				k := blocks * kind.BlockValues()
				q, wide := quantisedMat(rng, kind, k, n+1, true)
				x := normalSlice(rng, k)
				got, want := fence(make([]float32, n), n), make([]float32, n)
				if !dotsQuantised(got.data, x, &q, 1) {
					continue
				}
				ran++
				dots(want, x, &wide, 1)
				sameBits(t, fmt.Sprintf("%v, %d rows of %d", kind, n, k), got.data, want)
				got.check(t, kind.String())
			}
		}
	}
	t.Logf("%d cases have kernels", ran)
}

// TestMatVecNonFinite checks that every element that depends on NaN or infinity shows it, and that 0·∞ gives NaN.
func TestMatVecNonFinite(t *testing.T) {
	const n, k = 21, 19
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		for _, trans := range []bool{false, true} {
			w := Mat{F32: make([]float32, n*k), Stride: k, Trans: trans}
			at := 7*k + 11
			if trans {
				w.Stride, at = n, 11*n+7
			}
			w.F32[at] = bad
			dst, x := make([]float32, n), make([]float32, k)
			(*Pool)(nil).MatVec(dst, n, x, k, 1, w, n, k, nil)
			for i, v := range dst {
				if (i == 7) != (v != v) || i != 7 && v != 0 {
					t.Errorf("%v, transposed %v: element %d is %v", bad, trans, i, v)
				}
			}
		}
	}
}

func TestMatVecPanics(t *testing.T) {
	dst, x, w := make([]float32, 8), make([]float32, 6), make([]float32, 12)
	var p *Pool
	p.MatVec(dst, 4, x, 3, 2, Mat{F32: w, Stride: 3}, 4, 3, nil)
	for name, f := range map[string]func(){
		"short dst":    func() { p.MatVec(dst[:7], 4, x, 3, 2, Mat{F32: w, Stride: 3}, 4, 3, nil) },
		"short x":      func() { p.MatVec(dst, 4, x[:5], 3, 2, Mat{F32: w, Stride: 3}, 4, 3, nil) },
		"short w":      func() { p.MatVec(dst, 4, x, 3, 2, Mat{F32: w[:11], Stride: 3}, 4, 3, nil) },
		"short bias":   func() { p.MatVec(dst, 4, x, 3, 2, Mat{F32: w, Stride: 3}, 4, 3, make([]float32, 3)) },
		"stride of x":  func() { p.MatVec(dst, 4, x, 2, 2, Mat{F32: w, Stride: 3}, 4, 3, nil) },
		"other type":   func() { p.MatVec(dst, 4, x, 3, 2, Mat{F32: w, Type: F16, Stride: 3}, 4, 3, nil) },
		"unknown type": func() { p.MatVec(dst, 4, x, 3, 2, Mat{F32: w, Type: typeCount, Stride: 3}, 4, 3, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}
