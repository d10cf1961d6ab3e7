package op

import (
	"math"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Pooling is a way to make one row of the rows of a sequence.
type Pooling uint8

// The ways of pooling, over the T rows of a sequence.
const (
	PoolMean         Pooling = iota // their mean
	PoolMeanSqrt                    // their sum divided by the square root of their number
	PoolWeightedMean                // their mean with the weights 1 to T
	PoolMax                         // the largest value of each column
	PoolFirst                       // the first row
	PoolLast                        // the last row
)

// MeanRows returns the mean of the rows of each sequence of x (N×C), B×C: the mean pooling of sentence embeddings.
// Sequence i is the rows starts[i] to starts[i+1]−1, at least one. It panics if starts does not fit x or a sequence
// is empty.
func MeanRows(t *Tape, x mat.Tensor, starts []int) mat.Tensor {
	return PoolRows(t, x, starts, 0, PoolMean)
}

// PoolRows makes one row of the rows of each sequence of x (N×C) in each of the given ways and returns the rows of all
// ways side by side, B×(ways·C). Sequence i is the rows starts[i] to starts[i+1]−1; its first skip rows do not
// count, except that the weights of PoolWeightedMean count from the sequence's first row. It panics if starts does not
// fit x or a sequence has no rows that count.
func PoolRows(t *Tape, x mat.Tensor, starts []int, skip int, ways ...Pooling) mat.Tensor {
	n, cols := Size(x)
	b := len(starts) - 1
	mustBe(b >= 0 && starts[0] == 0 && starts[b] == n, "PoolRows of %d rows with %d sequences", n, b)
	for i := range b {
		mustBe(starts[i]+skip < starts[i+1], "PoolRows: sequence %d has %d rows, of which %d do not count",
			i, starts[i+1]-starts[i], skip)
	}
	return t.run(&poolRows{node: node{inputs: []mat.Tensor{x}}, x: x, starts: starts, skip: skip, ways: ways, cols: cols})
}

type poolRows struct {
	node
	x      mat.Tensor
	starts []int
	skip   int
	ways   []Pooling
	cols   int
	places []int32 // by way, sequence and column: the row with the largest value, for PoolMax
}

// factor returns what the sum of the weighted rows of a sequence of T rows is multiplied by.
func (f *poolRows) factor(way Pooling, rows int) float32 {
	n := rows - f.skip
	switch way {
	case PoolMean:
		return 1 / float32(n)
	case PoolMeanSqrt:
		return 1 / float32(math.Sqrt(float64(n)))
	case PoolWeightedMean:
		return 1 / float32(n*(f.skip+1+rows)/2)
	}
	return 1
}

// weight returns the weight of a row within a sequence of T rows.
func (f *poolRows) weight(way Pooling, row, rows int) float32 {
	switch {
	case row < f.skip, way == PoolFirst && row > f.skip, way == PoolLast && row < rows-1, way == PoolMax:
		return 0
	case way == PoolWeightedMean:
		return float32(row + 1)
	}
	return 1
}

// each runs call on the pool for each sequence i with its range of rows.
func (f *poolRows) each(call func(i, lo, hi int)) {
	f.t.pool.For(len(f.starts)-1, func(i, _ int) { call(i, f.starts[i], f.starts[i+1]) })
}

// Forward adds the rows in order.
func (f *poolRows) Forward() (mat.Tensor, error) {
	c, b := f.cols, len(f.starts)-1
	y, x := f.t.tensor(b, len(f.ways)*c), Values(f.x)
	if slices.Contains(f.ways, PoolMax) && f.keep {
		f.places = f.t.Ints(len(f.ways) * b * c)
	}
	f.each(func(i, lo, hi int) {
		for k, way := range f.ways {
			at := i*len(f.ways) + k
			out := y.data[at*c : (at+1)*c]
			if way == PoolMax {
				f.largest(out, x, at, lo, hi)
				continue
			}
			clear(out)
			for row := lo; row < hi; row++ {
				switch w := f.weight(way, row-lo, hi-lo); w {
				case 0:
				case 1:
					kernel.AddTo(out, x[row*c:(row+1)*c])
				default:
					kernel.AddScaled(out, x[row*c:(row+1)*c], w)
				}
			}
			kernel.Scale(out, out, f.factor(way, hi-lo))
		}
	})
	return y, nil
}

// largest sets out to the largest value of each column; the first of equal ones counts.
func (f *poolRows) largest(out, x []float32, at, lo, hi int) {
	c := f.cols
	copy(out, x[(lo+f.skip)*c:])
	var places []int32
	if f.places != nil {
		places = f.places[at*c : (at+1)*c]
		for j := range places {
			places[j] = int32(lo + f.skip)
		}
	}
	for row := lo + f.skip + 1; row < hi; row++ {
		for j, v := range x[row*c : (row+1)*c] {
			if v > out[j] || v != v {
				out[j] = v
				if places != nil {
					places[j] = int32(row)
				}
			}
		}
	}
}

// Backward: a row gets dY times its weight; the largest value of a column gets that column's.
func (f *poolRows) Backward(gy mat.Tensor) error {
	c, dy := f.cols, Values(gy)
	f.into(f.x, func(dst []float32, add bool) {
		f.each(func(i, lo, hi int) {
			for row := lo; row < hi; row++ {
				to, add := dst[row*c:(row+1)*c], add
				for k, way := range f.ways {
					at := i*len(f.ways) + k
					w := f.weight(way, row-lo, hi-lo) * f.factor(way, hi-lo)
					switch from := dy[at*c : (at+1)*c]; {
					case add && w != 0:
						kernel.AddScaled(to, from, w)
					case !add && w != 0:
						kernel.Scale(to, from, w)
					case !add:
						clear(to)
					}
					add = true
				}
			}
			for k, way := range f.ways {
				if way == PoolMax {
					at := i*len(f.ways) + k
					for j, row := range f.places[at*c : (at+1)*c] {
						dst[int(row)*c+j] += dy[at*c+j]
					}
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
