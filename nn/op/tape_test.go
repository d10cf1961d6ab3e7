package op

import (
	"errors"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
)

// chain is a small network: frozen layers below one that is corrected.
type chain struct {
	below, top *Weight
	c          *Correction
}

func newChain(in, hidden, r int) chain {
	rnd := seedOf("chain")
	below, _ := stored(NewMatrix(hidden, in), F32, random(rnd, hidden*in, 0.3))
	top, _ := stored(NewMatrix(3, hidden), F32, random(rnd, 3*hidden, 0.3))
	return chain{below, top, &Correction{A: NewParam(r, hidden, random(rnd, r*hidden, 0.3)),
		B: NewParam(3, r, random(rnd, 3*r, 0.3)), Scale: 2}}
}

func (c chain) loss(t *Tape, x mat.Tensor) mat.Tensor {
	scope := t.Scope()
	h := Activate(t, Affine(t, x, Drop{}, Projection{Weight: c.below}), GELU)
	n, _ := Size(x)
	y := Affine(t, h, Drop{}, Projection{Weight: c.top, Adapt: c.c})
	loss := MSE(t, y, make([]float32, 3*n))
	t.Leave(scope, loss)
	return loss
}

func constant(rows, cols int) mat.Tensor {
	return dense(random(seedOf("constant"), rows*cols, 1), rows, cols)
}

// TestNothingBelowTheLowestTrainable: layers below the lowest one that trains are not recorded, keep nothing and get no
// gradient.
func TestNothingBelowTheLowestTrainable(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	c := newChain(512, 256, 2)
	const n = 64
	x := constant(n, 512)
	h := Activate(tape, Affine(tape, x, Drop{}, Projection{Weight: c.below}), GELU)
	if len(tape.nodes) != 0 || h.RequiresGrad() {
		t.Fatalf("%d functions recorded below the lowest trainable layer", len(tape.nodes))
	}
	tape.Reset()
	loss := c.loss(tape, x)
	if len(tape.nodes) != 2 {
		t.Errorf("%d functions recorded, want the corrected layer and the loss", len(tape.nodes))
	}
	// The tape keeps the layer's input (for the gradient of its correction), U and the gradient of the loss, but not the
	// rows below GELU.
	now, peak := tape.Memory()
	if most := 4 * (n*256 + n*2 + 2*n*3 + 200); now > most {
		t.Errorf("%d bytes kept before the backward, want at most %d", now, most)
	}
	if err := tape.Backward(loss); err != nil {
		t.Fatal(err)
	}
	if _, after := tape.Memory(); after > peak {
		t.Errorf("the backward took %d bytes more than the forward: a gradient of a frozen layer?", after-peak)
	}
	tape.Reset()
	if now, _ := tape.Memory(); now != 0 {
		t.Errorf("%d bytes left after Reset", now)
	}
}

// TestFrozenOperand: an operand that needs no gradient gets none, and a trained layer on constants computes only its
// own.
func TestFrozenOperand(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	x := tape.tensor(4, 3)
	copy(x.data, random(seedOf("x"), 12, 1))
	tape.made = append(tape.made, x)
	w := NewMatrix(2, 3)
	must(w.SetValues(random(seedOf("w"), 6, 1)))
	w.Train()
	if err := tape.Backward(MSE(tape, Affine(tape, x, Drop{}, Projection{Weight: w}), make([]float32, 8))); err != nil {
		t.Fatal(err)
	}
	if x.hasGrad || x.grad != nil {
		t.Error("the constant operand has a gradient buffer")
	}
	if Grad(w.Param) == nil {
		t.Error("the trained weight has no gradient")
	}
}

