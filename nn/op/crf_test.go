package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spagocrf "github.com/nlpodyssey/spago/nn/crf"
)

// chainCase is a chain with random scores.
type chainCase struct {
	k           int
	emissions   []float32
	transitions []float32
	tags        []int32
}

func randomChain(r *rand.Rand, n, k int, size float32) chainCase {
	c := chainCase{k, random(r, n*k, size), random(r, (k+1)*(k+1), size), make([]int32, n)}
	for i := range c.tags {
		c.tags[i] = int32(r.IntN(k))
	}
	return c
}

func (c chainCase) weight() *Weight {
	w := NewMatrix(c.k+1, c.k+1)
	must(w.SetValues(slices.Clone(c.transitions)))
	return w
}

// run returns the loss of the chain and its gradients.
func (c chainCase) run(mask []bool) (loss float64, dx, dw []float32) {
	tape := NewTape(nil)
	defer tape.Close()
	w := c.weight()
	x, p := NewParam(len(c.tags), c.k, slices.Clone(c.emissions)), w.Train()
	sum, _ := CRF(tape, x, w, []int{0, len(c.tags)}, c.tags, mask)
	loss = float64(Values(sum)[0])
	must(tape.Backward(sum))
	return loss, slices.Clone(Grad(x)), slices.Clone(Grad(p))
}

// spagoCRF computes the loss with spago's layer and its own backward in the type T.
func spagoCRF[T float32 | float64](c chainCase) (loss float64, dx, dw []float64, path []int) {
	m := spagocrf.New[T](c.k)
	cast := func(v []float32) []T {
		out := make([]T, len(v))
		for i, x := range v {
			out[i] = T(x)
		}
		return out
	}
	mat.SetData[T](m.TransitionScores.Value().(mat.Matrix), cast(c.transitions))
	var rows []mat.Tensor
	for i := range c.tags {
		rows = append(rows, mat.NewDense[T](mat.WithBacking(cast(c.emissions[i*c.k:(i+1)*c.k])), mat.WithGrad(true)))
	}
	var tags []int
	for _, y := range c.tags {
		tags = append(tags, int(y))
	}
	y := m.NegativeLogLoss(rows, tags)
	must(ag.Backward(y))
	for _, row := range rows {
		dx = append(dx, row.Grad().Data().F64()...)
	}
	return y.Value().Item().F64(), dx, m.TransitionScores.Grad().Data().F64(), m.Decode(rows)
}

// TestCRFEqualsSpago compares losses, gradients and best paths with spago's layer in float64.
func TestCRFEqualsSpago(t *testing.T) {
	r := seedOf("spago")
	for n := 1; n <= 6; n++ {
		for _, k := range []int{1, 2, 5} {
			c := randomChain(r, n, k, 1)
			loss, dx, dw := c.run(nil)
			want, wx, ww, path := spagoCRF[float64](c)
			if math.Abs(loss-want) > 1e-6*math.Max(1, want) {
				t.Errorf("%d rows, %d tags: loss %g, spago's %g", n, k, loss, want)
			}
			for what, pair := range map[string][2][]float64{"emissions": {wide(dx), wx}, "transitions": {wide(dw), ww}} {
				for i, g := range pair[1] {
					if math.Abs(pair[0][i]-g) > 1e-6 {
						t.Errorf("%d rows, %d tags: gradient %d of %s is %g, spago's %g", n, k, i, what, pair[0][i], g)
					}
				}
			}
			got := make([]int32, n)
			NewChain(c.weight(), nil).Viterbi(c.emissions, got)
			for i, y := range path {
				if int(got[i]) != y {
					t.Errorf("%d rows, %d tags: best path %v, spago's %v", n, k, got, path)
					break
				}
			}
		}
	}
}

// TestCRFDoesNotOverflow: spago's layer takes the exponential of the scores of whole paths, which float32 cannot hold
// for a sentence of usual length; ours equals the layer in float64.
func TestCRFDoesNotOverflow(t *testing.T) {
	c := randomChain(seedOf("overflow"), 40, 5, 4)
	loss, dx, _ := c.run(nil)
	if theirs, _, _, _ := spagoCRF[float32](c); !math.IsInf(theirs, 0) && !math.IsNaN(theirs) {
		t.Errorf("spago's loss in float32 is %g; the docs say that it overflows", theirs)
	}
	want, wx, _, _ := spagoCRF[float64](c)
	if math.Abs(loss-want) > 1e-6*want {
		t.Errorf("loss %g, spago's in float64 %g", loss, want)
	}
	for i, g := range wx {
		if math.Abs(float64(dx[i])-g) > 1e-6 {
			t.Errorf("gradient %d is %g, spago's %g", i, dx[i], g)
		}
	}
	huge := randomChain(seedOf("huge"), 500, 3, 1e4)
	loss, dx, dw := huge.run(nil)
	for _, v := range append(append(dx, dw...), float32(loss)) {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			t.Fatalf("scores of 1e4 over 500 rows give %g", v)
		}
	}
}

