package spagonn_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/nn/activation"
	"github.com/nlpodyssey/spago/nn/attention/multiheadattention"
	"github.com/nlpodyssey/spago/nn/birnn"
	"github.com/nlpodyssey/spago/nn/dropout"
	"github.com/nlpodyssey/spago/nn/embedding"
	"github.com/nlpodyssey/spago/nn/gmlp"
	"github.com/nlpodyssey/spago/nn/highway"
	"github.com/nlpodyssey/spago/nn/linear"
	"github.com/nlpodyssey/spago/nn/normalization/batchnorm"
	"github.com/nlpodyssey/spago/nn/recurrent/lstm"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/nn/spagonn"
)

// wrapped cuts an operator off from the graph, as a tensor of a program may.
type wrapped struct{ mat.Tensor }

// unhappy is a function of a user that fails.
type unhappy struct {
	x                 mat.Tensor
	forward, backward error
}

func (f *unhappy) Operands() []mat.Tensor       { return []mat.Tensor{f.x} }
func (f *unhappy) Forward() (mat.Tensor, error) { return f.x.Value().(mat.Matrix).Clone(), f.forward }
func (f *unhappy) Backward(mat.Tensor) error    { return f.backward }

// failures are graphs on two sequences of rows of three values, with part of the error each must end with. In those of
// the second kind the error comes from the backward.
var failures = []struct {
	want string
	run  func(rows []mat.Tensor) []mat.Tensor
}{
	{"ended with log.Fatal: error during forward pass: fn: no vectors to concatenate",
		func([]mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Concat()} }},
	{"ended with log.Fatal: error during forward pass: fn: Stack has no operands",
		func([]mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Stack()} }},
	{"ended with log.Fatal: error during forward pass: fn: matrices have incompatible dimensions",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Dot(r[0], ag.T(r[0]))} }},
	{"ended with log.Fatal: error during forward pass: no luck", func(r []mat.Tensor) []mat.Tensor {
		return []mat.Tensor{ag.NewOperator(&unhappy{x: r[0], forward: errors.New("no luck")}).Run()}
	}},
	{"ended with log.Fatal", func(r []mat.Tensor) []mat.Tensor { return activation.New(99).Forward(r...) }},
	{"mat: matrices", func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Add(r[0], ag.T(r[0]))} }},
	{"slice bounds out of range", func(r []mat.Tensor) []mat.Tensor { return r[7:8] }},
	{"mat: the other matrix must have exactly 1 column",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.MulT(ag.Stack(r...), ag.Stack(r...))} }},
	{"mat: expected vector", func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Softmax(ag.Stack(r...))} }},
	{"mat: expected vector", func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.ReduceMax(ag.Stack(r...))} }},
	{"Dropout: dropout draws from a random stream of the whole process; use nn.Dropout",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Tanh(ag.Dropout(r[0], 0.5))} }},
	{"Exp: an operand is 100.37597: its exponential is not a float32",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Exp(ag.AddScalar(r[0], one(r[0], 100)))} }},
	{"Log: an operand is 0: it has no logarithm",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Log(ag.Sub(r[0], r[0]))} }},
	{"Softmax: an operand is NaN",
		func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.Softmax(ag.Sqrt(ag.SubScalar(r[0], one(r[0], 9))))}
		}},
	{"Softmax: the largest operand is +Inf",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Softmax(ag.Reciprocal(ag.Sub(r[0], r[0])))} }},
	{"ScalarMax: spago's maximum of scalars is wrong if none is above 0", func(r []mat.Tensor) []mat.Tensor {
		return []mat.Tensor{ag.ScalarMax(ag.SeparateVec(ag.Neg(ag.Exp(ag.Sub(r[0], r[0]))))[:1]),
			ag.ScalarMax([]mat.Tensor{one(r[0], -2), one(r[0], -1)})}
	}},
	{"SparseMax: spago's result adds up to 0.", func(r []mat.Tensor) []mat.Tensor {
		return []mat.Tensor{ag.SparseMax(ag.ProdScalar(ag.Exp(ag.Sub(r[0], r[0])), one(r[0], 0.1)))}
	}},
	{"MaxPooling: spago's maximum over windows of 1×1 is wrong",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.MaxPooling(ag.Neg(ag.Abs(r[0])), 1, 1)} }},
	{"MaxPooling: spago's maximum over windows of 1×3 is wrong",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.MaxPooling(ag.T(ag.Abs(r[0])), 1, 3)} }},
	{"an operand of type *mat.Dense[float32] needs a gradient, but is neither a row nor a parameter",
		func(r []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{ag.Add(r[0], mat.NewDense[float32](mat.WithShape(3), mat.WithGrad(true)))}
		}},
	{"an operand is nil", func(r []mat.Tensor) []mat.Tensor {
		return []mat.Tensor{ag.NewOperator(&unhappy{x: (*spago.Param)(nil)})}
	}},
	{"output 1 of sequence 0 has 1 elements, those before have 3; want equal sizes",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{r[0], ag.At(r[0], 0)} }},
	{"there is no output for any of 2 sequences", func([]mat.Tensor) []mat.Tensor { return nil }},
	{"an output is nil", func([]mat.Tensor) []mat.Tensor { return []mat.Tensor{nil} }},
	{"an operator depends on itself", func(r []mat.Tensor) []mat.Tensor {
		operands := []mat.Tensor{r[0], r[1]}
		operands[0] = ag.Concat(operands...)
		return operands[:1]
	}},
}

