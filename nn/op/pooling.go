package op

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// MeanRows returns the mean of the rows of each sequence of x (N×C), B×C: the mean pooling of sentence embeddings.
// Sequence i is the rows starts[i] to starts[i+1]−1, at least one. It panics if starts does not fit x or a sequence
// is empty.
func MeanRows(t *Tape, x mat.Tensor, starts []int) mat.Tensor {
	n, cols := Size(x)
	b := len(starts) - 1
	mustBe(b >= 0 && starts[0] == 0 && starts[b] == n, "MeanRows of %d rows with %d sequences", n, b)
	for i := range b {
		mustBe(starts[i] < starts[i+1], "MeanRows: sequence %d has %d rows", i, starts[i+1]-starts[i])
	}
	return t.run(&meanRows{node: node{inputs: []mat.Tensor{x}}, x: x, starts: starts, cols: cols})
}

type meanRows struct {
	node
	x      mat.Tensor
	starts []int
	cols   int
}

// each runs call on the pool for each sequence i with its range of rows and 1/T.
func (f *meanRows) each(call func(i, lo, hi int, inverse float32)) {
	f.t.pool.For(len(f.starts)-1, func(i, _ int) {
		lo, hi := f.starts[i], f.starts[i+1]
		call(i, lo, hi, 1/float32(hi-lo))
	})
}

// Forward adds the rows in order.
func (f *meanRows) Forward() (mat.Tensor, error) {
	c := f.cols
	y, x := f.t.tensor(len(f.starts)-1, c), Values(f.x)
	f.each(func(i, lo, hi int, inverse float32) {
		sum := y.data[i*c : (i+1)*c]
		clear(sum)
		for row := lo; row < hi; row++ {
			kernel.AddTo(sum, x[row*c:(row+1)*c])
		}
		kernel.Scale(sum, sum, inverse)
	})
	return y, nil
}

// Backward: every row of a sequence of T rows gets dY/T.
func (f *meanRows) Backward(gy mat.Tensor) error {
	c, dy := f.cols, Values(gy)
	f.into(f.x, func(dst []float32, add bool) {
		f.each(func(i, lo, hi int, inverse float32) {
			for row := lo; row < hi; row++ {
				if add {
					kernel.AddScaled(dst[row*c:(row+1)*c], dy[i*c:(i+1)*c], inverse)
				} else {
					kernel.Scale(dst[row*c:(row+1)*c], dy[i*c:(i+1)*c], inverse)
				}
			}
		})
	})
	return nil
}

// leastNorm is the least divisor of PyTorch's normalize.
const leastNorm = 1e-12

// NormalizeRows returns the rows of x (N×C), each divided by its Euclidean norm or by 1e-12, whichever is larger, as
// PyTorch's normalize does. The product of two such rows is the cosine of the angle between them.
func NormalizeRows(t *Tape, x mat.Tensor) mat.Tensor {
	rows, cols := Size(x)
	return t.run(&normalizeRows{node: node{inputs: []mat.Tensor{x}}, x: x, rows: rows, cols: cols})
}

type normalizeRows struct {
	node
	x          mat.Tensor
	rows, cols int
	inverse    []float32 // 1/norm of each row
}

// Forward computes y.
func (f *normalizeRows) Forward() (mat.Tensor, error) {
	c := f.cols
	y, x := f.t.tensor(f.rows, c), Values(f.x)
	if f.keep {
		f.inverse = f.buffer(f.rows)
	}
	f.t.eachRows(f.rows, c, func(lo, hi int) {
		for n := lo; n < hi; n++ {
			row := x[n*c : (n+1)*c]
			inverse := float32(1 / math.Max(math.Sqrt(kernel.SumSquares(row)), leastNorm))
			kernel.Scale(y.data[n*c:(n+1)*c], row, inverse)
			if f.keep {
				f.inverse[n] = inverse
			}
		}
	})
	f.hold(f.x)
	return y, nil
}

// Backward: dX = (dY − Y·(Y·dY))/norm, or dY/1e-12 for a row whose norm is at most 1e-12.
func (f *normalizeRows) Backward(gy mat.Tensor) error {
	c, dy, x := f.cols, Values(gy), Values(f.x)
	f.whole(f.x, func(dst []float32) {
		f.t.eachRows(f.rows, c, func(lo, hi int) {
			for n := lo; n < hi; n++ {
				d, g, row, inverse := dst[n*c:(n+1)*c], dy[n*c:(n+1)*c], x[n*c:(n+1)*c], f.inverse[n]
				kernel.Scale(d, g, inverse)
				if inverse < 1/leastNorm {
					kernel.AddScaled(d, row, -inverse*inverse*inverse*kernel.Dot(row, g))
				}
			}
		})
	})
	return nil
}

