package kernel

const (
	turnedRows   = 2 * blockM // largest number of rows of a task's part of a turned product
	turnedHeight = blockM / 2 // largest number of rows of A per pass over a packed block of a turned product
)

// turns reports whether a product is computed as its transpose, the sum of the products of B's transpose and A's: a few
// rows times stored weights then read the weights row by row as A, which needs no packing. Packing them as B would cost
// about half as much as multiplying. The order of the sums stays, and so do the bits.
func turns(m, n int, terms []Term) bool {
	if m < 2 || m > skinny || n < 4*m || len(terms) == 0 {
		return false
	}
	for i := range terms {
		t := &terms[i]
		if t.A.Trans || t.A.Type != F32 || !t.B.Trans || t.B.Type != F32 || t.BF16 {
			return false
		}
	}
	return true
}

// turn exchanges rows and columns.
func (c *product) turn() {
	c.turned = true
	c.m, c.n = c.n, c.m
	for i := range c.terms {
		t := &c.terms[i]
		t.A, t.B = t.B, t.A
		t.A.Trans, t.B.Trans = false, true
	}
}

// turnedIn prepares scratch in which the block computes its part of the transpose, with the values that its sums start
// from.
func (b *block) turnedIn(s *scratch) {
	b.ldd = b.j1 - b.j0
	b.origin = b.i0*b.ldd + b.j0
	s.turned = grow(s.turned, (b.i1-b.i0)*b.ldd)
	b.dst, b.e = s.turned, Epilogue{Accumulate: b.product.e.Accumulate || b.product.e.Bias != nil}
	if !b.e.Accumulate {
		return
	}
	for i := b.i0; i < b.i1; i++ {
		for j := b.j0; j < b.j1; j++ {
			v := float32(0)
			if b.product.e.Accumulate {
				v = b.product.dst[j*b.product.ldd+i]
			}
			if b.product.e.Bias != nil {
				v += b.product.e.Bias[i]
			}
			b.dst[i*b.ldd+j-b.origin] = v
		}
	}
}

// turnedOut writes the block's part of the transpose to the result.
func (b *block) turnedOut() {
	part := Mat{F32: b.dst, Stride: b.ldd}
	to := b.product.dst[b.j0*b.product.ldd+b.i0:]
	b.kernel.transpose(to, b.product.ldd, &part, 0, b.i1-b.i0, 0, b.j1-b.j0)
}
