package op

import (
	"fmt"
	"sync"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/mat/float"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/internal/kernel"
)

// Tensor is a matrix whose values and gradient belong to a tape's arena, or, without a tape, to the Go heap (a
// parameter). It satisfies spago's mat.Matrix by embedding a Dense that shares its values.
type Tensor struct {
	*mat.Dense[float32]

	tape       *Tape // nil: a parameter or a leaf on the heap
	rows, cols int
	data       []float32 // nil once given back
	mu         sync.Mutex
	grad       []float32 // buffer; counts only if hasGrad
	hasGrad    bool
	refs       int                 // scope (1) and operators whose backward reads data
	again      func(dst []float32) // computes data anew from what an operator keeps; nil: data is kept
}

func dense(data []float32, rows, cols int) *mat.Dense[float32] {
	return mat.NewDense[float32](mat.WithShape(rows, cols), mat.WithBacking(data))
}

// NewParam returns a parameter rows×cols over data, which it takes over. Its gradient buffer is allocated once, at the
// first gradient, and kept by ZeroGrad. It panics if data has another length.
func NewParam(rows, cols int, data []float32) *spago.Param {
	if len(data) != rows*cols {
		panic(fmt.Sprintf("op: NewParam %d×%d over %d values", rows, cols, len(data)))
	}
	x := &Tensor{Dense: dense(data, rows, cols), rows: rows, cols: cols, data: data}
	x.SetRequiresGrad(true)
	return &spago.Param{Matrix: x}
}

// Values returns the live values of a tensor, an operator's result or a parameter, row after row. They belong to their
// owner: a value of a tape is valid until the tape gives it back.
func Values(x mat.Tensor) []float32 {
	switch v := x.(type) {
	case *ag.Operator:
		return Values(v.Value())
	case *spago.Param:
		return Values(v.Matrix)
	case *Tensor:
		return v.values()
	default:
		return mat.Data[float32](x)
	}
}

// Grad returns the live gradient of a parameter, or nil if none was added since the last ZeroGrad.
func Grad(p *spago.Param) []float32 {
	if x, ok := p.Matrix.(*Tensor); ok {
		if x.hasGrad {
			return x.grad
		}
		return nil
	}
	if !p.HasGrad() {
		return nil
	}
	return mat.Data[float32](p.Grad())
}

// ZeroGrad forgets the gradient of a parameter; a parameter of NewParam keeps its buffer.
func ZeroGrad(p *spago.Param) { p.ZeroGrad() }

// Size returns the rows and columns of a tensor.
func Size(x mat.Tensor) (rows, cols int) {
	switch v := x.(type) {
	case *ag.Operator:
		return Size(v.Value())
	case *spago.Param:
		return Size(v.Matrix)
	case *Tensor:
		return v.rows, v.cols
	default:
		s := x.Shape()
		if len(s) == 1 {
			return s[0], 1
		}
		return s[0], s[1]
	}
}

func (x *Tensor) values() []float32 {
	if x.data == nil && x.again != nil {
		x.data = x.tape.alloc(x.rows * x.cols)
		x.again(x.data)
	}
	return x.data
}

// Data returns the values as spago's slice; it shares them.
func (x *Tensor) Data() float.Slice { return float.Make(x.values()...) }

// Value returns the tensor itself.
func (x *Tensor) Value() mat.Tensor { return x }

// Item returns the only value of a 1×1 tensor.
func (x *Tensor) Item() float.Float { return float.Interface(x.values()[0]) }

// Grad returns the gradient summed so far, or nil.
func (x *Tensor) Grad() mat.Tensor {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.hasGrad {
		return nil
	}
	return dense(x.grad, x.rows, x.cols)
}

// HasGrad reports whether there is a gradient.
func (x *Tensor) HasGrad() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.hasGrad
}

// AccGrad adds g to the gradient. It copies; g stays the caller's. It is safe for concurrent use.
func (x *Tensor) AccGrad(g mat.Tensor) {
	v := mat.Data[float32](g)
	x.mu.Lock()
	defer x.mu.Unlock()
	if dst, add := x.target(); add {
		kernel.AddTo(dst, v)
	} else {
		copy(dst, v)
	}
}

// ZeroGrad forgets the gradient.
func (x *Tensor) ZeroGrad() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hasGrad = false
	if x.tape != nil {
		x.tape.free(x.grad)
		x.grad = nil
	}
}

// target returns the buffer that a gradient is summed in, and whether it holds a sum already; if not, the caller must
// set every element.
func (x *Tensor) target() (dst []float32, add bool) {
	if x.hasGrad {
		return x.grad, true
	}
	if x.grad == nil {
		if x.tape != nil {
			x.grad = x.tape.alloc(x.rows * x.cols)
		} else {
			x.grad = make([]float32, x.rows*x.cols)
		}
	}
	x.hasGrad = true
	return x.grad, false
}

// unref gives up one claim on the values. When only operators are left that will read them during backward and the
// values can be computed anew, the buffer goes back at once; with the last claim it goes back for good.
func (x *Tensor) unref(scope bool) {
	x.refs--
	if x.refs > 0 && !(scope && x.again != nil) {
		return
	}
	x.tape.free(x.data)
	x.data = nil
}
