package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// forEachTile runs a test with every version of the tile that this machine can run.
func forEachTile(t *testing.T, test func(t *testing.T, k *tileKernels)) {
	for i := range tileAlternatives {
		a := &tileAlternatives[i]
		if !a.usable {
			t.Logf("version %s does not run on this processor", a.name)
			continue
		}
		t.Run(a.name, func(t *testing.T) { test(t, &a.kernel) })
	}
}

// randomMat returns a rows×cols matrix as an operand, stored with gaps that hold NaN, and the same values in row-major
// order.
func randomMat(rng *rand.Rand, rows, cols, gap int, kind Type, trans bool) (Mat, []float32) {
	m := Mat{Type: kind, Trans: trans, Stride: cols + gap}
	if trans {
		m.Stride = rows + gap
	}
	size := extent(rows, cols, m.Stride)
	if trans {
		size = extent(cols, rows, m.Stride)
	}
	if kind == F32 {
		m.F32 = filled(size, float32(math.NaN()))
	} else {
		m.U16 = make([]uint16, size)
		for i := range m.U16 {
			m.U16[i] = 0x7fff // NaN in both F16 and BF16
		}
	}
	values := make([]float32, rows*cols)
	for i := range rows {
		for j := range cols {
			at := i*m.Stride + j
			if trans {
				at = j*m.Stride + i
			}
			v := rng.Float32()*2 - 1
			bits := math.Float32bits(v)
			switch kind {
			case F32:
				m.F32[at] = v
			case F16: // a random exponent and fraction, so that few bits are zero
				m.U16[at] = uint16(bits>>16)&0x8000 | uint16(10+rng.IntN(5))<<10 | uint16(rng.IntN(1024))
				v = valueF16(m.U16[at])
			case BF16:
				m.U16[at] = uint16(bits >> 16)
				v = valueBF16(m.U16[at])
			}
			values[i*cols+j] = v
		}
	}
	return m, values
}

func filled(n int, v float32) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = v
	}
	return s
}

// matCase is a product: its operands and the result with its tolerance.
type matCase struct {
	dst        []float32
	ldd, m, n  int
	terms      []Term
	e          Epilogue
	want, size []float64 // the sum in float64, and the sum of magnitudes
}

const guard = float32(-12345)

// newCase makes a random product. The rows of dst are ldd apart; guard values lie between and around them.
func newCase(rng *rand.Rand, m, n int, ks []int, kindA, kindB Type, transA, transB bool, gap int, e Epilogue) *matCase {
	c := &matCase{m: m, n: n, ldd: n + gap, e: e, want: make([]float64, m*n), size: make([]float64, m*n)}
	c.dst = filled(extent(m, n, c.ldd)+gap, guard)
	add := func(at int, v float64) {
		c.want[at] += v
		c.size[at] += math.Abs(v)
	}
	for i := range m {
		for j := range n {
			if e.Accumulate {
				c.dst[i*c.ldd+j] = rng.Float32()
				add(i*n+j, float64(c.dst[i*c.ldd+j]))
			} else {
				c.dst[i*c.ldd+j] = float32(math.NaN())
			}
			if e.Bias != nil {
				add(i*n+j, float64(e.Bias[j]))
			}
		}
	}
	for _, k := range ks {
		a, av := randomMat(rng, m, k, gap, kindA, transA)
		b, bv := randomMat(rng, k, n, gap, kindB, transB)
		c.terms = append(c.terms, Term{A: a, B: b, K: k})
		for i := range m {
			for l := range k {
				for j := range n {
					add(i*n+j, float64(av[i*k+l])*float64(bv[l*n+j]))
				}
			}
		}
	}
	return c
}

// verify checks the result and that nothing else in dst was written.
func (c *matCase) verify(t *testing.T, dst []float32) {
	t.Helper()
	terms := 2.0
	for _, term := range c.terms {
		terms += float64(term.K)
	}
	for at, got := range dst {
		i, j := at/max(c.ldd, 1), at%max(c.ldd, 1)
		if j >= c.n || i >= c.m {
			if got != guard {
				t.Fatalf("value %d (row %d, column %d) outside the %d×%d result was overwritten with %v", at, i, j, c.m, c.n, got)
			}
			continue
		}
		want := c.want[i*c.n+j]
		if tolerance := c.size[i*c.n+j]*terms*0x1p-24 + 1e-30; !(math.Abs(float64(got)-want) <= tolerance) {
			t.Fatalf("row %d, column %d: got %v, want %v ± %g", i, j, got, want, tolerance)
		}
	}
}

func (c *matCase) run(p *Pool, k *tileKernels) []float32 {
	dst := append([]float32(nil), c.dst...)
	p.matMul(k, dst, c.ldd, c.m, c.n, c.terms, c.e)
	return dst
}

func biasFor(n int) []float32 {
	b := make([]float32, n)
	for j := range b {
		b[j] = float32(j%7) - 3
	}
	return b
}

