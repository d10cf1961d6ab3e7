package spagonn_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
	"github.com/nlpodyssey/spago/nn/activation"
	"github.com/nlpodyssey/spago/nn/birnn"
	"github.com/nlpodyssey/spago/nn/crf"
	"github.com/nlpodyssey/spago/nn/gmlp"
	"github.com/nlpodyssey/spago/nn/highway"
	"github.com/nlpodyssey/spago/nn/linear"
	"github.com/nlpodyssey/spago/nn/normalization/adanorm"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/nn/spagonn"
)

func equalBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("%s differs: %v, want %v", what, got, want)
	}
}

// many are sequences of different lengths, more than there are chunks.
func many() op.Seqs {
	s := op.Seqs{Starts: []int{0}}
	for i := range 23 {
		s.Starts = append(s.Starts, s.Starts[i]+1+i*7%5)
	}
	return s
}

// TestSameBits: every number of workers, and every run, gives the same bits, also over two accumulated backwards.
func TestSameBits(t *testing.T) {
	bilstm := of("bilstm", 3, func() *birnn.Model { return birnn.NewBiLSTM[float32](3, 4, birnn.Concat) }, nil)
	loss := module("crf", 3, func() *crf.Model { return crf.New[float32](3) }, nil,
		func(m *crf.Model, i int, rows []mat.Tensor) []mat.Tensor {
			return []mat.Tensor{m.NegativeLogLoss(rows, []int{2, 0, 1, 1, 0}[:len(rows)])}
		})
	twice := module("operands in several places", 3, func() *linear.Model { return linear.New[float32](3, 3) }, nil,
		func(m *linear.Model, _ int, rows []mat.Tensor) []mat.Tensor {
			x := ag.Tanh(rows[0])
			return []mat.Tensor{ag.Affine(m.B, m.W, x, m.W, x, m.W, rows[len(rows)-1], ag.Mul(m.W, m.W), x)}
		})
	for _, s := range []sample{bilstm, loss, twice} {
		s.seqs = many()
		x := s.input()
		want := execute(t, nil, s.layer(t), x, s.cols, s.seqs, true)
		for _, workers := range []int{1, 2, 3, 8, 8} {
			pool := op.NewPool(workers)
			got := execute(t, pool, s.layer(t), x, s.cols, s.seqs, true)
			pool.Close()
			equalBits(t, fmt.Sprintf("%s, %d workers: value", s.name, workers), got.y, want.y)
			equalBits(t, fmt.Sprintf("%s, %d workers: gradient of x", s.name, workers), got.dx, want.dx)
			for i, g := range want.params {
				equalBits(t, fmt.Sprintf("%s, %d workers: gradient of parameter %d", s.name, workers, i), got.params[i], g)
			}
		}
	}
}

// TestIndependentOfTheBatch: the outputs of a sequence have the same bits in every batch.
func TestIndependentOfTheBatch(t *testing.T) {
	s := of("bilstm", 3, func() *birnn.Model { return birnn.NewBiLSTM[float32](3, 4, birnn.Concat) }, nil)
	s.seqs = many()
	x := s.input()
	all := execute(t, nil, s.layer(t), x, 3, s.seqs, false)
	for i := range s.seqs.Len() {
		lo, hi := s.seqs.Starts[i], s.seqs.Starts[i+1]
		alone := execute(t, nil, s.layer(t), x[lo*3:hi*3], 3, op.Seqs{Starts: []int{0, hi - lo}}, false)
		equalBits(t, fmt.Sprintf("sequence %d", i), alone.y, all.y[lo*8:hi*8])
	}
}

