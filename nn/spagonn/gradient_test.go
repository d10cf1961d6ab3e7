package spagonn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	"github.com/nlpodyssey/spago/mat/float"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/nn/spagonn"
)

// sample is a module, or a function of ag, on the rows of three sequences.
type sample struct {
	name   string
	cols   int
	layer  func(t *testing.T) *layer                                     // with fresh values
	double func(params [][]float64, x []float64, seqs op.Seqs) []float64 // spago's float64 forward

	seqs     op.Seqs
	positive bool // the rows have values above 0 only
	shift    float32
}

// even is the sample with sequences of equal lengths.
func (s sample) even() sample {
	s.seqs = even()
	return s
}

// above0 is the sample with values above 0 only.
func (s sample) above0() sample {
	s.positive = true
	return s
}

func (s sample) input() []float32 {
	x := random(seeded(s.name+"x"), s.seqs.Rows()*s.cols)
	for i, v := range x {
		if s.positive {
			x[i] = max(v, -v) + s.shift
		}
	}
	return x
}

// layer is a layer of any type.
type layer struct {
	weights []nn.NamedWeight
	forward func(p *nn.Pass, x mat.Tensor) (mat.Tensor, error)
}

// ragged are sequences of 3, 1 and 4 rows.
func ragged() op.Seqs { return op.Seqs{Starts: []int{0, 3, 4, 8}} }

// even are two sequences of 3 rows, for modules of a fixed length.
func even() op.Seqs { return op.Seqs{Starts: []int{0, 3, 6}} }

func seeded(name string) *rand.Rand {
	h := uint64(1)
	for _, b := range []byte(name) {
		h = h*31 + uint64(b)
	}
	return rand.New(rand.NewPCG(5, h))
}

// random returns n values with magnitudes between 0.1 and 1, so that none is near a kink at 0.
func random(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = 0.1 + 0.9*r.Float32()
		if r.IntN(2) == 0 {
			v[i] = -v[i]
		}
	}
	return v
}

func wide(v []float32) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = float64(x)
	}
	return w
}

type runner[M spago.Model] func(m M, i int, rows []mat.Tensor) []mat.Tensor

// module returns the sample of a module, which build64 builds with the same settings as build32.
func module[M spago.Model](name string, cols int, build32, build64 func() M, run runner[M]) sample {
	return sample{
		name: name, cols: cols, seqs: ragged(),
		layer: func(t *testing.T) *layer {
			l, err := spagonn.New(build32())
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range l.ListWeights() {
				if err := w.Weight.SetValues(random(seeded(name+w.Name), w.Weight.Len())); err != nil {
					t.Fatal(err)
				}
			}
			return &layer{l.ListWeights(), func(p *nn.Pass, x mat.Tensor) (mat.Tensor, error) { return l.Forward(p, x, run) }}
		},
		double: func(params [][]float64, x []float64, seqs op.Seqs) []float64 {
			m := build64()
			k := 0
			spago.ForEachParam(m, func(p *spago.Param) {
				copy(mat.Data[float64](p.Matrix), params[k])
				k++
			})
			if k != len(params) {
				panic(fmt.Sprintf("%s: spago has %d parameters, the layer %d", name, k, len(params)))
			}
			return forward64(x, cols, seqs, func(i int, rows []mat.Tensor) []mat.Tensor { return run(m, i, rows) })
		},
	}
}

// forward64 calls run for the sequences with float64 rows, and returns the elements of all outputs.
func forward64(x []float64, cols int, seqs op.Seqs, run func(int, []mat.Tensor) []mat.Tensor) []float64 {
	var out []float64
	for i := range seqs.Len() {
		var rows []mat.Tensor
		for r := seqs.Starts[i]; r < seqs.Starts[i+1]; r++ {
			rows = append(rows, mat.NewDense[float64](mat.WithBacking(slices.Clone(x[r*cols:(r+1)*cols]))))
		}
		for _, y := range run(i, rows) {
			out = append(out, y.Data().F64()...)
		}
	}
	return out
}

// standard is the run of a spago.StandardModel.
func standard[M spago.StandardModel](m M, _ int, rows []mat.Tensor) []mat.Tensor {
	return m.Forward(rows...)
}

// graph returns the sample of a function without parameters.
func graph(name string, cols int, run func(rows []mat.Tensor) []mat.Tensor) sample {
	each := func(_ int, rows []mat.Tensor) []mat.Tensor { return run(rows) }
	return sample{
		name: name, cols: cols, seqs: ragged(),
		layer: func(*testing.T) *layer {
			return &layer{nil, func(p *nn.Pass, x mat.Tensor) (mat.Tensor, error) { return spagonn.Graph(p, x, each) }}
		},
		double: func(_ [][]float64, x []float64, seqs op.Seqs) []float64 { return forward64(x, cols, seqs, each) },
	}
}

