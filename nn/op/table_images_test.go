package op

import (
	"math"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
)

// keys is Keys' cubic convolution with a = −0.75 as a function of the distance.
func keys(d float64) float64 {
	const a = -0.75
	switch d = math.Abs(d); {
	case d <= 1:
		return (a+2)*d*d*d - (a+3)*d*d + 1
	case d < 2:
		return a*d*d*d - 5*a*d*d + 8*a*d - 4*a
	}
	return 0
}

// refResampled interpolates a table of from rows to the grid to, at each place over all rows that are near.
func refResampled(table []float64, from, to [2]int, c int) []float64 {
	y := make([]float64, to[0]*to[1]*c)
	for i := range to[0] * to[1] {
		down := float64(from[0])/float64(to[0])*(float64(i/to[1])+0.5) - 0.5
		across := float64(from[1])/float64(to[1])*(float64(i%to[1])+0.5) - 0.5
		for v := math.Floor(down) - 1; v <= math.Floor(down)+2; v++ {
			for h := math.Floor(across) - 1; h <= math.Floor(across)+2; h++ {
				row, col := min(max(int(v), 0), from[0]-1), min(max(int(h), 0), from[1]-1)
				for j := range c {
					y[i*c+j] += keys(down-v) * keys(across-h) * table[(row*from[1]+col)*c+j]
				}
			}
		}
	}
	return y
}

// refImageRows is written as transformers' ViTEmbeddings, image by image.
func refImageRows(x []float64, p Patches, tokens [][]float64, positions []float64, c int) []float64 {
	k := len(tokens)
	var y []float64
	for i := range len(p.Starts) - 1 {
		table := positions
		if g := p.grid(i); g != p.Own {
			table = append(append([]float64(nil), positions[:k*c]...), refResampled(positions[k*c:], p.Own, g, c)...)
		}
		var rows []float64
		for _, t := range tokens {
			rows = append(rows, t...)
		}
		for j, v := range append(rows, x[p.Starts[i]*c:p.Starts[i+1]*c]...) {
			y = append(y, v+table[j])
		}
	}
	return y
}

func imageSample(name string, p Patches, tokens, c int, train bool) sample {
	r := seedOf(name)
	n := p.Starts[len(p.Starts)-1]
	s := sample{name: "image rows/" + name, xs: []leaf{{"x", n, c, random(r, n*c, 1)}}}
	var weights []leaf
	for i := range tokens {
		weights = append(weights, leaf{string(rune('a' + i)), 1, c, random(r, c, 1)})
	}
	rows := tokens + p.Own[0]*p.Own[1]
	weights = append(weights, leaf{"positions", rows, c, random(r, rows*c, 1)})
	if train {
		s.ps = weights
	}
	s.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
		var list []*Weight
		for i, l := range weights {
			w := NewMatrix(l.rows, l.cols)
			if train {
				w.Param = ps[i]
			} else {
				must(w.SetValues(l.v))
			}
			list = append(list, w)
		}
		return ImageRows(t, xs[0], p, list[:tokens], list[tokens])
	}
	s.ref = func(xs, ps [][]float64) []float64 {
		if !train {
			for _, l := range weights {
				ps = append(ps, wide(l.v))
			}
		}
		return refImageRows(xs[0], p, ps[:tokens], ps[tokens], c)
	}
	return s
}

func imageSamples() []sample {
	own := Patches{Starts: []int{0, 6, 12, 18}, Own: [2]int{2, 3}}
	grids := Patches{
		Starts: []int{0, 6, 26, 32, 34, 54}, Own: [2]int{3, 2},
		Grids: [][2]int{{3, 2}, {4, 5}, {2, 3}, {1, 2}, {4, 5}},
	}
	return []sample{
		imageSample("frozen", own, 1, 4, false),
		imageSample("trained", own, 1, 4, true),
		imageSample("two tokens", own, 2, 3, true),
		imageSample("other grids", grids, 1, 3, true),
		imageSample("other grids two tokens", grids, 2, 4, true),
		imageSample("other grids frozen", grids, 2, 4, false),
	}
}

// torchImageRows compares the rows of images of one grid, of which y has only the grid's, with those of PyTorch's
// interpolate.
func torchImageRows(c torchCase) {
	w := c.trainedWeight("table")
	from, to := c.ints("from"), c.ints("to")
	p := Patches{Starts: []int{0, to[0] * to[1]}, Grids: [][2]int{{to[0], to[1]}}, Own: [2]int{from[0], from[1]}}
	x := NewParam(to[0]*to[1], w.Cols, make([]float32, to[0]*to[1]*w.Cols))
	y := ImageRows(c.tape, x, p, nil, w)
	c.is("y", Values(y))
	c.backward(y)
	c.is("dtable", Grad(w.Param))
}
