package spagonn

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Layer makes a module of spago a layer of a model, with an hf tag like any other. The weights of the layer are the
// module's parameters; their names are the paths of their fields: Positive.WIn, Layers.0.W. It is safe for concurrent
// use as other layers are. The zero value is not valid; use [New].
type Layer[M spago.Model] struct {
	spago.Module
	module  M
	weights []nn.NamedWeight
	shapes  [][2]int // of the parameters in spago
	frozen  []bool   // parameters made with WithGrad(false)
	at      map[*spago.Param]int
	tensors map[mat.Tensor]string // other tensors in fields, by path
	known   map[reflect.Type]bool
}

// New returns a layer that computes with copies of module. It takes over the values of the parameters: spago makes them
// with zeros, gains of norms too, so fill them before, with a method Init or spago's initializers, or fill the weights
// of the layer, for example with nn.Init. A parameter of n×1 values is a vector of n in files. A parameter made with
// WithGrad(false) is a weight that does not train. module must not change afterwards.
//
// New returns an error that lists all fields that a layer cannot have: parameters of float64, parameters in fields that
// are not exported, dropout, spago's embeddings, unknown activations or such with other parameters than they need.
func New[M spago.Model](module M) (*Layer[M], error) {
	if _, err := functionOffset(); err != nil {
		return nil, err
	}
	if v := reflect.ValueOf(module); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, fmt.Errorf("spagonn: the module is nil")
	}
	l := &Layer[M]{module: module, at: map[*spago.Param]int{}, tensors: map[mat.Tensor]string{},
		known: map[reflect.Type]bool{}}
	ofMatrix := map[mat.Matrix]int{} // parameters over one matrix are tied
	names := map[string]bool{}
	c := copier{check: true, known: l.known}
	c.param = func(path string, p *spago.Param) (*spago.Param, error) {
		if p.Matrix == nil {
			return nil, fmt.Errorf("%s has no matrix", path)
		}
		i, tied := ofMatrix[p.Matrix]
		if !tied {
			i = len(l.weights)
			w, err := weightOf(path, p)
			if err != nil {
				return nil, err
			}
			if names[path] {
				return nil, fmt.Errorf("two parameters are named %s", path)
			}
			names[path] = true
			ofMatrix[p.Matrix] = i
			l.weights = append(l.weights, nn.NamedWeight{Name: path, Weight: w})
			l.shapes = append(l.shapes, [2]int(p.Shape()))
			l.frozen = append(l.frozen, !p.RequiresGrad())
		}
		l.at[p] = i
		return p, nil
	}
	c.tensor = func(path string, t mat.Tensor, blocked bool) (mat.Tensor, error) {
		if _, ok := t.(*ag.Operator); ok {
			return nil, fmt.Errorf("%s holds a result of an earlier graph; set it to nil", path)
		}
		if t.RequiresGrad() && !blocked {
			return nil, fmt.Errorf("%s is a %T that needs a gradient; make it an *nn.Param, or an *nn.Buffer", path, t)
		}
		l.tensors[t] = path
		return t, nil
	}
	if _, err := c.copyOf(module); err != nil {
		return nil, fmt.Errorf("spagonn: %s: %w", l.name(), err)
	}
	return l, nil
}