var backwardFailures = []struct {
	want string
	run  func(rows []mat.Tensor) []mat.Tensor
}{
	{"needs a gradient, but is neither a row nor a parameter", // a wrapper of an operator, which spago cuts off silently
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Add(r[0], wrapped{ag.Tanh(r[0])})} }},
	{"backward of *spagonn_test.unhappy: no way back", func(r []mat.Tensor) []mat.Tensor {
		return []mat.Tensor{ag.NewOperator(&unhappy{x: r[0], backward: errors.New("no way back")}).Run()}
	}},
	{"operand 0 needs a gradient, but spago computes none for it",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.NewOperator(&unhappy{x: r[0]}).Run()} }},
	{"backward of ELU: operand 1 needs a gradient, but spago computes none for it",
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.ELU(r[0], ag.At(r[0], 1))} }},
	{"incompatible dimensions", // spago's softmax of 1×n turns its operand into n×1
		func(r []mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Softmax(ag.T(ag.Tanh(r[0])))} }},
}

// runGraph runs a graph on two sequences forward and backward, on a tape that records or not.
func runGraph(tape *op.Tape, pool *op.Pool, run func([]mat.Tensor) []mat.Tensor) error {
	x := op.NewParam(4, 3, random(seeded("failures"), 12))
	p := &nn.Pass{Tape: tape, Seqs: op.Seqs{Starts: []int{0, 2, 4}}}
	y, err := spagonn.Graph(p, op.Add(tape, x), func(_ int, r []mat.Tensor) []mat.Tensor { return run(r) })
	if err != nil || !tape.Recording() {
		return err
	}
	n, cols := op.Size(y)
	return tape.Backward(op.MSE(tape, y, make([]float32, n*cols)))
}