// TestLinearEqualsOurs: spago's linear layer gives the values and gradients of nn.Linear.
func TestLinearEqualsOurs(t *testing.T) {
	const in, out = 37, 11
	theirs, err := spagonn.New(linear.New[float32](in, out))
	if err != nil {
		t.Fatal(err)
	}
	ours := nn.NewLinear(in, out, true)
	w, b := random(seeded("w"), in*out), random(seeded("b"), out)
	for i, list := range [][]*op.Weight{{ours.Weight, ours.Bias},
		{theirs.ListWeights()[0].Weight, theirs.ListWeights()[1].Weight}} {
		if err := list[0].SetValues(slices.Clone(w)); err != nil {
			t.Fatal(err)
		}
		if err := list[1].SetValues(slices.Clone(b)); err != nil {
			t.Fatal(err)
		}
		if s := list[0].Shape(); !slices.Equal(s, []int{out, in}) || !slices.Equal(list[1].Shape(), []int{out}) {
			t.Errorf("layer %d has the shapes %v, %v", i, s, list[1].Shape())
		}
	}
	seqs := many()
	x := random(seeded("x"), seqs.Rows()*in)
	want := execute(t, nil, &layer{[]nn.NamedWeight{{Weight: ours.Weight}, {Weight: ours.Bias}},
		func(p *nn.Pass, x mat.Tensor) (mat.Tensor, error) { return ours.Forward(p, x), nil }}, x, in, seqs, false)
	got := execute(t, nil, &layer{theirs.ListWeights(), func(p *nn.Pass, x mat.Tensor) (mat.Tensor, error) {
		return spagonn.Apply(p, theirs, x)
	}}, x, in, seqs, false)
	for what, pair := range map[string][2][]float32{"value": {got.y, want.y}, "dx": {got.dx, want.dx},
		"dW": {got.params[0], want.params[0]}, "db": {got.params[1], want.params[1]}} {
		if len(pair[0]) != len(pair[1]) {
			t.Fatalf("%s has %d elements, want %d", what, len(pair[0]), len(pair[1]))
		}
		most := 0.0
		for _, v := range pair[1] {
			most = max(most, math.Abs(float64(v)))
		}
		for i, v := range pair[1] {
			if d := math.Abs(float64(pair[0][i] - v)); !(d <= 1e-6*most) {
				t.Errorf("%s: element %d is %g, want %g", what, i, pair[0][i], v)
			}
		}
	}
}

// plain is a struct of parameters without a module, which spago's traversal skips, as it skips nested slices.
type plain struct {
	Gain *spago.Param
	None *spago.Param
}

type everywhere struct {
	spago.Module
	Plain  plain
	Any    any
	Nested [][]*linear.Model
	Pair   [2]*spago.Param
	Mixed  []any
	Table  map[string]*spago.Param
	Counts map[int]*spago.Param
	Self   *everywhere
	Again  *linear.Model
	Note   string
	list   []string
}

func parameter(values ...float32) *spago.Param {
	return spago.NewParam(mat.NewDense[float32](mat.WithBacking(values)))
}

func newEverywhere() *everywhere {
	m := &everywhere{
		Plain: plain{Gain: parameter(1, 2)}, Any: linear.New[float32](2, 1), Pair: [2]*spago.Param{nil, parameter(3)},
		Nested: [][]*linear.Model{nil, {linear.New[float32](2, 2), nil, linear.New[float32](1, 2)}},
		Mixed:  []any{7, parameter(4), "x", plain{Gain: parameter(5)}},
		Table:  map[string]*spago.Param{"b": parameter(6), "a": parameter(7)},
		Counts: map[int]*spago.Param{10: parameter(8), 9: parameter(9)},
		Note:   "a note", list: []string{"x"},
	}
	m.Self, m.Again = m, m.Nested[1][0]
	return m
}