func TestMatMulSizes(t *testing.T) {
	ms := []int{0, 1, 2, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 27, 33, 49}
	ns := []int{0, 1, 3, 4, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 41, 48, 64, 65}
	ks := []int{0, 1, 3, 4, 7, 8, 9, 17, 64}
	forEachTile(t, func(t *testing.T, k *tileKernels) {
		rng := rand.New(rand.NewPCG(1, 2))
		for at, m := range ms {
			for by, n := range ns {
				for of, depth := range ks {
					mix := at + by + of // so that every size occurs with every orientation
					c := newCase(rng, m, n, []int{depth}, F32, F32, mix&1 != 0, mix&2 != 0, mix%3, Epilogue{})
					name := fmt.Sprintf("%d×%d×%d, transposed %v %v", m, depth, n, mix&1 != 0, mix&2 != 0)
					t.Run(name, func(t *testing.T) { c.verify(t, c.run(nil, k)) })
				}
			}
		}
	})
}

func TestMatMulTypesAndOrientations(t *testing.T) {
	sizes := []struct{ m, n, k int }{{13, 37, 29}, {70, 50, 40}, {3, 16, 64}, {50, 8, 300}, {8, 50, 300}, {9, 65, 5}}
	forEachTile(t, func(t *testing.T, k *tileKernels) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, s := range sizes {
			for _, kindA := range []Type{F32, F16, BF16} {
				for _, kindB := range []Type{F32, F16, BF16} {
					for orientation := range 4 {
						transA, transB := orientation&1 != 0, orientation&2 != 0
						c := newCase(rng, s.m, s.n, []int{s.k}, kindA, kindB, transA, transB, 5, Epilogue{})
						name := fmt.Sprintf("%d×%d×%d %v %v, transposed %v %v", s.m, s.k, s.n, kindA, kindB, transA, transB)
						t.Run(name, func(t *testing.T) { c.verify(t, c.run(nil, k)) })
					}
				}
			}
		}
	})
}

func TestMatMulTermsAndEpilogue(t *testing.T) {
	forEachTile(t, func(t *testing.T, k *tileKernels) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, ks := range [][]int{nil, {0}, {0, 0, 5}, {40, 8}, {8, 0, 40}, {300, 16, 8, 2}} {
			for _, accumulate := range []bool{false, true} {
				for _, bias := range [][]float32{nil, biasFor(45)} {
					for _, m := range []int{20, 9} { // 9 rows are turned
						c := newCase(rng, m, 45, ks, F32, F32, false, true, 3, Epilogue{accumulate, bias})
						name := fmt.Sprintf("%d rows, terms %v, accumulate %v, bias %v", m, ks, accumulate, bias != nil)
						t.Run(name, func(t *testing.T) { c.verify(t, c.run(nil, k)) })
					}
				}
			}
		}
	})
}

// TestMatMulFusedSameBits: versions with fused multiply-add add up in the same order, so their results have the same
// bits.
func TestMatMulFusedSameBits(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, s := range [][3]int{{300, 300, 800}, {9, 700, 400}, {700, 9, 1100}, {33, 65, 17}} {
		for orientation := range 4 {
			c := newCase(rng, s[0], s[1], []int{s[2]}, F32, BF16, orientation&1 != 0, orientation&2 != 0, 3, Epilogue{})
			var want []float32
			for i := range tileAlternatives {
				a := &tileAlternatives[i]
				if !a.usable || a.name == plain {
					continue
				}
				got := c.run(nil, &a.kernel)
				if want != nil {
					sameBits(t, fmt.Sprintf("%s, %v, orientation %d", a.name, s, orientation), got, want)
				}
				want = got
			}
		}
	}
}

// TestMatMulBlocks crosses the border of every block, on several workers, and splits the rows; all results must have
// the same bits.
func TestMatMulBlocks(t *testing.T) {
	sizes := []struct{ m, n, k, gap int }{
		{blockM + 1, 40, blockK + 1, 1},
		{30, blockN + 1, 33, 1},
		{7, 2*blockN + 20, 20, 1},
		{500, 8, 100, 1},
		{8, 500, 100, 1},
		{130, 70, 2*blockK + 3, 1},
		{8, 40, longK + 1, 1},
		{50, 9, longK + 70, 1},
		{40, 130, 24, 1000}, // rows of A 4 KiB apart
		{skinny, 2*turnedRows + 70, 50, 1},
		{skinny + 1, turnedRows, blockK + 9, 1}, // parts of it are turned, the whole is not
	}
	forEachTile(t, func(t *testing.T, k *tileKernels) {
		rng := rand.New(rand.NewPCG(7, 8))
		for _, s := range sizes {
			for orientation := range 4 {
				transA, transB := orientation&1 != 0, orientation&2 != 0
				c := newCase(rng, s.m, s.n, []int{s.k, 5}, F32, F32, transA, transB, s.gap, Epilogue{Bias: biasFor(s.n)})
				t.Run(fmt.Sprintf("%d×%d×%d, transposed %v %v", s.m, s.k, s.n, transA, transB), func(t *testing.T) {
					want := c.run(nil, k)
					c.verify(t, want)
					for _, workers := range workerCounts {
						p := NewPool(workers)
						sameBits(t, fmt.Sprintf("%d workers", workers), c.run(p, k), want)
						p.Close()
					}
					for _, at := range []int{1, 6, s.m / 2} {
						sameBits(t, fmt.Sprintf("rows split at %d", at), c.runSplit(k, at), want)
					}
				})
			}
		}
	})
}