// TestFailures: what ends the process or panics in spago, and what it computes wrongly, is an error that names the
// sequence. The logger's output is the old one afterwards.
func TestFailures(t *testing.T) {
	before := log.Writer()
	pool := op.NewPool(2)
	defer pool.Close()
	check := func(t *testing.T, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "sequence") {
			t.Errorf("got %v, want %q", err, want)
		}
		if log.Writer() != before {
			t.Fatal("the logger has another output")
		}
	}
	for _, f := range failures {
		t.Run(f.want, func(t *testing.T) {
			for _, tape := range []*op.Tape{op.NewEvalTape(pool), op.NewTape(pool)} {
				check(t, runGraph(tape, pool, f.run), f.want)
				if err := tape.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for _, f := range backwardFailures {
		t.Run(f.want, func(t *testing.T) {
			tape := op.NewTape(pool)
			defer tape.Close()
			check(t, runGraph(tape, pool, f.run), f.want)
		})
	}
}

// TestOurTensors: tensors of the tape cannot be operands of a graph.
func TestOurTensors(t *testing.T) {
	tape := op.NewTape(nil)
	defer tape.Close()
	x := op.NewParam(4, 3, random(seeded("ours"), 12))
	ours := op.Rows(tape, op.Add(tape, x), []int{0, 1, 2})
	for _, y := range []mat.Tensor{ours, ours.Value()} {
		err := runGraph(tape, nil, func([]mat.Tensor) []mat.Tensor { return []mat.Tensor{ag.Tanh(y)} })
		if err == nil || !strings.Contains(err.Error(), "Tanh: a tensor of the tape is an operand") {
			t.Error(err)
		}
	}
}

// TestDirections: a failure in either direction of a birnn, which run on goroutines of their own, is an error.
func TestDirections(t *testing.T) {
	for _, c := range []struct {
		cols int // of the LSTMs, where the rows have 3
		ok   bool
	}{{2, false}, {3, true}} {
		m := birnn.New(lstm.New[float32](3, 2), lstm.New[float32](c.cols, 2), birnn.Concat)
		for _, swap := range []bool{false, true} {
			if swap {
				m.Positive, m.Negative = m.Negative, m.Positive
			}
			l, err := spagonn.New(m)
			if err != nil {
				t.Fatal(err)
			}
			tape := op.NewTape(nil)
			_, err = spagonn.Apply(&nn.Pass{Tape: tape, Seqs: ragged()}, l, op.NewParam(8, 3, random(seeded("x"), 24)))
			if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "Model: sequence 0: spago: ") {
				t.Errorf("%d columns, swapped %v: %v", c.cols, swap, err)
			}
			if err := tape.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestProcessSurvives runs all failures in a process of its own, with the default logger.
func TestProcessSurvives(t *testing.T) {
	if os.Getenv("SPAGONN_FAILURES") != "" {
		for _, f := range failures {
			tape := op.NewTape(nil)
			fmt.Println(runGraph(tape, nil, f.run) != nil)
		}
		log.Fatal("the end of the process") // outside of a graph, log.Fatal ends it
	}
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(name, "-test.run", "^TestProcessSurvives$")
	c.Env = append(os.Environ(), "SPAGONN_FAILURES=1")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if n := strings.Count(string(out), "true\n"); n != len(failures) {
		t.Errorf("%d of %d failures survived:\n%s", n, len(failures), out)
	}
	if e := (*exec.ExitError)(nil); !errors.As(err, &e) || e.ExitCode() != 1 {
		t.Errorf("the process ended with %v", err)
	}
	if got := stderr.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "the end of the process") {
		t.Errorf("messages of the process: %s", got)
	}
}

// TestLogger: messages of others pass through while graphs run, and an output that somebody sets then stays.
func TestLogger(t *testing.T) {
	old := log.Writer()
	defer log.SetOutput(old)
	var lines, others bytes.Buffer
	log.SetOutput(&lines)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			tape := op.NewEvalTape(nil)
			defer tape.Close()
			for range 20 {
				err := runGraph(tape, nil, func(r []mat.Tensor) []mat.Tensor {
					log.Print("from a graph")
					return r
				})
				if err != nil {
					t.Error(err)
				}
				log.Print("from elsewhere")
			}
		})
	}
	wait.Wait()
	if got := lines.String(); strings.Count(got, "from a graph\n") != 160 || strings.Count(got, "from elsewhere\n") != 80 {
		t.Errorf("%d lines arrived", strings.Count(got, "\n"))
	}
	if log.Writer() != io.Writer(&lines) {
		t.Error("the logger has another output")
	}
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	if err := runGraph(tape, nil, func(r []mat.Tensor) []mat.Tensor { log.SetOutput(&others); return r }); err != nil {
		t.Error(err)
	}
	if log.Writer() != io.Writer(&others) {
		t.Error("the output that a graph set is gone")
	}
}

// TestRefusedModules: New returns an error that names the field and what to use instead.
func TestRefusedModules(t *testing.T) {
	layers := func(m ...spago.StandardModel) spago.Model { return &gmlp.Block{Layers: m} }
	used := linear.New[float32](3, 3)
	for want, m := range map[string]spago.Model{
		"linear.Model: W has float64 values; make the module with New[float32]": linear.New[float64](3, 2),
		"Layers.1 is a spago dropout, which draws from a random stream of the whole process; use nn.Dropout": layers(
			linear.New[float32](3, 3), dropout.New(0.1)),
		"the module is a spago embedding, which has a parameter for each row and keeps a list of those in use; use " +
			"nn.Embedding": embedding.New[float32](4, 3),
		"Layers.0 has the activation 99, which spago does not know": layers(activation.New(99)),
		"Layers.0 has 1 parameters for an activation that has 2": layers(
			activation.New(activation.SELU, scalar[float32](1))),
		"Layers.0: parameter 0 of the activation is not a scalar": layers(
			activation.New(activation.ELU, parameter(1, 2))),
		"parameter 0 of the activation gets no gradient from spago; make it with WithGrad(false)": layers(
			activation.New(activation.ELU, spago.NewParam(mat.Scalar[float32](1)))),
		"hidden of spagonn_test.private holds parameters, but is not exported": &private{hidden: used},
		"deep of spagonn_test.private holds parameters, but is not exported":   &private{deep: map[int][]any{1: {used}}},
		"State holds a result of an earlier graph; set it to nil": &private{
			State: ag.Tanh(mat.Scalar[float32](1))},
		"State is a *mat.Dense[float32] that needs a gradient; make it an *nn.Param": &private{
			State: mat.Scalar[float32](1, mat.WithGrad(true))},
		"Random is a sync.Map, whose order is random":             &private{Random: &sync.Map{}},
		`Maps has the key "a.b"; keys are parts of names`:         &private{Maps: map[any]*linear.Model{"a.b": used}},
		"Maps is a map with keys of type float64; use strings or": &private{Maps: map[any]*linear.Model{1.5: used}},
		"W has no matrix":   &linear.Model{W: &spago.Param{}},
		"the module is nil": (*linear.Model)(nil),
	} {
		if _, err := spagonn.New(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	_, err := spagonn.New(layers(dropout.New(0.1), activation.New(99)))
	if err == nil || !strings.Contains(err.Error(), "Layers.0") || !strings.Contains(err.Error(), "Layers.1") {
		t.Errorf("not all fields are listed: %v", err)
	}
	if _, err := spagonn.New(layers(dropout.New(0))); err != nil {
		t.Errorf("dropout of 0: %v", err)
	}
}

// private has fields in which parameters would be lost.
type private struct {
	spago.Module
	hidden *linear.Model
	deep   any
	State  mat.Tensor
	Random *sync.Map
	Maps   map[any]*linear.Model
}

// TestStatistics: the running statistics of a batch normalisation would be lost, so a forward that changes them is an
// error, and leaves those of the module as they are.
func TestStatistics(t *testing.T) {
	m := batchNorm[float32]()
	l, err := spagonn.New(m)
	if err != nil {
		t.Fatal(err)
	}
	tape := op.NewTape(nil)
	defer tape.Close()
	_, err = l.Forward(&nn.Pass{Tape: tape, Seqs: ragged()}, op.NewParam(8, 3, random(seeded("x"), 24)),
		func(m *batchnorm.Model, _ int, rows []mat.Tensor) []mat.Tensor { return m.ForwardT(rows...) })
	if err == nil || !strings.Contains(err.Error(), "the forward changed Mean, StdDev, which no adapter would keep") {
		t.Error(err)
	}
	if got := m.Mean.Value().(mat.Matrix).ScalarAt(0).F32(); got != float32(0.3/3) {
		t.Errorf("the mean of the module is %g", got)
	}
}

// TestMultiHeadAttention: spago's makes operators operands of themselves; see multiHead for one that does not.
func TestMultiHeadAttention(t *testing.T) {
	l, err := spagonn.New(multiheadattention.New[float32](4, 2, false, false))
	if err != nil {
		t.Fatal(err)
	}
	tape := op.NewTape(nil)
	defer tape.Close()
	_, err = l.Forward(&nn.Pass{Tape: tape, Seqs: ragged()}, op.NewParam(8, 4, random(seeded("x"), 32)),
		func(m *multiheadattention.Model, _ int, rows []mat.Tensor) []mat.Tensor {
			ys, _, _ := m.Forward(nil, rows, rows)
			return ys
		})
	if err == nil || !strings.Contains(err.Error(), "an operator depends on itself") {
		t.Error(err)
	}
}

// TestHighwayWithoutParameters: an activation that needs parameters, in a module that has none for it, is an error.
func TestHighwayWithoutParameters(t *testing.T) {
	l, err := spagonn.New(highway.New[float32](3, activation.ELU))
	if err != nil {
		t.Fatal(err)
	}
	tape := op.NewTape(nil)
	defer tape.Close()
	_, err = spagonn.Apply(&nn.Pass{Tape: tape, Seqs: ragged()}, l, op.NewParam(8, 3, random(seeded("x"), 24)))
	if err == nil || !strings.Contains(err.Error(), "highway.Model: sequence 0: spago: runtime error: index out") {
		t.Error(err)
	}
}
