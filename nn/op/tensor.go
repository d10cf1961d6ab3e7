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

// Tensor is a matrix whose values and gradient belong to a tape's arena, or, for a parameter, which has no tape, to the
// Go heap. It implements spago's mat.Matrix with an embedded Dense that shares its values.
type Tensor struct {
	*mat.Dense[float32]

	tape       *Tape // nil: a parameter or a leaf on the heap
	rows, cols int
	data       []float32 // nil after it went back to the arena
	mu         sync.Mutex
	grad       []float32 // buffer; valid only if hasGrad
	hasGrad    bool
	refs       int                 // number of uses: the scope (1) and operators whose backward reads data
	of         mat.Tensor          // the tensor whose values these are, see Branch; nil: data has them
	again      func(dst []float32) // recomputes data from values that an operator keeps; nil: data is kept
}

func dense(data []float32, rows, cols int) *mat.Dense[float32] {
	return mat.NewDense[float32](mat.WithShape(rows, cols), mat.WithBacking(data))
}

// NewParam returns a parameter of rows×cols values over data, which it owns from then on. Its gradient buffer is
// allocated at the first gradient, and ZeroGrad keeps it. NewParam panics unless data has rows·cols values.
func NewParam(rows, cols int, data []float32) *spago.Param {
	if len(data) != rows*cols {
		panic(fmt.Sprintf("op: NewParam %d×%d over %d values", rows, cols, len(data)))
	}
	x := &Tensor{Dense: dense(data, rows, cols), rows: rows, cols: cols, data: data}
	x.SetRequiresGrad(true)
	return &spago.Param{Matrix: x}
}

// Values returns the values of a tensor, an operator's result or a parameter, row after row, without copying them. They
// belong to x; those of a tape's value are valid until the tape gives them back to its arena.
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

// Grad returns the gradient of a parameter, row after row, or nil if none was added since the last ZeroGrad. For a
// parameter of NewParam it is not a copy and belongs to p.
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

// ZeroGrad removes the gradient of a parameter. A parameter of NewParam keeps the buffer for the next gradient.
func ZeroGrad(p *spago.Param) { p.ZeroGrad() }

// Size returns the number of rows and of columns of a tensor. A vector of n values is n×1.
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
	if x.of != nil {
		return Values(x.of)
	}
	if x.data == nil && x.again != nil {
		x.data = x.tape.alloc(x.rows * x.cols)
		x.again(x.data)
	}
	return x.data
}

// Data returns the values as spago's slice type, without copying them.
func (x *Tensor) Data() float.Slice { return float.Make(x.values()...) }

// Value returns the tensor itself.
func (x *Tensor) Value() mat.Tensor { return x }

// Item returns the only value of a 1×1 tensor.
func (x *Tensor) Item() float.Float { return float.Interface(x.values()[0]) }

// Grad returns the gradient summed up to now, or nil. It shares the values of the gradient.
func (x *Tensor) Grad() mat.Tensor {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.hasGrad {
		return nil
	}
	return dense(x.grad, x.rows, x.cols)
}

// HasGrad reports whether the tensor has a gradient.
func (x *Tensor) HasGrad() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.hasGrad
}

// AccGrad adds g to the gradient. It copies the values of g. It is safe for concurrent use.
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

// ZeroGrad removes the gradient. On a tape it also gives the buffer back to the arena.
func (x *Tensor) ZeroGrad() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.hasGrad = false
	if x.tape != nil {
		x.tape.free(x.grad)
		x.grad = nil
	}
}

// target returns the buffer of the gradient, and whether it holds a gradient already; if not, the caller must set every
// element.
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

// unref ends one use of the values. The buffer goes back to the arena after the last use, and also when the scope ends
// its use and the values can be recomputed for the operators that still read them.
func (x *Tensor) unref(scope bool) {
	x.refs--
	if x.refs > 0 && !(scope && x.again != nil) {
		return
	}
	x.tape.free(x.data)
	x.data = nil
}