// TestNames: every parameter has the name of the path to it, in the order of the fields; a tied one has the first name.
func TestNames(t *testing.T) {
	m := newEverywhere()
	l, err := spagonn.New(m)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range l.ListWeights() {
		got = append(got, fmt.Sprint(w.Name, w.Weight.Shape()))
	}
	want := []string{"Plain.Gain[2]", "Any.W[1 2]", "Any.B[1]", "Nested.1.0.W[2 2]", "Nested.1.0.B[2]", "Nested.1.2.W[2]",
		"Nested.1.2.B[2]", "Pair.1[1]", "Mixed.1[1]", "Mixed.3.Gain[1]", "Table.a[1]", "Table.b[1]", "Counts.9[1]",
		"Counts.10[1]"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if v := l.ListWeights()[0].Weight.Float32(); v[0] != 1 || v[1] != 2 {
		t.Errorf("the weight has the values %v", v)
	}
	tape := op.NewTape(nil)
	defer tape.Close()
	_, err = l.Forward(&nn.Pass{Tape: tape, Seqs: op.Seqs{Starts: []int{0, 1, 2}}}, op.NewParam(2, 2, make([]float32, 4)),
		func(c *everywhere, _ int, rows []mat.Tensor) []mat.Tensor {
			if c == m || c.Self != c || c.Again != c.Nested[1][0] || c.Again == m.Again || c.Note != m.Note ||
				c.Plain.Gain == m.Plain.Gain || c.Mixed[0] != 7 || c.list[0] != "x" || c.Table["a"] == m.Table["a"] {
				t.Error("the module is not a deep copy")
			}
			c.Note, c.Plain.None = "changed", c.Plain.Gain
			return rows
		})
	if err != nil || m.Note != "a note" || m.Plain.None != nil {
		t.Errorf("%v; the module has changed: %q", err, m.Note)
	}
	m.Self = newEverywhere()
	_, err = l.Forward(&nn.Pass{Tape: tape, Seqs: op.Seqs{Starts: []int{0, 1}}}, op.NewParam(1, 2, make([]float32, 2)),
		func(_ *everywhere, _ int, rows []mat.Tensor) []mat.Tensor { return rows })
	if err == nil || !strings.Contains(err.Error(), "was not there when New made the layer") {
		t.Errorf("a parameter that came later: %v", err)
	}
}

// TestTiedAndFrozen: a tied parameter gets the sum of its gradients, and one made with WithGrad(false) none.
func TestTiedAndFrozen(t *testing.T) {
	m := newTied[float32]()
	m.Second.W.SetRequiresGrad(false)
	l, err := spagonn.New(m)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, w := range l.ListWeights() {
		names = append(names, w.Name)
	}
	if want := []string{"First.W", "First.B", "Second.W"}; !slices.Equal(names, want) {
		t.Fatalf("names %v, want %v", names, want)
	}
	copy(mat.Data[float32](m.Second.W.Matrix), []float32{2, 0, 0, 0, 2, 0, 0, 0, 2})
	got := execute(t, nil, &layer{l.ListWeights(), func(p *nn.Pass, x mat.Tensor) (mat.Tensor, error) {
		return spagonn.Apply(p, l, x)
	}}, make([]float32, 3), 3, op.Seqs{Starts: []int{0, 1}}, false)
	c := random(seeded("loss"), 3)
	equalBits(t, "gradient of the tied bias", got.params[1], []float32{3 * c[0], 3 * c[1], 3 * c[2]})
	if got.params[2] != nil {
		t.Errorf("the frozen weight has the gradient %v", got.params[2])
	}
}

// TestPrintedTree: the layer is printed with the names of its parameters.
func TestPrintedTree(t *testing.T) {
	relu := activation.New(activation.ReLU)
	l, err := spagonn.New(&gmlp.Block{Layers: []spago.StandardModel{linear.New[float32](2, 3), relu}})
	if err != nil {
		t.Fatal(err)
	}
	got := nn.Tree(&struct {
		spago.Module
		Head *spagonn.Layer[*gmlp.Block] `hf:"head"`
	}{Head: l}, nil)
	want := "Module(\n  (head): spago.gmlp.Block(\n    (Layers.0.W): Param(3×2)\n    (Layers.0.B): Param(3×1)\n  )\n)"
	if got != want {
		t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
	none, err := spagonn.New(relu)
	if err != nil || none.Describe() != "spago.activation.Model()" {
		t.Errorf("%v, %v", none.Describe(), err)
	}
}

// TestCheckpoint: a block with a layer of spago runs again in the backward with the same bits.
func TestCheckpoint(t *testing.T) {
	s := of("highway", 3, func() *highway.Model { return highway.New[float32](3, activation.Tanh) }, nil)
	x := s.input()
	plain := s.layer(t)
	want := execute(t, nil, plain, x, 3, s.seqs, false)
	again := s.layer(t)
	got := execute(t, nil, &layer{again.weights, func(p *nn.Pass, x mat.Tensor) (mat.Tensor, error) {
		return p.Tape.Checkpoint([]mat.Tensor{x}, func(tape *op.Tape, xs []mat.Tensor) mat.Tensor {
			q := *p
			q.Tape = tape
			y, err := again.forward(&q, xs[0])
			if err != nil {
				t.Fatal(err)
			}
			return op.Add(tape, y)
		}), nil
	}}, x, 3, s.seqs, false)
	equalBits(t, "value", got.y, want.y)
	equalBits(t, "gradient of x", got.dx, want.dx)
	for i := range want.params {
		equalBits(t, "gradient of "+again.weights[i].Name, got.params[i], want.params[i])
	}
}

// TestHeapTape: on a heap tape the operator works under spago's own backward.
func TestHeapTape(t *testing.T) {
	s := of("highway", 3, func() *highway.Model { return highway.New[float32](3, activation.Tanh) }, nil)
	l, x := s.layer(t), s.input()
	want := execute(t, nil, l, x, 3, s.seqs, false)
	tape, in := op.NewHeapTape(nil), op.NewParam(8, 3, slices.Clone(x))
	y, err := l.forward(&nn.Pass{Tape: tape, Seqs: s.seqs}, op.Add(tape, in))
	if err != nil {
		t.Fatal(err)
	}
	if err := ag.Backward(weighted(t, tape, y, random(seeded("loss"), 24))); err != nil {
		t.Fatal(err)
	}
	equalBits(t, "gradient of x", op.Grad(in), want.dx)
	for i, w := range l.weights {
		equalBits(t, "gradient of "+w.Name, op.Grad(w.Weight.Param), want.params[i])
	}
}

// TestAdaNorm: spago's adanorm stops the gradient of a factor on purpose, so central differences differ from it; the
// gradient equals that of spago's own backward in float64.
func TestAdaNorm(t *testing.T) {
	s := of("adanorm", 4, func() *adanorm.Model { return adanorm.New[float32](0.8) }, nil)
	s.seqs = op.Seqs{Starts: []int{0, 2}}
	x := s.input()
	got := execute(t, nil, s.layer(t), x, 4, s.seqs, false)
	c := random(seeded("loss"), 8)
	for r := range 2 {
		row := mat.NewDense[float64](mat.WithBacking(wide(x[r*4:r*4+4])), mat.WithGrad(true))
		y := adanorm.New[float64](0.8).Forward(row)[0]
		y.AccGrad(mat.NewDense[float64](mat.WithBacking(wide(c[r*4 : r*4+4]))))
		if err := ag.Backward(y); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			if v, d := y.Data().F64()[i], row.Grad().Data().F64()[i]; !near(float64(got.y[r*4+i]), v) ||
				!near(float64(got.dx[r*4+i]), d) {
				t.Errorf("row %d: value %g, gradient %g; want %g, %g", r, got.y[r*4+i], got.dx[r*4+i], v, d)
			}
		}
	}
}

// TestCopy: a copy for spago has the values of the layer, and gives its results under spago alone.
func TestCopy(t *testing.T) {
	l, err := spagonn.New(crf.New[float32](3))
	if err != nil {
		t.Fatal(err)
	}
	w := l.ListWeights()[0].Weight
	if err := w.SetValues(random(seeded("transitions"), 16)); err != nil {
		t.Fatal(err)
	}
	m, err := l.Copy(nil)
	if err != nil {
		t.Fatal(err)
	}
	equalBits(t, "transitions", mat.Data[float32](m.TransitionScores.Matrix), w.Float32())
	m.TransitionScores.SetAt(mat.Scalar[float32](9), 0, 0)
	if w.Float32()[0] == 9 || !m.TransitionScores.RequiresGrad() {
		t.Error("the copy shares its values with the layer, or does not train")
	}
	var rows []mat.Tensor
	for range 4 {
		rows = append(rows, mat.NewDense[float32](mat.WithBacking(random(seeded("emissions"), 3))))
	}
	if path := m.Decode(rows); len(path) != 4 {
		t.Errorf("path %v", path)
	}
}

// adapter replaces weights.
type adapter map[*op.Weight]*op.Weight

func (a adapter) Correction(*op.Weight) *op.Correction { return nil }
func (a adapter) Replacement(w *op.Weight) *op.Weight  { return a[w] }

// TestConcurrentAdapters: goroutines with different adapters use one layer at the same time, and each gets its own
// results.
func TestConcurrentAdapters(t *testing.T) {
	l, err := spagonn.New(birnn.NewBiGRU[float32](3, 2, birnn.Concat))
	if err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(2)
	defer pool.Close()
	seqs := many()
	x := random(seeded("x"), seqs.Rows()*3)
	one := func(a nn.AdapterSet) []float32 {
		tape := op.NewEvalTape(pool)
		defer tape.Close()
		y, err := spagonn.Apply(&nn.Pass{Tape: tape, Seqs: seqs, Adapter: a}, l, op.NewParam(seqs.Rows(), 3, x))
		if err != nil {
			t.Error(err)
			return nil
		}
		return slices.Clone(op.Values(y))
	}
	var sets []adapter
	var want [][]float32
	for k := range 3 {
		a := adapter{}
		for _, w := range l.ListWeights() {
			own := w.Weight.Copy()
			if err := own.SetValues(random(seeded(fmt.Sprint(w.Name, k)), own.Len())); err != nil {
				t.Fatal(err)
			}
			a[w.Weight] = own
		}
		sets, want = append(sets, a), append(want, one(a))
	}
	if slices.Equal(want[0], want[1]) {
		t.Fatal("two adapters have the same results")
	}
	served := make([]nn.AdapterSet, seqs.Len())
	for i := range served {
		served[i] = &sets[i%len(sets)]
	}
	tape := op.NewEvalTape(pool)
	defer tape.Close()
	p := &nn.Pass{Tape: tape, Seqs: seqs}
	p.Serve(served)
	y, err := spagonn.Apply(p, l, op.NewParam(seqs.Rows(), 3, x))
	if err != nil {
		t.Fatal(err)
	}
	_, cols := op.Size(y)
	for i := range served {
		lo, hi := seqs.Starts[i]*cols, seqs.Starts[i+1]*cols
		equalBits(t, fmt.Sprint("sequence ", i), op.Values(y)[lo:hi], want[i%len(sets)][lo:hi])
	}
	var wait sync.WaitGroup
	for k, a := range sets {
		for range 2 {
			wait.Go(func() {
				for range 3 {
					equalBits(t, fmt.Sprint("adapter ", k), one(a), want[k])
				}
			})
		}
	}
	wait.Wait()
}

// TestMemory: a tape that does not record keeps nothing of a graph, and one that does gives all of it back.
func TestMemory(t *testing.T) {
	s := of("highway", 3, func() *highway.Model { return highway.New[float32](3, activation.Tanh) }, nil)
	l := s.layer(t)
	for _, tape := range []*op.Tape{op.NewEvalTape(nil), op.NewTape(nil)} {
		scope := tape.Scope()
		y, err := l.forward(&nn.Pass{Tape: tape, Seqs: s.seqs}, op.NewParam(8, 3, s.input()))
		if err != nil {
			t.Fatal(err)
		}
		if y.RequiresGrad() != tape.Recording() {
			t.Errorf("recording %v, but the result needs a gradient: %v", tape.Recording(), y.RequiresGrad())
		}
		tape.Leave(scope)
		tape.Reset()
		if now, _ := tape.Memory(); now != 0 {
			t.Errorf("%d bytes are left", now)
		}
		if err := tape.Close(); err != nil {
			t.Error(err)
		}
	}
	_, err := l.forward(&nn.Pass{Tape: op.NewHeapTape(nil), Seqs: s.seqs}, op.NewParam(7, 3, make([]float32, 21)))
	if err == nil || !strings.Contains(err.Error(), "x has 7 rows, the sequences of the pass have 8") {
		t.Error(err)
	}
}
