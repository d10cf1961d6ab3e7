package op

import (
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Patches describes the patches of B images: image i has the rows Starts[i] to Starts[i+1]−1, from left to right and
// from top to bottom.
type Patches struct {
	Starts []int    // B+1 row offsets
	Grids  [][2]int // patches of each image, down and across; nil: Own for all
	Own    [2]int   // grid that positions were learned for
}

// grid returns the patches of image i, down and across.
func (p Patches) grid(i int) [2]int {
	if p.Grids == nil {
		return p.Own
	}
	return p.Grids[i]
}

// ImageRows puts k tokens before the patches of each image and adds positions (transformers' ViTEmbeddings):
//
//	y = [tokens; x] + positions
//
// x is N×C with the rows that p describes, each token is 1×C, and positions is (k+h·w)×C for the tokens and the
// grid p.Own. y is (N+B·k)×C. For another grid, the positions of the patches are interpolated as PyTorch's
// interpolate does with mode "bicubic" and align_corners False; each grid is interpolated once. ImageRows panics if
// the sizes do not fit.
func ImageRows(t *Tape, x mat.Tensor, p Patches, tokens []*Weight, positions *Weight) mat.Tensor {
	n, c := Size(x)
	b, k := len(p.Starts)-1, len(tokens)
	mustBe(b >= 0 && p.Starts[b] == n, "ImageRows of %d rows with %d images", n, b)
	mustBe(positions.Cols == c && positions.Rows == k+p.Own[0]*p.Own[1],
		"ImageRows of %d columns and a grid of %v with positions of %d×%d", c, p.Own, positions.Rows, positions.Cols)
	mustBe(p.Grids == nil || len(p.Grids) == b, "ImageRows with %d grids for %d images", len(p.Grids), b)
	f := &imageRows{x: x, p: p, tokens: tokens, positions: positions, cols: c, rows: n + b*k}
	for i := range b {
		g := p.grid(i)
		mustBe(g[0] > 0 && g[1] > 0 && p.Starts[i]+g[0]*g[1] == p.Starts[i+1],
			"ImageRows: image %d has %d patches in a grid of %v", i, p.Starts[i+1]-p.Starts[i], g)
		at := slices.IndexFunc(f.grids, func(r *resampled) bool { return r.grid == g })
		if at < 0 {
			at = len(f.grids)
			f.grids = append(f.grids, newResampled(p.Own, g))
		}
		f.gridOf = append(f.gridOf, at)
	}
	for _, w := range tokens {
		mustBe(w.Rows == 1 && w.Cols == c, "ImageRows of %d columns with a token of %d×%d", c, w.Rows, w.Cols)
	}
	f.inputs = trained(trained([]mat.Tensor{x}, tokens...), positions)
	return t.run(f)
}

type imageRows struct {
	node
	x          mat.Tensor
	p          Patches
	tokens     []*Weight
	positions  *Weight
	grids      []*resampled // distinct ones
	gridOf     []int        // by image
	rows, cols int
}

// each runs call on the pool for each image i: in has its patches in x, out its rows in y, both as ranges of rows.
func (f *imageRows) each(call func(i int, in, out [2]int)) {
	k := len(f.tokens)
	f.t.pool.For(len(f.gridOf), func(i, _ int) {
		lo, hi := f.p.Starts[i], f.p.Starts[i+1]
		call(i, [2]int{lo, hi}, [2]int{lo + i*k, hi + (i+1)*k})
	})
}

// Forward computes y.
func (f *imageRows) Forward() (mat.Tensor, error) {
	t, c, k := f.t, f.cols, len(f.tokens)
	y, x := t.tensor(f.rows, c), Values(f.x)
	learned := t.alloc(f.positions.Len())
	t.eachRows(f.positions.Rows, c, func(lo, hi int) { f.positions.widen(learned[lo*c:hi*c], lo*c) })
	tables := make([][]float32, len(f.grids)) // positions of the tokens and the patches, by grid
	for i, g := range f.grids {
		tables[i] = learned
		if !g.same() {
			tables[i] = t.alloc((k + g.grid[0]*g.grid[1]) * c)
			t.eachElements(k*c, func(lo, hi int) { copy(tables[i][lo:hi], learned[lo:hi]) })
			g.forward(t, tables[i][k*c:], learned[k*c:], c)
		}
	}
	f.each(func(i int, in, out [2]int) {
		to := y.data[out[0]*c : out[1]*c]
		for j, w := range f.tokens {
			w.row(to[j*c:(j+1)*c], 0)
		}
		copy(to[k*c:], x[in[0]*c:in[1]*c])
		kernel.AddTo(to, tables[f.gridOf[i]])
	})
	for i, g := range f.grids {
		if !g.same() {
			t.free(tables[i])
		}
	}
	t.free(learned)
	return y, nil
}

// Backward: dX is the rows of the patches in dY, the gradient of a token the sum of its rows, and that of positions the
// sum of the images of each grid, taken back to the learned grid.
func (f *imageRows) Backward(gy mat.Tensor) error {
	dy, c, k := Values(gy), f.cols, len(f.tokens)
	f.into(f.x, func(dst []float32, add bool) {
		f.each(func(i int, in, out [2]int) {
			from, to := dy[(out[0]+k)*c:out[1]*c], dst[in[0]*c:in[1]*c]
			if add {
				kernel.AddTo(to, from)
			} else {
				copy(to, from)
			}
		})
	})
	for j, w := range f.tokens {
		if w.Param == nil {
			continue
		}
		f.into(w.Param, func(dst []float32, add bool) {
			if !add {
				clear(dst)
			}
			for i := range f.gridOf {
				at := f.p.Starts[i] + i*k + j
				kernel.AddTo(dst, dy[at*c:(at+1)*c])
			}
		})
	}
	if f.positions.Param != nil {
		f.into(f.positions.Param, func(dst []float32, add bool) {
			if !add {
				clear(dst)
			}
			for at, g := range f.grids {
				f.positionsOf(g, at, dst, dy)
			}
		})
	}
	return nil
}

// positionsOf adds the gradient that the images of a grid give to positions.
func (f *imageRows) positionsOf(g *resampled, at int, dst, dy []float32) {
	t, c, k := f.t, f.cols, len(f.tokens)
	rows := k + g.grid[0]*g.grid[1]
	sum := dst
	if !g.same() {
		sum = t.alloc(rows * c)
	}
	t.eachRows(rows, c, func(lo, hi int) {
		if !g.same() {
			clear(sum[lo*c : hi*c])
		}
		for i, of := range f.gridOf {
			if of == at {
				first := f.p.Starts[i] + i*k
				kernel.AddTo(sum[lo*c:hi*c], dy[(first+lo)*c:(first+hi)*c])
			}
		}
	})
	if g.same() {
		return
	}
	t.eachElements(k*c, func(lo, hi int) { kernel.AddTo(dst[lo:hi], sum[lo:hi]) })
	g.backward(t, dst[k*c:], sum[k*c:], c)
	t.free(sum)
}

// resampled interpolates a table of h×w rows to another grid: first along rows of the grid, then down its columns.
type resampled struct {
	from, grid   [2]int
	down, across []taps // by position in grid
}

// taps are the four positions that an interpolated one is made of, with their weights.
type taps struct {
	at     [4]int
	weight [4]float32
}

func newResampled(from, to [2]int) *resampled {
	return &resampled{from, to, cubic(from[0], to[0]), cubic(from[1], to[1])}
}

// same reports whether nothing is to be interpolated.
func (r *resampled) same() bool { return r.from == r.grid }

// cubic returns the taps of to positions that are spread evenly over from ones. Weights are those of Keys' cubic
// convolution with a = −0.75, in PyTorch's precision.
func cubic(from, to int) []taps {
	const a = -0.75
	near := func(x float32) float32 { return ((a+2)*x-(a+3))*x*x + 1 }  // for distances up to 1
	far := func(x float32) float32 { return ((a*x-5*a)*x+8*a)*x - 4*a } // up to 2
	list, scale := make([]taps, to), float32(from)/float32(to)
	for i := range list {
		place := scale*(float32(i)+0.5) - 0.5
		first := int(math.Floor(float64(place)))
		x := place - float32(first)
		list[i].weight = [4]float32{far(x + 1), near(x), near(1 - x), far(2 - x)}
		for j := range 4 {
			list[i].at[j] = min(max(first+j-1, 0), from-1)
		}
	}
	return list
}

// forward sets dst, the rows of the grid, to those interpolated from table, all of c columns.
func (r *resampled) forward(t *Tape, dst, table []float32, c int) {
	wide := t.alloc(r.from[0] * r.grid[1] * c) // as high as the table, as wide as the grid
	t.pool.For(r.from[0], func(y, _ int) {
		for x, p := range r.across {
			gather(wide[(y*r.grid[1]+x)*c:][:c], table, p, func(at int) int { return (y*r.from[1] + at) * c })
		}
	})
	t.pool.For(r.grid[0], func(y, _ int) {
		for x := range r.grid[1] {
			gather(dst[(y*r.grid[1]+x)*c:][:c], wide, r.down[y], func(at int) int { return (at*r.grid[1] + x) * c })
		}
	})
	t.free(wide)
}

// gather sets dst to the weighted rows of src that offset places.
func gather(dst, src []float32, p taps, offset func(at int) int) {
	clear(dst)
	for j, at := range p.at {
		kernel.AddScaled(dst, src[offset(at):][:len(dst)], p.weight[j])
	}
}

// backward adds the gradient of the table to dst, given that of the grid's rows.
func (r *resampled) backward(t *Tape, dst, dy []float32, c int) {
	wide := t.alloc(r.from[0] * r.grid[1] * c)
	t.pool.For(r.grid[1], func(x, _ int) { // a column is one task's, so that the order of sums is fixed
		for y := range r.from[0] {
			clear(wide[(y*r.grid[1]+x)*c:][:c])
		}
		for y, p := range r.down {
			for j, at := range p.at {
				kernel.AddScaled(wide[(at*r.grid[1]+x)*c:][:c], dy[(y*r.grid[1]+x)*c:][:c], p.weight[j])
			}
		}
	})
	t.pool.For(r.from[0], func(y, _ int) {
		for x, p := range r.across {
			for j, at := range p.at {
				kernel.AddScaled(dst[(y*r.from[1]+at)*c:][:c], wide[(y*r.grid[1]+x)*c:][:c], p.weight[j])
			}
		}
	})
	t.free(wide)
}