// pairs returns G and C for x (2G×C), whose rows 2i and 2i+1 are pair i. It panics if the number of rows is odd.
func pairs(name string, x mat.Tensor) (groups, cols int) {
	rows, cols := Size(x)
	mustBe(rows%2 == 0, "%s of %d rows; want an even number", name, rows)
	return rows / 2, cols
}

// PairDots returns the dot product of the two rows of each pair, G×1. Pair i is the rows 2i and 2i+1 of x (2G×C). It
// panics if the number of rows is odd.
func PairDots(t *Tape, x mat.Tensor) mat.Tensor {
	g, c := pairs("PairDots", x)
	return t.run(&pairDots{node: node{inputs: []mat.Tensor{x}}, x: x, groups: g, cols: c})
}

type pairDots struct {
	node
	x            mat.Tensor
	groups, cols int
}

// Forward computes y.
func (f *pairDots) Forward() (mat.Tensor, error) {
	c := f.cols
	y, x := f.t.tensor(f.groups, 1), Values(f.x)
	for i := range y.data {
		y.data[i] = kernel.Dot(x[2*i*c:(2*i+1)*c], x[(2*i+1)*c:(2*i+2)*c])
	}
	f.hold(f.x)
	return y, nil
}

// Backward: each row gets its partner times dY.
func (f *pairDots) Backward(gy mat.Tensor) error {
	c, dy, x := f.cols, Values(gy), Values(f.x)
	f.into(f.x, func(dst []float32, add bool) {
		for row := range 2 * f.groups {
			d, partner := dst[row*c:(row+1)*c], x[(row^1)*c:(row^1+1)*c]
			if add {
				kernel.AddScaled(d, partner, dy[row/2])
			} else {
				kernel.Scale(d, partner, dy[row/2])
			}
		}
	})
	return nil
}

// PairScores returns the scores (G×G) of the first row of every pair with the second row of every pair: element (i, j)
// is scale times the dot product of the rows 2i and 2j+1 of x (2G×C). With normalised rows, followed by [CrossEntropy]
// with label i for row i, it is the multiple negatives ranking loss (Henderson et al. 2017, arXiv:1705.00652), in which
// the second rows of the other pairs are the negatives. It panics if the number of rows is odd.
func PairScores(t *Tape, x mat.Tensor, scale float32) mat.Tensor {
	g, c := pairs("PairScores", x)
	return t.run(&pairScores{node: node{inputs: []mat.Tensor{x}}, x: x, scale: scale, groups: g, cols: c})
}

type pairScores struct {
	node
	x            mat.Tensor
	scale        float32
	groups, cols int
}

// sides returns the first and the second rows of the pairs, each G×C with a row stride of 2C.
func (f *pairScores) sides() (first, second []float32) {
	x := Values(f.x)
	return x, x[min(f.cols, len(x)):]
}

// Forward computes y.
func (f *pairScores) Forward() (mat.Tensor, error) {
	g, c := f.groups, f.cols
	y := f.t.tensor(g, g)
	first, second := f.sides()
	terms := []kernel.Term{{A: matrix(first, 2*c), B: transposed(second, 2*c), K: c}}
	f.t.pool.MatMul(y.data, g, g, g, terms, kernel.Epilogue{})
	kernel.Scale(y.data, y.data, f.scale)
	f.hold(f.x)
	return y, nil
}

// Backward: the first rows get scale·dY·second, the second rows scale·dYᵀ·first.
func (f *pairScores) Backward(gy mat.Tensor) error {
	g, c := f.groups, f.cols
	dy := f.t.alloc(g * g)
	kernel.Scale(dy, Values(gy), f.scale)
	first, second := f.sides()
	f.into(f.x, func(dst []float32, add bool) {
		e := kernel.Epilogue{Accumulate: add}
		terms := []kernel.Term{{A: matrix(dy, g), B: matrix(second, 2*c), K: g}}
		f.t.pool.MatMul(dst, 2*c, g, c, terms, e)
		terms = []kernel.Term{{A: transposed(dy, g), B: matrix(first, 2*c), K: g}}
		f.t.pool.MatMul(dst[min(c, len(dst)):], 2*c, g, c, terms, e)
	})
	f.t.free(dy)
	return nil
}