// weightOf returns a weight over the values of p.
func weightOf(path string, p *spago.Param) (*op.Weight, error) {
	if p.Data().BitSize() != 32 {
		return nil, fmt.Errorf("%s has float64 values; make the module with New[float32]", path)
	}
	shape := p.Shape()
	w := op.NewMatrix(shape[0], shape[1])
	if shape[1] == 1 {
		w = op.NewVector(shape[0])
	}
	if err := w.SetValues(mat.Data[float32](p.Matrix)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return w, nil
}

// name returns the Go type of the module: birnn.Model.
func (l *Layer[M]) name() string { return strings.TrimPrefix(fmt.Sprintf("%T", l.module), "*") }

// ListWeights returns the weights, one for each parameter of the module, in the order of its fields. A parameter in
// several places is listed once, under its first name. It implements [nn.Lister].
func (l *Layer[M]) ListWeights() []nn.NamedWeight { return l.weights }

// Describe returns the lines of the printed tree: the Go type and the parameters.
func (l *Layer[M]) Describe() string {
	if len(l.weights) == 0 {
		return "spago." + l.name() + "()"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "spago.%s(\n", l.name())
	for i, w := range l.weights {
		fmt.Fprintf(&b, "  (%s): Param(%d×%d)\n", w.Name, l.shapes[i][0], l.shapes[i][1])
	}
	return b.String() + ")"
}

// Forward calls run once for each sequence of p and returns the tensors that run returned, one below the other, M×D.
// run gets a copy of the module, the number i of the sequence in p.Seqs, and the rows of the sequence in x (N×C), each
// a vector C×1. It may call any method of the module and any function of spago's ag on the rows, and returns any
// number of tensors of D elements. Several sequences run at the same time, so run must not change anything outside,
// except what belongs to sequence i.
//
// The copy has the adapter's parameters if the pass has an adapter for the layer. Changes of its fields are lost, and a
// changed tensor, such as the running mean of a batch normalisation in training, is an error. So are panics of run and
// of spago, an end of the process by log.Fatal, gradients that spago does not compute, and results that it is known to
// compute wrongly. Goroutines that run starts must not outlive it, and must recover panics.
func (l *Layer[M]) Forward(
	p *nn.Pass, x mat.Tensor, run func(module M, i int, rows []mat.Tensor) []mat.Tensor,
) (mat.Tensor, error) {
	weights := make([]*op.Weight, len(l.weights))
	for i, w := range l.weights {
		weights[i] = w.Weight
	}
	var failed error
	y := p.Apart(func(r nn.Run) mat.Tensor {
		if failed == nil {
			var y mat.Tensor
			if y, failed = l.forward(r, r.Rows(x), run); failed == nil {
				return y
			}
		}
		return x // which nobody reads
	}, weights...)
	if failed != nil {
		return nil, failed
	}
	return y, nil
}

// forward is Forward for the sequences of r, with the same weights for all.
func (l *Layer[M]) forward(
	r nn.Run, x mat.Tensor, run func(module M, i int, rows []mat.Tensor) []mat.Tensor,
) (mat.Tensor, error) {
	c := &call{name: "spagonn: " + l.name(), first: r.First}
	for i, w := range l.weights {
		c.bind(r.Weight(w.Weight), l.shapes[i], l.frozen[i])
	}
	return c.forward(r.Pass, x, func(i int, g *graph) error {
		f := &faults{}
		module, check, err := l.bound(g.params, f)
		if err != nil {
			return err
		}
		rows := make([]mat.Tensor, len(g.rows))
		for j, r := range g.rows {
			rows[j] = r
		}
		err = guarded(func() { g.outs = run(module, r.First+i, rows) })
		switch {
		case f.err != nil: // and what follows from it
			return f.err
		case err != nil:
			return err
		}
		return check()
	})
}

// Apply returns l.Forward with the Forward of the module: each sequence's rows to its outputs.
func Apply[M spago.StandardModel](p *nn.Pass, l *Layer[M], x mat.Tensor) (mat.Tensor, error) {
	return l.Forward(p, x, func(module M, _ int, rows []mat.Tensor) []mat.Tensor { return module.Forward(rows...) })
}

// Graph is [Layer.Forward] for functions of spago's ag without parameters.
func Graph(p *nn.Pass, x mat.Tensor, run func(i int, rows []mat.Tensor) []mat.Tensor) (mat.Tensor, error) {
	if _, err := functionOffset(); err != nil {
		return nil, err
	}
	c := &call{name: "spagonn: graph"}
	return c.forward(p, x, func(i int, g *graph) error {
		rows := make([]mat.Tensor, len(g.rows))
		for j, r := range g.rows {
			rows[j] = r
		}
		return guarded(func() { g.outs = run(i, rows) })
	})
}

// Copy returns a copy of the module with the values of the layer, or with those of the adapter a, which may be nil. It
// shares nothing that a forward or spago's training changes, so a program can use it with spago alone.
func (l *Layer[M]) Copy(a nn.AdapterSet) (M, error) {
	p := &nn.Pass{Adapter: a}
	params := make([]*mat.Dense[float32], len(l.weights))
	for i, w := range l.weights {
		params[i] = mat.NewDense[float32](mat.WithShape(l.shapes[i][0], l.shapes[i][1]),
			mat.WithBacking(p.Weight(w.Weight).Float32()), mat.WithGrad(!l.frozen[i]))
	}
	m, _, err := l.bound(params, nil)
	return m, err
}

// bound returns a copy of the module with the given parameters, and a function that returns an error if another tensor
// of the copy has changed.
func (l *Layer[M]) bound(params []*mat.Dense[float32], f *faults) (m M, check func() error, err error) {
	copies := map[mat.Tensor]mat.Tensor{}
	c := copier{faults: f, known: l.known}
	c.param = func(path string, p *spago.Param) (*spago.Param, error) {
		i, ok := l.at[p]
		if !ok {
			return nil, fmt.Errorf("spagonn: %s: %s was not there when New made the layer", l.name(), path)
		}
		return &spago.Param{Matrix: params[i]}, nil
	}
	c.tensor = func(_ string, t mat.Tensor, _ bool) (mat.Tensor, error) {
		if copies[t] == nil {
			copies[t] = cloned(t)
		}
		return copies[t], nil
	}
	copied, err := c.copyOf(l.module)
	if err != nil {
		return m, nil, err
	}
	return copied.(M), func() error { return l.unchanged(copies) }, nil
}

// cloned returns a copy of a matrix of spago, or t itself if it is of another type.
func cloned(t mat.Tensor) mat.Tensor {
	switch d := t.(type) {
	case *mat.Dense[float32]:
		return shaped(slices.Clone(mat.Data[float32](d)), d)
	case *mat.Dense[float64]:
		s := d.Shape()
		return mat.NewDense[float64](mat.WithShape(s[0], s[1]), mat.WithBacking(slices.Clone(mat.Data[float64](d))))
	}
	return t
}

// unchanged returns an error that names the first tensor whose copy has other values.
func (l *Layer[M]) unchanged(copies map[mat.Tensor]mat.Tensor) error {
	var names []string
	for t, c := range copies {
		same := func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
		if !slices.EqualFunc(t.Data().F64(), c.Data().F64(), same) {
			names = append(names, l.tensors[t])
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return fmt.Errorf("the forward changed %s, which no adapter would keep; use a forward that does not, such as Forward "+
		"instead of ForwardT", strings.Join(names, ", "))
}
