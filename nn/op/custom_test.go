package op

import (
	"errors"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
)

// scaledProduct is x∘h with the columns scaled by w, as another package would write it.
func scaledProduct(x, h mat.Tensor, w *spago.Param) Custom {
	rows, cols := Size(x)
	inputs := []mat.Tensor{x, h, w}
	each := func(f func(i, col int)) {
		for i := range rows * cols {
			f(i, i%cols)
		}
	}
	return Custom{
		Name: "scaled product", Inputs: inputs, Reads: []mat.Tensor{x, h}, Rows: rows, Cols: cols,
		Forward: func(y []float32) error {
			a, b, c := Values(x), Values(h), Values(w)
			each(func(i, col int) { y[i] = a[i] * b[i] * c[col] })
			return nil
		},
		Backward: func(dy []float32, g Gradients) error {
			a, b, c := Values(x), Values(h), Values(w)
			dx, dh, dw := make([]float32, len(a)), make([]float32, len(a)), make([]float32, cols)
			each(func(i, col int) {
				dx[i], dh[i] = dy[i]*b[i]*c[col], dy[i]*a[i]*c[col]
				dw[col] += dy[i] * a[i] * b[i]
			})
			if g.Needs(0) {
				g.Add(0, dx)
			}
			g.Add(1, dh)
			g.Add(2, dw)
			return nil
		},
	}
}

func run(t *Tape, c Custom) mat.Tensor {
	y, err := t.Run(c)
	must(err)
	return y
}

// customSamples are functions of another package.
func customSamples() []sample {
	build := func(name string, twice, again bool) sample {
		r := seedOf(name)
		s := sample{name: "custom/" + name, xs: []leaf{{"x", 4, 3, random(r, 12, 1)}}}
		s.ps = []leaf{{"w", 1, 3, random(r, 3, 1)}}
		if !twice {
			s.xs = append(s.xs, leaf{"h", 4, 3, random(r, 12, 1)})
		}
		s.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
			x, h := xs[0], xs[len(xs)-1]
			if again { // x is a value that the tape frees and computes again
				x = Activate(t, x, GELU)
			}
			return run(t, scaledProduct(x, h, ps[0]))
		}
		s.ref = func(xs, ps [][]float64) []float64 {
			x, y := xs[0], make([]float64, 12)
			if again {
				x = refActivate(x, GELU)
			}
			for i := range y {
				y[i] = x[i] * xs[len(xs)-1][i] * ps[0][i%3]
			}
			return y
		}
		return s
	}
	return []sample{build("two", false, false), build("operand twice", true, false), build("recomputed", false, true)}
}

// TestCustom holds functions of another package to the rules of those of this one: errors, nothing recorded without
// need, values kept only where they are read, and blocks that run again.
func TestCustom(t *testing.T) {
	x, w := NewParam(4, 3, random(seedOf("x"), 12, 1)), NewParam(1, 3, random(seedOf("w"), 3, 1))
	frozen := constant(4, 3)
	tape := NewTape(nil)
	defer tape.Close()

	bad := scaledProduct(x, frozen, w)
	bad.Forward = func([]float32) error { return errors.New("no luck") }
	if _, err := tape.Run(bad); err == nil || err.Error() != "scaled product: no luck" {
		t.Errorf("error of Forward: %v", err)
	}
	bad = scaledProduct(x, frozen, w)
	bad.Backward = func([]float32, Gradients) error { return errors.New("no way back") }
	err := tape.Backward(Add(tape, Rows(tape, MSE(tape, run(tape, bad), make([]float32, 12)), []int{0})))
	if err == nil || !strings.Contains(err.Error(), "scaled product: no way back") {
		t.Errorf("error of Backward: %v", err)
	}
	tape.Reset()
	for name, add := range map[string]func(g Gradients){
		"a gradient of 5 values for input 0 of 4×3": func(g Gradients) { g.Add(0, make([]float32, 5)) },
		"two gradients for input 0": func(g Gradients) {
			g.Add(0, make([]float32, 12))
			g.Add(0, make([]float32, 12))
		},
	} {
		bad := scaledProduct(x, frozen, w)
		bad.Backward = func(_ []float32, g Gradients) error { add(g); return nil }
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, name) {
					t.Errorf("panic %q, want %q", got, name)
				}
			}()
			t.Error(tape.Backward(MSE(tape, run(tape, bad), make([]float32, 12))))
		}()
		tape.Reset()
	}

	constantOnly := scaledProduct(x, frozen, w)
	constantOnly.Backward = nil
	if y := run(tape, constantOnly); y.RequiresGrad() || len(tape.nodes) != 0 {
		t.Error("a function without Backward is recorded")
	}
	if eval := NewEvalTape(nil); eval.Tracks(x) || !tape.Tracks(frozen, x) || tape.Tracks(frozen) {
		t.Error("Tracks is wrong")
	}
	tape.Reset()

	scope := tape.Scope()
	a, b := Add(tape, x), Add(tape, x)
	c := scaledProduct(a, b, w)
	c.Reads = []mat.Tensor{a}
	y := run(tape, c)
	tape.Leave(scope, y)
	if value(a).data == nil || value(b).data != nil {
		t.Error("the tape keeps other values than those that Backward reads")
	}
	tape.Reset()
}

// TestCustomInCheckpoint: a block with a function of another package runs again with the same bits.
func TestCustomInCheckpoint(t *testing.T) {
	grads := func(checkpoint bool) []float32 {
		x, w := NewParam(4, 3, random(seedOf("x"), 12, 1)), NewParam(1, 3, random(seedOf("w"), 3, 1))
		tape := NewTape(nil)
		defer tape.Close()
		block := func(tape *Tape, x mat.Tensor) mat.Tensor { return run(tape, scaledProduct(x, Add(tape, x, x), w)) }
		in := Add(tape, x)
		var y mat.Tensor
		if checkpoint {
			y = tape.Checkpoint([]mat.Tensor{in}, func(tape *Tape, xs []mat.Tensor) mat.Tensor { return block(tape, xs[0]) })
		} else {
			y = block(tape, in)
		}
		must(tape.Backward(MSE(tape, y, make([]float32, 12))))
		return append(append([]float32(nil), Grad(x)...), Grad(w)...)
	}
	equalBits(t, "gradients", grads(true), grads(false))
}

// TestCustomWithoutGradient: an input that a Backward leaves out gets no gradient, and ag.Backward does not wait for
// one.
func TestCustomWithoutGradient(t *testing.T) {
	for _, heap := range []bool{false, true} {
		x, h := NewParam(2, 2, []float32{1, 2, 3, 4}), NewParam(2, 2, []float32{1, 1, 2, 2})
		tape := NewTape(nil)
		if heap {
			tape = NewHeapTape(nil)
		}
		y := run(tape, Custom{
			Name: "first", Inputs: []mat.Tensor{Add(tape, x), Add(tape, h)}, Rows: 2, Cols: 2,
			Forward:  func(y []float32) error { copy(y, Values(x)); return nil },
			Backward: func(dy []float32, g Gradients) error { g.Add(0, dy); return nil },
		})
		loss := MSE(tape, y, make([]float32, 4))
		if heap {
			must(ag.Backward(loss))
		} else {
			must(tape.Backward(loss))
		}
		if g := Grad(x); len(g) != 4 || g[3] == 0 {
			t.Errorf("heap %v: gradient %v", heap, g)
		}
		for _, v := range Grad(h) {
			if v != 0 {
				t.Errorf("heap %v: the input left out has the gradient %v", heap, Grad(h))
			}
		}
		must(tape.Close())
	}
}
