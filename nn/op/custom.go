package op

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// Custom is a differentiable function that another package computes, from R×C matrices to one, for [Tape.Run].
type Custom struct {
	// Name names the function in messages.
	Name string
	// Inputs are the values of a tape and the parameters that the result depends on and a gradient may reach. Inputs
	// that need no gradient, such as frozen weights, may be left out.
	Inputs []mat.Tensor
	// Reads are the inputs whose values Backward reads with [Values]. The tape keeps the values of these inputs only.
	Reads []mat.Tensor
	// Rows and Cols are the size of the result.
	Rows, Cols int
	// Forward sets every element of y, Rows·Cols values that are undefined before, row after row. It must not keep y.
	Forward func(y []float32) error
	// Backward gets the gradient of the result, which belongs to the tape, and passes the gradients of the inputs to g.
	// It runs at most once, on the goroutine that walks the tape. If it is nil, no gradient passes.
	Backward func(dy []float32, g Gradients) error
}

// Gradients takes the gradients of the inputs of a [Custom] function from its Backward.
type Gradients struct{ f *custom }

// Needs reports whether the input with the given index needs a gradient.
func (g Gradients) Needs(input int) bool { return g.f.inputs[input].RequiresGrad() }

// Add adds v to the gradient of the input with the given index, or does nothing if it needs none. v has the values of
// the input's size, row after row, and stays the caller's. Backward may call Add once for each input; an input without
// a call gets no gradient from the function. Add panics if v has another length or if it was called before.
func (g Gradients) Add(input int, v []float32) {
	x := g.f.inputs[input]
	if !x.RequiresGrad() {
		return
	}
	rows, cols := Size(x)
	mustBe(len(v) == rows*cols, "%s: a gradient of %d values for input %d of %d×%d",
		g.f.c.Name, len(v), input, rows, cols)
	mustBe(!g.f.done[input], "%s: two gradients for input %d; add them up before", g.f.c.Name, input)
	g.f.done[input] = true
	g.f.into(x, func(dst []float32, add bool) { g.f.t.accumulate(dst, v, add) })
}

// Tracks reports whether the tape records functions of these values and parameters, so that a function of another
// package has to keep what its backward reads.
func (t *Tape) Tracks(inputs ...mat.Tensor) bool {
	return t.record && slices.ContainsFunc(inputs, func(x mat.Tensor) bool { return x.RequiresGrad() })
}

// Run computes c and returns its result, Rows×Cols, as the functions of this package do: the tape records it if
// a gradient can reach one of the inputs, and its result belongs to the open scope. It returns the error of c.Forward.
func (t *Tape) Run(c Custom) (mat.Tensor, error) {
	f := &custom{c: c, y: t.tensor(c.Rows, c.Cols)}
	if c.Backward != nil {
		f.inputs, f.done = c.Inputs, make([]bool, len(c.Inputs))
	}
	if err := c.Forward(f.y.data); err != nil {
		t.free(f.y.data)
		return nil, fmt.Errorf("%s: %w", c.Name, err)
	}
	return t.run(f), nil
}

type custom struct {
	node
	c    Custom
	y    *Tensor
	done []bool // inputs that got their gradient
}

// Forward returns the result that Run computed, since spago's ag ends the process if a Forward returns an error.
func (f *custom) Forward() (mat.Tensor, error) {
	for _, x := range f.c.Reads {
		f.hold(x)
	}
	y := f.y
	f.y, f.c.Forward = nil, nil
	return y, nil
}

// Backward calls that of the package. On a heap tape it passes zeros to the other operators among the inputs, because
// ag.Backward waits for every gradient.
func (f *custom) Backward(gy mat.Tensor) error {
	if err := f.c.Backward(Values(gy), Gradients{f}); err != nil {
		return fmt.Errorf("%s: %w", f.c.Name, err)
	}
	if f.t.arena != nil {
		return nil
	}
	for i, x := range f.inputs {
		if _, ok := x.(*ag.Operator); ok && !f.done[i] {
			rows, cols := Size(x)
			Gradients{f}.Add(i, make([]float32, rows*cols))
		}
	}
	return nil
}