// TestCRFWithoutTransitions: if all transitions score 0, rows are independent, so that the loss is the cross-entropy of
// the rows, the best path has the largest logit of each, and the marginals are the softmax.
func TestCRFWithoutTransitions(t *testing.T) {
	c := randomChain(seedOf("independent"), 9, 4, 3)
	clear(c.transitions)
	loss, dx, _ := c.run(nil)
	tape := NewTape(nil)
	defer tape.Close()
	x := NewParam(9, 4, c.emissions)
	sum, _ := CrossEntropy(tape, x, c.tags, CrossEntropyConfig{})
	must(tape.Backward(sum))
	if want := float64(Values(sum)[0]); math.Abs(loss-want) > 1e-5 {
		t.Errorf("loss %g, cross-entropy %g", loss, want)
	}
	p, path := make([]float32, len(c.emissions)), make([]int32, 9)
	chain := NewChain(c.weight(), nil)
	chain.Marginals(c.emissions, p)
	chain.Viterbi(c.emissions, path)
	for i, y := range c.tags {
		best := 0
		for j := range c.k {
			at := i*c.k + j
			if math.Abs(float64(dx[at]-Grad(x)[at])) > 1e-6 {
				t.Errorf("gradient %d is %g, of the cross-entropy %g", at, dx[at], Grad(x)[at])
			}
			softmax := Grad(x)[at]
			if int32(j) == y {
				softmax++
			}
			if math.Abs(float64(p[at]-softmax)) > 1e-6 {
				t.Errorf("marginal %d is %g, softmax %g", at, p[at], softmax)
			}
			if c.emissions[at] > c.emissions[i*c.k+best] {
				best = j
			}
		}
		if int(path[i]) != best {
			t.Errorf("row %d: tag %d, but the largest logit is %d's", i, path[i], best)
		}
	}
}

// TestChainEqualsAllPaths compares the best path and the marginals with those of all paths, with a mask and without.
func TestChainEqualsAllPaths(t *testing.T) {
	r := seedOf("paths")
	for n := 1; n <= 5; n++ {
		for _, mask := range [][]bool{nil, masked(3, [2]int{0, 3}, [2]int{1, 3}, [2]int{2, 0})} {
			c := randomChain(r, n, 3, 2)
			best, most, z := []int(nil), math.Inf(-1), 0.0
			want := make([]float64, n*3)
			refPaths(wide(c.emissions), wide(c.transitions), 3, mask, [2]bool{true, true}, func(path []int, score float64) {
				if score > most {
					best, most = slices.Clone(path), score
				}
				z += math.Exp(score)
				for i, y := range path {
					want[i*3+y] += math.Exp(score)
				}
			})
			p, path := make([]float32, n*3), make([]int32, n)
			chain := NewChain(c.weight(), mask)
			chain.Viterbi(c.emissions, path)
			chain.Marginals(c.emissions, p)
			for i, y := range best {
				if int(path[i]) != y {
					t.Errorf("%d rows: best path %v, want %v", n, path, best)
				}
			}
			for i, v := range want {
				if math.Abs(float64(p[i])-v/z) > 1e-6 {
					t.Errorf("%d rows: marginal %d is %g, want %g", n, i, p[i], v/z)
				}
			}
			loss, chains := chain.Loss(c.emissions, path)
			if math.Abs(loss-(math.Log(z)-most)) > 1e-6 || chains != 1 {
				t.Errorf("%d rows: loss of the best path %g, want %g", n, loss, math.Log(z)-most)
			}
		}
	}
	chain := NewChain(chainCase{k: 2, transitions: make([]float32, 9)}.weight(), nil)
	chain.Viterbi(nil, nil)
	chain.Marginals(nil, nil)
	if loss, chains := chain.Loss(nil, nil); loss != 0 || chains != 0 {
		t.Errorf("no rows: loss %g of %d chains", loss, chains)
	}
	path := make([]int32, 4)
	if chain.Viterbi(make([]float32, 8), path); slices.Max(path) != 0 {
		t.Errorf("of equal scores, %v has not the lowest tags", path)
	}
}

