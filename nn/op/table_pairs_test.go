package op

import (
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"
)

func refMeanRows(x []float64, starts []int, c int) []float64 {
	var y []float64
	for i := range len(starts) - 1 {
		for j := range c {
			sum := 0.0
			for row := starts[i]; row < starts[i+1]; row++ {
				sum += x[row*c+j]
			}
			y = append(y, sum/float64(starts[i+1]-starts[i]))
		}
	}
	return y
}

// refPoolRows is written as sentence-transformers' Pooling, with a mask over the rows.
func refPoolRows(x []float64, starts []int, c, skip int, ways []Pooling) []float64 {
	var y []float64
	for i := range len(starts) - 1 {
		first, last := starts[i]+skip, starts[i+1]-1
		for _, way := range ways {
			for j := range c {
				sum, weighted, weights, most := 0.0, 0.0, 0.0, math.Inf(-1)
				for row := first; row <= last; row++ {
					v, w := x[row*c+j], float64(row-starts[i]+1)
					sum, weighted, weights, most = sum+v, weighted+w*v, weights+w, max(most, v)
				}
				n := float64(last - first + 1)
				y = append(y, map[Pooling]float64{
					PoolFirst: x[first*c+j], PoolLast: x[last*c+j], PoolMax: most, PoolMean: sum / n,
					PoolMeanSqrt: sum / math.Sqrt(n), PoolWeightedMean: weighted / weights,
				}[way])
			}
		}
	}
	return y
}

func refNormalizeRows(x []float64, c int) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		norm := 0.0
		for _, v := range x[i/c*c : (i/c+1)*c] {
			norm += v * v
		}
		y[i] = x[i] / math.Sqrt(norm)
	}
	return y
}

// refPairScores returns the products of all first rows with all second rows.
func refPairScores(x []float64, c int, scale float64) []float64 {
	g := len(x) / c / 2
	y := make([]float64, g*g)
	for i := range g {
		for j := range g {
			for k := range c {
				y[i*g+j] += scale * x[2*i*c+k] * x[(2*j+1)*c+k]
			}
		}
	}
	return y
}

func pairSamples() []sample {
	var list []sample
	for _, starts := range [][]int{{0, 3, 4, 8}, {0, 1}, {0, 70, 71, 300}} {
		rows := starts[len(starts)-1]
		list = append(list, unary(fmt.Sprintf("mean rows/%d", rows), rows, 11,
			func(t *Tape, x mat.Tensor) mat.Tensor { return MeanRows(t, x, starts) },
			func(x []float64) []float64 { return refMeanRows(x, starts, 11) }))
	}
	all := []Pooling{PoolFirst, PoolMax, PoolMean, PoolMeanSqrt, PoolWeightedMean, PoolLast}
	for _, x := range []struct {
		skip int
		ways []Pooling
	}{
		{0, all}, {2, all}, {0, []Pooling{PoolMax}}, {1, []Pooling{PoolWeightedMean}}, {2, []Pooling{PoolLast, PoolFirst}},
		{0, []Pooling{PoolMeanSqrt, PoolMeanSqrt}},
	} {
		starts := []int{0, 3, 7, 60}
		list = append(list, unary(fmt.Sprintf("pool rows/%v/%d", x.ways, x.skip), 60, 11,
			func(t *Tape, y mat.Tensor) mat.Tensor { return PoolRows(t, y, starts, x.skip, x.ways...) },
			func(y []float64) []float64 { return refPoolRows(y, starts, 11, x.skip, x.ways) }))
	}
	for _, size := range [][2]int{{1, 1}, {4, 7}, {300, 40}} {
		list = append(list, unary(fmt.Sprintf("normalize rows/%d×%d", size[0], size[1]), size[0], size[1],
			func(t *Tape, x mat.Tensor) mat.Tensor { return NormalizeRows(t, x) },
			func(x []float64) []float64 { return refNormalizeRows(x, size[1]) }))
	}
	for _, size := range [][2]int{{2, 1}, {6, 7}, {80, 70}} {
		rows, c := size[0], size[1]
		list = append(list,
			unary(fmt.Sprintf("pair dots/%d×%d", rows, c), rows, c,
				func(t *Tape, x mat.Tensor) mat.Tensor { return PairDots(t, x) },
				func(x []float64) []float64 {
					var y []float64
					scores := refPairScores(x, c, 1)
					for i := range rows / 2 {
						y = append(y, scores[i*rows/2+i])
					}
					return y
				}),
			unary(fmt.Sprintf("pair scores/%d×%d", rows, c), rows, c,
				func(t *Tape, x mat.Tensor) mat.Tensor { return PairScores(t, x, 1.5) },
				func(x []float64) []float64 { return refPairScores(x, c, 1.5) }))
	}
	return list
}
