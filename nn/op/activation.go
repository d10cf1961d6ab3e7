package op

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// Activation is an element-wise function.
type Activation int

// The activations. [ParseActivation] reads their names in config.json's hidden_act.
const (
	GELU     Activation = iota // x·Φ(x) with the error function
	GELUTanh                   // the tanh approximation of GELU
	ReLU
	Tanh
	SiLU // x·σ(x), also called swish
)

// ParseActivation returns the activation that config.json calls name. It returns an error if the name is unknown.
func ParseActivation(name string) (Activation, error) {
	switch name {
	case "gelu", "gelu_python":
		return GELU, nil
	case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate":
		return GELUTanh, nil
	case "relu":
		return ReLU, nil
	case "tanh":
		return Tanh, nil
	case "silu", "swish":
		return SiLU, nil
	}
	return 0, fmt.Errorf("activation %q is not supported; want gelu, gelu_new, relu, silu or tanh", name)
}

func (a Activation) String() string {
	return [...]string{"GELU", "GELUTanh", "ReLU", "Tanh", "SiLU"}[a]
}

// Activate returns a(x) of every element of x, N×C. For the backward, GELU, GELUTanh and SiLU keep x, and the result
// is recomputed if the backward of another operator reads it; ReLU and Tanh keep the result.
func Activate(t *Tape, x mat.Tensor, a Activation) mat.Tensor {
	f := &activate{x: x, a: a}
	f.inputs = []mat.Tensor{x}
	return t.run(f)
}

type activate struct {
	node
	x mat.Tensor
	a Activation
	y *Tensor
}

func (f *activate) compute(dst []float32) {
	x := Values(f.x)
	f.t.eachElements(len(x), func(lo, hi int) { f.a.apply(dst[lo:hi], x[lo:hi]) })
}

// apply sets dst to a(x); dst may be x.
func (a Activation) apply(dst, x []float32) {
	switch a {
	case GELU:
		kernel.GELU(dst, x)
	case GELUTanh:
		kernel.GELUTanh(dst, x)
	case ReLU:
		kernel.ReLU(dst, x)
	case Tanh:
		kernel.Tanh(dst, x)
	case SiLU:
		kernel.SiLU(dst, x)
	}
}

// derive sets dst to dy∘a'(x), from x or, for Tanh, from a(x); ReLU takes either. dst may be dy.
func (a Activation) derive(dst, dy, from []float32) {
	switch a {
	case GELU:
		kernel.GELUBackward(dst, dy, from)
	case GELUTanh:
		kernel.GELUTanhBackward(dst, dy, from)
	case ReLU:
		kernel.ReLUBackward(dst, dy, from)
	case Tanh:
		kernel.TanhBackward(dst, dy, from)
	case SiLU:
		kernel.SiLUBackward(dst, dy, from)
	}
}

// Forward computes y.
func (f *activate) Forward() (mat.Tensor, error) {
	rows, cols := Size(f.x)
	f.y = f.t.tensor(rows, cols)
	f.compute(f.y.data)
	switch {
	case f.a == ReLU || f.a == Tanh:
		if f.keep && f.t.arena != nil {
			f.y.refs++
			f.held = append(f.held, f.y)
		}
	default:
		f.hold(f.x)
		if f.keep && f.t.arena != nil {
			f.y.again = f.compute
		}
	}
	return f.y, nil
}

// Backward: dX = dY∘a'(x), from x or from y.
func (f *activate) Backward(gy mat.Tensor) error {
	dy := Values(gy)
	if dst, ok := f.take(f.x, gy, f.y); ok {
		f.derivative(dst, dy)
		return nil
	}
	f.whole(f.x, func(dst []float32) { f.derivative(dst, dy) })
	return nil
}

func (f *activate) derivative(dst, dy []float32) {
	var from []float32
	if f.a == ReLU || f.a == Tanh {
		from = f.y.values()
	} else {
		from = Values(f.x)
	}
	f.t.eachElements(len(dst), func(lo, hi int) { f.a.derive(dst[lo:hi], dy[lo:hi], from[lo:hi]) })
}