// runSplit computes the rows below a given row and the rows from it on in two calls.
func (c *matCase) runSplit(k *tileKernels, row int) []float32 {
	dst := append([]float32(nil), c.dst...)
	below := make([]Term, len(c.terms))
	for i, term := range c.terms {
		below[i] = term
		step := term.A.Stride
		if term.A.Trans {
			step = 1
		}
		below[i].A.F32 = term.A.F32[row*step:]
	}
	var p *Pool
	p.matMul(k, dst, c.ldd, row, c.n, c.terms, c.e)
	p.matMul(k, dst[row*c.ldd:], c.ldd, c.m-row, c.n, below, c.e)
	return dst
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Errorf("%s: value %d is %v, want the same bits as %v", what, i, got[i], want[i])
			return
		}
	}
}

// TestMatMulNonFinite puts NaN and infinity into operands: every element that depends on them must show it, and 0·∞
// must give NaN.
func TestMatMulNonFinite(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	forEachTile(t, func(t *testing.T, kernel *tileKernels) {
		const m, n, k = 13, 21, 19
		for _, bad := range []float32{nan, inf} {
			for _, inA := range []bool{true, false} {
				a, b := make([]float32, m*k), make([]float32, k*n)
				const i, j, at = 7, 18, 11
				if inA {
					a[i*k+at] = bad
				} else {
					b[at*n+j] = bad
				}
				dst := make([]float32, m*n)
				terms := []Term{{A: Mat{F32: a, Stride: k}, B: Mat{F32: b, Stride: n}, K: k}}
				(*Pool)(nil).matMul(kernel, dst, n, m, n, terms, Epilogue{})
				for x, v := range dst {
					touched := inA && x/n == i || !inA && x%n == j
					if touched != (v != v) || (!touched && v != 0) {
						t.Fatalf("%v, in A %v: element (%d, %d) is %v, want NaN: %v", bad, inA, x/n, x%n, v, touched)
					}
				}
			}
		}
	})
}

func TestMatMulPanicsOnShapes(t *testing.T) {
	ok := func() ([]float32, int, int, int, []Term, Epilogue) {
		return make([]float32, 12), 4, 3, 4, []Term{{
			A: Mat{F32: make([]float32, 6), Stride: 2},
			B: Mat{F32: make([]float32, 8), Stride: 4},
			K: 2,
		}}, Epilogue{}
	}
	for _, test := range []struct {
		name  string
		spoil func(dst *[]float32, ldd, m, n *int, terms []Term, e *Epilogue)
	}{
		{"short dst", func(dst *[]float32, _, _, _ *int, _ []Term, _ *Epilogue) { *dst = (*dst)[:11] }},
		{"stride of dst", func(_ *[]float32, ldd, _, _ *int, _ []Term, _ *Epilogue) { *ldd = 3 }},
		{"negative rows", func(_ *[]float32, _, m, _ *int, _ []Term, _ *Epilogue) { *m = -1 }},
		{"negative K", func(_ *[]float32, _, _, _ *int, terms []Term, _ *Epilogue) { terms[0].K = -1 }},
		{"short A", func(_ *[]float32, _, _, _ *int, terms []Term, _ *Epilogue) { terms[0].A.F32 = terms[0].A.F32[1:] }},
		{"stride of B", func(_ *[]float32, _, _, _ *int, terms []Term, _ *Epilogue) { terms[0].B.Stride = 3 }},
		{"A of another type", func(_ *[]float32, _, _, _ *int, terms []Term, _ *Epilogue) { terms[0].A.Type = BF16 }},
		{"unknown type", func(_ *[]float32, _, _, _ *int, terms []Term, _ *Epilogue) { terms[0].B.Type = typeCount }},
		{"short bias", func(_ *[]float32, _, _, _ *int, _ []Term, e *Epilogue) { e.Bias = make([]float32, 3) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			dst, ldd, m, n, terms, e := ok()
			test.spoil(&dst, &ldd, &m, &n, terms, &e)
			defer func() {
				if recover() == nil {
					t.Error("MatMul returned, want a panic")
				}
			}()
			(*Pool)(nil).MatMul(dst, ldd, m, n, terms, e)
		})
	}
}