// TestForbiddenTransitions: no emission, however large, makes a path take a forbidden transition, and the marginal of a
// tag that only such paths have is 0.
func TestForbiddenTransitions(t *testing.T) {
	w := NewMatrix(4, 4)
	scores := make([]float32, 16)
	for _, at := range []int{0*4 + 3, 1*4 + 3} { // tags O, B, I: I follows neither the start nor O
		scores[at] = Forbidden
	}
	scores[2*4+3] = Forbidden / 9 // as weight decay leaves it
	must(w.SetValues(scores))
	mask := ForbiddenIn(w)
	if want := masked(3, [2]int{0, 3}, [2]int{1, 3}, [2]int{2, 3}); !slices.Equal(mask, want) {
		t.Fatalf("mask %v, want %v", mask, want)
	}
	chain := NewChain(w, mask)
	emissions, path, p := []float32{0, 0, 3e38, 0, -1, 3e38}, make([]int32, 2), make([]float32, 6)
	chain.Viterbi(emissions, path)
	chain.Marginals(emissions, p)
	if slices.Contains(path, 2) || p[2] != 0 || p[5] != 0 {
		t.Errorf("path %v, marginals %v", path, p)
	}
	must(w.SetValues(make([]float32, 16)))
	if mask := ForbiddenIn(w); mask != nil {
		t.Errorf("scores of 0 forbid %v", mask)
	}
}

func TestCRFPanics(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	w := chainCase{k: 2, transitions: make([]float32, 9)}.weight()
	x := constant(3, 2)
	for name, f := range map[string]func(){
		"label":       func() { CRF(tape, x, w, []int{0, 3}, []int32{0, 2, 0}, nil) },
		"negative":    func() { CRF(tape, x, w, []int{0, 3}, []int32{0, -1, 0}, nil) },
		"labels":      func() { CRF(tape, x, w, []int{0, 3}, []int32{0}, nil) },
		"starts":      func() { CRF(tape, x, w, []int{0, 2}, []int32{0, 0, 0}, nil) },
		"columns":     func() { CRF(tape, constant(3, 3), w, []int{0, 3}, []int32{0, 0, 0}, nil) },
		"transitions": func() { CRF(tape, x, NewMatrix(3, 2), []int{0, 3}, []int32{0, 0, 0}, nil) },
		"mask":        func() { CRF(tape, x, w, []int{0, 3}, []int32{0, 0, 0}, make([]bool, 4)) },
		"path":        func() { NewChain(w, nil).Viterbi(make([]float32, 4), make([]int32, 3)) },
		"marginals":   func() { NewChain(w, nil).Marginals(make([]float32, 4), make([]float32, 3)) },
		"tags":        func() { NewChain(w, nil).Loss(make([]float32, 4), []int32{0, 7}) },
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

// TestCRFAllocations: the number of allocations of a step does not depend on the number of rows.
func TestCRFAllocations(t *testing.T) {
	count := func(sentences int) float64 {
		tape := NewTape(nil)
		defer tape.Close()
		c := randomChain(seedOf("allocations"), 10*sentences, 5, 1)
		starts := make([]int, sentences+1)
		for i := range starts {
			starts[i] = 10 * i
		}
		w := c.weight()
		x, _ := NewParam(len(c.tags), c.k, c.emissions), w.Train()
		return testing.AllocsPerRun(5, func() {
			sum, _ := CRF(tape, x, w, starts, c.tags, nil)
			must(tape.Backward(sum))
			tape.Reset()
		})
	}
	if few, many := count(20), count(400); many > few+10 { // lists of free memory grow
		t.Errorf("%g allocations for 20 sentences, %g for 400", few, many)
	}
}

// BenchmarkCRF measures a batch of 16 sentences of 20 words, forward and backward.
func BenchmarkCRF(b *testing.B) {
	for _, k := range []int{5, 13, 37} {
		b.Run(fmt.Sprintf("%d tags", k), func(b *testing.B) {
			tape := NewTape(nil)
			defer tape.Close()
			c := randomChain(seedOf("bench"), 320, k, 1)
			starts := make([]int, 17)
			for i := range starts {
				starts[i] = 20 * i
			}
			w := c.weight()
			x, _ := NewParam(len(c.tags), k, c.emissions), w.Train()
			for b.Loop() {
				sum, _ := CRF(tape, x, w, starts, c.tags, nil)
				must(tape.Backward(sum))
				tape.Reset()
			}
		})
	}
}
