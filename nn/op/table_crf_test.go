package op

import (
	"math"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
)

// refPaths calls f with every path over k tags and its score, −∞ if it takes a transition that mask forbids.
// Transitions are laid out as in Chain. ends says whether the scores of the first and of the last tag count.
func refPaths(e, t []float64, k int, mask []bool, ends [2]bool, f func(path []int, score float64)) {
	n := len(e) / k
	path := make([]int, n)
	score := func() float64 {
		sum, last := 0.0, 0
		add := func(i, j int) {
			if at := i*(k+1) + j; mask == nil || !mask[at] {
				sum += t[at]
			} else {
				sum = math.Inf(-1)
			}
		}
		for i, y := range path {
			sum += e[i*k+y]
			if i > 0 || ends[0] {
				add(last, y+1)
			}
			last = y + 1
		}
		if ends[1] {
			add(last, 0)
		}
		return sum
	}
	for {
		f(path, score())
		i := 0
		for i < n && path[i] == k-1 {
			path[i] = 0
			i++
		}
		if i == n {
			return
		}
		path[i]++
	}
}

// refCRF sums the loss of chains over all of their paths.
func refCRF(e, t []float64, k int, starts []int, labels []int32, mask []bool) float64 {
	banned := func(i, j int) bool { return mask != nil && mask[i*(k+1)+j] }
	loss := 0.0
	for s := range len(starts) - 1 {
		var rows []int
		for row := starts[s]; row < starts[s+1]; row++ {
			if labels[row] != Ignore {
				rows = append(rows, row)
			}
		}
		for lo := 0; lo < len(rows); {
			hi := lo + 1
			for hi < len(rows) && !banned(int(labels[rows[hi-1]])+1, int(labels[rows[hi]])+1) {
				hi++
			}
			ends := [2]bool{
				lo == 0 && !banned(0, int(labels[rows[lo]])+1), hi == len(rows) && !banned(int(labels[rows[hi-1]])+1, 0),
			}
			var x []float64
			for _, row := range rows[lo:hi] {
				x = append(x, e[row*k:(row+1)*k]...)
			}
			z, gold := 0.0, 0.0
			refPaths(x, t, k, mask, ends, func(path []int, score float64) {
				z += math.Exp(score)
				same := true
				for i, y := range path {
					same = same && int32(y) == labels[rows[lo+i]]
				}
				if same {
					gold = score
				}
			})
			loss += math.Log(z) - gold
			lo = hi
		}
	}
	return loss
}

// masked returns a mask of (k+1)×(k+1) transitions in which the given pairs are forbidden.
func masked(k int, pairs ...[2]int) []bool {
	m := make([]bool, (k+1)*(k+1))
	for _, p := range pairs {
		m[p[0]*(k+1)+p[1]] = true
	}
	return m
}

func crfSamples() []sample {
	bio := masked(3, [2]int{0, 3}, [2]int{1, 3}) // tags O, B, I: I follows neither O nor the start
	var list []sample
	for _, c := range []struct {
		name   string
		k      int
		starts []int
		labels []int32
		mask   []bool
		frozen bool
		size   float32 // of the scores
	}{
		{"plain", 3, []int{0, 4, 7}, []int32{0, 2, 1, 1, 2, 2, 0}, nil, false, 1},
		{"frozen", 3, []int{0, 4, 7}, []int32{0, 2, 1, 1, 2, 2, 0}, nil, true, 1},
		{"one row", 2, []int{0, 1}, []int32{1}, nil, false, 1},
		{"one tag", 1, []int{0, 3, 4}, []int32{0, 0, 0, 0}, nil, false, 1},
		{"ignore", 3, []int{0, 5, 8}, []int32{Ignore, 2, Ignore, 1, Ignore, Ignore, Ignore, 0}, nil, false, 1},
		{"all ignored", 3, []int{0, 2}, []int32{Ignore, Ignore}, nil, false, 1},
		{"no sequences", 2, []int{0}, nil, nil, false, 1},
		{"empty sequence", 2, []int{0, 2, 2, 3}, []int32{1, 0, 0}, nil, false, 1},
		{"mask", 3, []int{0, 4, 7}, []int32{0, 1, 2, 0, 1, 1, 2}, bio, false, 1},
		{"mask of ends", 3, []int{0, 3, 4}, []int32{0, 1, 0, 0}, masked(3, [2]int{0, 2}, [2]int{2, 0}), false, 1},
		{"labels begin at a forbidden tag", 3, []int{0, 3}, []int32{2, 2, 0}, bio, false, 1},
		{"labels take a forbidden transition", 3, []int{0, 5}, []int32{1, 0, 2, 2, 0}, bio, false, 1},
		{"labels end at a forbidden tag", 3, []int{0, 2, 3}, []int32{0, 1, 1}, masked(3, [2]int{2, 0}), false, 1},
		{"only forbidden transitions", 2, []int{0, 2}, []int32{0, 1}, masked(2, [2]int{0, 1}, [2]int{1, 2}, [2]int{2, 0}),
			false, 1},
		{"sharp", 3, []int{0, 4}, []int32{0, 2, 1, 1}, nil, false, 12},
		{"several tasks", 2, []int{0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13}, []int32{0, 1, 1, 0, 1, 1, 0, 0, 0, 1, 0, 1, 0}, nil,
			false, 1},
	} {
		n := len(c.labels)
		r := seedOf("crf " + c.name)
		scores := random(r, (c.k+1)*(c.k+1), c.size)
		w, wide := stored(NewMatrix(c.k+1, c.k+1), F32, scores)
		s := sample{name: "crf/" + c.name, xs: []leaf{{"emissions", n, c.k, random(r, n*c.k, c.size)}}}
		if !c.frozen {
			s.ps = []leaf{{"transitions", c.k + 1, c.k + 1, scores}}
		}
		s.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
			of := w
			if len(ps) > 0 {
				of = &Weight{Rows: c.k + 1, Cols: c.k + 1, Param: ps[0]}
			}
			sum, _ := CRF(t, xs[0], of, c.starts, c.labels, c.mask)
			return sum
		}
		s.ref = func(xs, ps [][]float64) []float64 {
			of := wide
			if len(ps) > 0 {
				of = ps[0]
			}
			return []float64{refCRF(xs[0], of, c.k, c.starts, c.labels, c.mask)}
		}
		list = append(list, s)
	}
	return list
}