// TestScopes: on a tape that does not record, the values of a block go back to the arena when it closes, except its
// result.
func TestScopes(t *testing.T) {
	for _, record := range []bool{false, true} {
		tape := NewEvalTape(nil)
		if record {
			tape = NewTape(nil)
		}
		x := constant(40, 16)
		outer := tape.Scope()
		a := Activate(tape, x, ReLU)
		inner := tape.Scope()
		b := Add(tape, a, a)
		c := Add(tape, b, a)
		before, _ := tape.Memory()
		tape.Leave(inner, c)
		after, _ := tape.Memory()
		if before-after != 4*40*16 {
			t.Errorf("recording %v: leaving the inner block freed %d bytes, want %d", record, before-after, 4*40*16)
		}
		want := 3 * max(0, Values(x)[7])
		if got := Values(c)[7]; got != want {
			t.Errorf("recording %v: value handed on is %g, want %g", record, got, want)
		}
		tape.Release(a)
		tape.Release(a) // a second Release does nothing
		tape.Release(x) // not the tape's
		if now, _ := tape.Memory(); now != 4*40*16 {
			t.Errorf("recording %v: %d bytes in use with one value left", record, now)
		}
		tape.Leave(outer)
		if now, _ := tape.Memory(); now != 0 {
			t.Errorf("recording %v: %d bytes in use after the outer block", record, now)
		}
		if err := tape.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestComputedAgain: the tape does not keep the result of GELU for a backward that reads it, but recomputes it from
// GELU's operand.
func TestComputedAgain(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	x := NewParam(4, 8, random(seedOf("again"), 32, 2))
	scope := tape.Scope()
	y := Activate(tape, x, GELU)
	want := append([]float32(nil), Values(y)...)
	loss := newProbe(tape, y, make([]float32, 32), want)
	tape.Leave(scope, loss)
	if value(y).data != nil {
		t.Fatal("the result is kept although it can be recomputed")
	}
	equalBits(t, "computed again", Values(y), want)
	if err := tape.Backward(loss); err != nil {
		t.Fatal(err)
	}
	tape.Reset()
	if now, _ := tape.Memory(); now != 0 {
		t.Errorf("%d bytes left", now)
	}
}

// TestSharedValueComputedAgain: the first of two readers to finish must not free the value that the other reads.
func TestSharedValueComputedAgain(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	grads := map[bool][]float32{}
	for _, leave := range []bool{false, true} {
		x := NewParam(4, 8, random(seedOf("shared"), 32, 2))
		c, d := random(seedOf("c"), 32, 1), random(seedOf("d"), 32, 1)
		scope := tape.Scope()
		y := Activate(tape, x, GELUTanh)
		loss := Add(tape, newProbe(tape, y, c, d), newProbe(tape, y, d, c), newProbe(tape, y, c, c))
		if leave {
			tape.Leave(scope, loss)
		}
		if err := tape.Backward(loss); err != nil {
			t.Fatal(err)
		}
		grads[leave] = Grad(x)
		tape.Reset()
	}
	equalBits(t, "gradient", grads[true], grads[false])
}

func TestBackwardErrors(t *testing.T) {
	tape, other := NewTape(nil), NewTape(nil)
	defer tape.Close()
	defer other.Close()
	p := NewParam(1, 1, []float32{2})
	wide := NewParam(2, 3, make([]float32, 6))
	for _, c := range []struct {
		name string
		loss func() mat.Tensor
		want string
	}{
		{"parameter", func() mat.Tensor { return p }, "this tape did not make"},
		{"constant", func() mat.Tensor { return constant(1, 1) }, "this tape did not make"},
		{"another tape's", func() mat.Tensor { return MSE(other, p, []float32{0}) }, "this tape did not make"},
		{"matrix", func() mat.Tensor { return Add(tape, wide) }, "2×3"},
		{"nothing trains", func() mat.Tensor { return MSE(tape, constant(1, 1), []float32{0}) }, "no trainable parameter"},
		{"twice", func() mat.Tensor {
			l := MSE(tape, p, []float32{0})
			must(tape.Backward(l))
			return l
		}, "spent"},
		{"second loss", func() mat.Tensor {
			a, b := MSE(tape, p, []float32{0}), MSE(tape, p, []float32{1})
			must(tape.Backward(b))
			return a
		}, "spent"},
		{"after Reset", func() mat.Tensor {
			l := MSE(tape, p, []float32{0})
			tape.Reset()
			return l
		}, "spent"},
	} {
		t.Run(c.name, func(t *testing.T) {
			loss := c.loss()
			ZeroGrad(p)
			err := tape.Backward(loss)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "op: ") {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if Grad(p) != nil {
				t.Error("the parameter got a gradient")
			}
			tape.Reset()
			other.Reset()
		})
	}
}

// TestEvalTape: the tape records nothing, so Backward returns an error.
func TestEvalTape(t *testing.T) {
	tape := NewEvalTape(nil)
	defer tape.Close()
	loss := MSE(tape, NewParam(1, 1, []float32{2}), []float32{0})
	if tape.Recording() || len(tape.nodes) != 0 {
		t.Error("the tape records")
	}
	if err := tape.Backward(loss); err == nil {
		t.Error("Backward on a tape that does not record returned no error")
	}
}

// failing is a function whose backward fails.
type failing struct{ node }

func (f *failing) Forward() (mat.Tensor, error) { return f.t.tensor(1, 1), nil }
func (f *failing) Backward(mat.Tensor) error    { return errors.ErrUnsupported }

// TestFailure: an error in a backward is returned, and the tape can be used again after Reset.
func TestFailure(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	p := NewParam(1, 1, []float32{2})
	x := MSE(tape, p, []float32{0})
	loss := MSE(tape, tape.run(&failing{node: node{inputs: []mat.Tensor{x}}}), []float32{0})
	if err := tape.Backward(loss); err == nil || !strings.Contains(err.Error(), "failing") {
		t.Fatalf("got %v", err)
	}
	tape.Reset()
	if now, _ := tape.Memory(); now != 0 {
		t.Errorf("%d bytes left", now)
	}
	if err := tape.Backward(MSE(tape, p, []float32{0})); err != nil {
		t.Error(err)
	}
}

// TestGradientsAddUp: Backward adds to the gradients of earlier runs until ZeroGrad, which keeps the buffer.
func TestGradientsAddUp(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	p := NewParam(1, 2, []float32{2, -1})
	for step, want := range [][]float32{{4, -2}, {8, -4}} {
		must(tape.Backward(MSE(tape, p, []float32{0, 0})))
		tape.Reset()
		equalBits(t, "after "+string(rune('1'+step)), Grad(p), want)
	}
	buffer := &Grad(p)[0]
	ZeroGrad(p)
	if Grad(p) != nil || p.HasGrad() {
		t.Error("a gradient after ZeroGrad")
	}
	must(tape.Backward(MSE(tape, p, []float32{0, 0})))
	equalBits(t, "after ZeroGrad", Grad(p), []float32{4, -2})
	if &Grad(p)[0] != buffer {
		t.Error("ZeroGrad did not keep the buffer")
	}
}

// TestInts: integers of Ints are valid until Reset.
func TestInts(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	scope := tape.Scope()
	v := tape.Ints(5)
	for i := range v {
		v[i] = int32(i)
	}
	tape.Leave(scope)
	if len(v) != 5 || v[4] != 4 || tape.Ints(0) != nil {
		t.Errorf("lent %v", v)
	}
	tape.Reset()
	if now, _ := tape.Memory(); now != 0 {
		t.Errorf("%d bytes left", now)
	}
}

// TestHeapTape: a heap tape works without an arena.
func TestHeapTape(t *testing.T) {
	tape := NewHeapTape(nil)
	x := NewParam(1, 2, []float32{3, 4})
	y := Add(tape, x)
	tape.Leave(0)
	tape.Release(y)
	if now, peak := tape.Memory(); now != 0 || peak != 0 {
		t.Errorf("memory %d, %d", now, peak)
	}
	must(tape.Close())
	equalBits(t, "value after Close", Values(y), []float32{3, 4})
}

// TestSpagoParam: a parameter that spago made works too; spago then holds its gradient.
func TestSpagoParam(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	p := spago.NewParam(mat.NewDense[float32](mat.WithShape(1, 2), mat.WithBacking([]float32{3, -4})))
	must(tape.Backward(MSE(tape, p, []float32{0, 0})))
	equalBits(t, "gradient", Grad(p), []float32{6, -8})
	ZeroGrad(p)
	if Grad(p) != nil {
		t.Error("a gradient after ZeroGrad")
	}
}