// outcome is the result of a forward and a backward.
type outcome struct {
	y      []float32
	dx     []float32
	params [][]float32 // gradients; nil: none
}

// weighted returns Σ c·y as a value of the tape.
func weighted(t *testing.T, tape *op.Tape, y mat.Tensor, c []float32) mat.Tensor {
	t.Helper()
	loss, err := tape.Run(op.Custom{
		Name: "weighted sum", Inputs: []mat.Tensor{y}, Rows: 1, Cols: 1,
		Forward: func(dst []float32) error {
			dst[0] = 0
			for i, v := range op.Values(y) {
				dst[0] += c[i] * v
			}
			return nil
		},
		Backward: func(dy []float32, g op.Gradients) error {
			d := make([]float32, len(c))
			for i, v := range c {
				d[i] = v * dy[0]
			}
			g.Add(0, d)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

// execute runs l on x forward and backward with the loss Σ c·y, twice if again, as with gradient accumulation.
func execute(t *testing.T, pool *op.Pool, l *layer, x []float32, cols int, seqs op.Seqs, again bool) outcome {
	t.Helper()
	param := op.NewParam(len(x)/cols, cols, slices.Clone(x))
	var params []*spago.Param
	for _, w := range l.weights {
		params = append(params, w.Weight.Train())
	}
	tape := op.NewTape(pool)
	defer tape.Close()
	var out outcome
	for range 1 + map[bool]int{true: 1}[again] {
		scope := tape.Scope()
		in := op.Add(tape, param)
		y, err := l.forward(&nn.Pass{Tape: tape, Seqs: seqs, Train: true}, in)
		if err != nil {
			t.Fatal(err)
		}
		out.y = slices.Clone(op.Values(y))
		loss := weighted(t, tape, y, random(seeded("loss"), len(out.y)))
		tape.Leave(scope, loss)
		if err := tape.Backward(loss); err != nil {
			t.Fatal(err)
		}
		tape.Reset()
	}
	out.dx = slices.Clone(op.Grad(param))
	for _, p := range params {
		out.params = append(out.params, slices.Clone(op.Grad(p)))
		op.ZeroGrad(p)
	}
	return out
}

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-4+2e-3*math.Abs(want) }

// compare compares values and gradients with spago's float64 forward and its central differences.
func compare(t *testing.T, s sample) {
	t.Helper()
	x, seqs := s.input(), s.seqs
	l := s.layer(t)
	values := wide(x)
	var params [][]float64
	for _, w := range l.weights {
		params = append(params, wide(w.Weight.Float32()))
	}
	got := execute(t, nil, l, x, s.cols, seqs, false)
	want := s.double(params, values, seqs)
	if len(got.y) != len(want) {
		t.Fatalf("%d values, want %d", len(got.y), len(want))
	}
	for i, v := range want {
		if !near(float64(got.y[i]), v) {
			t.Fatalf("value %d is %g, want %g", i, got.y[i], v)
		}
	}
	c := wide(random(seeded("loss"), len(want)))
	loss := func() (sum float64) {
		for i, v := range s.double(params, values, seqs) {
			sum += c[i] * v
		}
		return sum
	}
	check := func(what string, v []float64, g []float32) {
		for _, i := range seeded(what).Perm(len(v))[:min(len(v), 25)] {
			const h = 1e-5
			old := v[i]
			v[i] = old + h
			up := loss()
			v[i] = old - h
			down := loss()
			v[i] = old
			d := 0.0
			if g != nil {
				d = float64(g[i])
			}
			if want := (up - down) / (2 * h); !near(d, want) {
				t.Errorf("gradient %d of %s is %g, central difference %g", i, what, d, want)
			}
		}
	}
	check("x", values, got.dx)
	for k, w := range l.weights {
		check(w.Name, params[k], got.params[k])
	}
}

// scalar returns a parameter of one value that does not train.
func scalar[T float.DType](v float64) *spago.Param {
	return spago.NewParam(mat.Scalar(T(v))).WithGrad(false)
}

// TestSpagoGradients: values and gradients of every layer and every function equal spago's own forward in float64.
func TestSpagoGradients(t *testing.T) {
	for _, s := range slices.Concat(layers(), functions()) {
		t.Run(s.name, func(t *testing.T) { compare(t, s) })
	}
}
