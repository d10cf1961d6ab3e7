package nn_test

import (
	"math"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// adapter is a set that corrects or replaces single weights.
type adapter struct {
	pairs  map[*op.Weight]*op.Correction
	copies map[*op.Weight]*op.Weight
}

func (a adapter) Correction(w *op.Weight) *op.Correction { return a.pairs[w] }
func (a adapter) Replacement(w *op.Weight) *op.Weight    { return a.copies[w] }

func filled(seed uint64, ws ...*op.Weight) {
	for i, w := range ws {
		v := make([]float32, w.Len())
		nn.KaimingUniform(v, 4, 1, nn.NewRand(seed, string(rune('a'+i))))
		if err := w.SetValues(v); err != nil {
			panic(err)
		}
	}
}

func values(rows, cols int, seed uint64) *spago.Param {
	v := make([]float32, rows*cols)
	nn.KaimingUniform(v, 2, 1, nn.NewRand(seed, "values"))
	return op.NewParam(rows, cols, v)
}

// run calls f with a pass on a tape that does not record and returns what it computes.
func run(p nn.Pass, f func(p *nn.Pass) mat.Tensor) []float32 {
	p.Tape = op.NewEvalTape(nil)
	defer p.Tape.Close()
	return append([]float32(nil), op.Values(f(&p))...)
}

// TestAdapterInPass: a layer uses the correction and the replacement of the pass's adapter, and without an adapter
// gives the same result as before.
func TestAdapterInPass(t *testing.T) {
	l := nn.NewLinear(4, 3, true)
	filled(1, l.Weight, l.Bias)
	e := nn.NewEmbedding(6, 4, op.NoPadding)
	filled(2, e.Weight)
	x := values(2, 4, 3)
	forward := func(p *nn.Pass) mat.Tensor { return l.Forward(p, x) }
	base := run(nn.Pass{}, forward)

	own := nn.NewLinear(4, 3, true)
	filled(4, own.Weight, own.Bias)
	copies := adapter{copies: map[*op.Weight]*op.Weight{l.Weight: own.Weight, l.Bias: own.Bias}}
	replaced := run(nn.Pass{Adapter: copies}, forward)
	if !slices.Equal(replaced, run(nn.Pass{}, func(p *nn.Pass) mat.Tensor { return own.Forward(p, x) })) {
		t.Error("the replacement is not used")
	}
	pair := &op.Correction{A: values(2, 4, 5), B: values(3, 2, 6), Scale: 1}
	pairs := adapter{pairs: map[*op.Weight]*op.Correction{l.Weight: pair}}
	if corrected := run(nn.Pass{Adapter: pairs}, forward); slices.Equal(corrected, base) {
		t.Error("the correction is not used")
	}
	if !slices.Equal(run(nn.Pass{}, forward), base) {
		t.Error("the result without an adapter has changed")
	}
	lookup := func(p *nn.Pass) mat.Tensor { return e.Forward(p, []int32{1, 5}) }
	table := &op.Correction{A: values(2, 6, 5), B: values(4, 2, 6), Scale: 1}
	pairs = adapter{pairs: map[*op.Weight]*op.Correction{e.Weight: table}}
	if slices.Equal(run(nn.Pass{}, lookup), run(nn.Pass{Adapter: pairs}, lookup)) {
		t.Error("the table's correction is not used")
	}
}

// TestProject: Project returns the results of the single layers side by side.
func TestProject(t *testing.T) {
	a, b := nn.NewLinear(4, 3, true), nn.NewLinear(4, 2, false)
	filled(1, a.Weight, a.Bias, b.Weight)
	x := values(5, 4, 2)
	both := run(nn.Pass{}, func(p *nn.Pass) mat.Tensor { return nn.Project(p, x, a, b) })
	one := run(nn.Pass{}, func(p *nn.Pass) mat.Tensor { return a.Forward(p, x) })
	two := run(nn.Pass{}, func(p *nn.Pass) mat.Tensor { return b.Forward(p, x) })
	for n := range 5 {
		if !slices.Equal(both[n*5:n*5+3], one[n*3:n*3+3]) || !slices.Equal(both[n*5+3:n*5+5], two[n*2:n*2+2]) {
			t.Fatalf("row %d differs", n)
		}
	}
}

// TestDropoutOutsideTraining: without Train, neither the model nor a correction drops anything.
func TestDropoutOutsideTraining(t *testing.T) {
	d := &nn.Dropout{P: 0.5, Site: 1}
	x := values(4, 8, 1)
	seqs := op.Seqs{Starts: []int{0, 4}}
	drop := func(p *nn.Pass) mat.Tensor { return d.Forward(p, x) }
	if got := run(nn.Pass{Seqs: seqs}, drop); !slices.Equal(got, op.Values(x)) {
		t.Error("dropout acts in evaluation")
	}
	trained := run(nn.Pass{Seqs: seqs, Train: true, Key: op.Key{Seed: 1}}, drop)
	zeros := 0
	for _, v := range trained {
		if v == 0 {
			zeros++
		}
	}
	if zeros == 0 || zeros == len(trained) {
		t.Errorf("training drops %d of %d", zeros, len(trained))
	}
	if slices.Equal(trained, run(nn.Pass{Seqs: seqs, Train: true, Key: op.Key{Seed: 1, Step: 1}}, drop)) {
		t.Error("the next step drops the same elements")
	}
	l := nn.NewLinear(8, 3, false)
	filled(1, l.Weight)
	pair := &op.Correction{A: values(2, 8, 5), B: values(3, 2, 6), Scale: 1, Dropout: 0.5, Site: 9}
	set := adapter{pairs: map[*op.Weight]*op.Correction{l.Weight: pair}}
	forward := func(p *nn.Pass) mat.Tensor { return l.Forward(p, x) }
	plain := run(nn.Pass{Seqs: seqs, Adapter: set}, forward)
	if slices.Equal(plain, run(nn.Pass{Seqs: seqs, Adapter: set, Train: true}, forward)) {
		t.Error("the correction's dropout does not act in training")
	}
	pair.Dropout = 0
	if !slices.Equal(plain, run(nn.Pass{Seqs: seqs, Adapter: set}, forward)) {
		t.Error("the correction's dropout acts in evaluation")
	}
}

func TestFirstRows(t *testing.T) {
	s := op.Seqs{Starts: []int{0, 3, 4, 9}, Index: []int{5, 1, 2}}
	k := nn.FirstRows(s)
	if !slices.Equal(k.Rows, []int{0, 3, 4}) || !slices.Equal(k.Seqs.Starts, []int{0, 1, 2, 3}) ||
		!slices.Equal(k.Seqs.Index, s.Index) {
		t.Errorf("kept %+v", k)
	}
	p := nn.Pass{Seqs: s, Train: true}
	q := p.With(k.Seqs)
	if q.Seqs.Rows() != 3 || !q.Train || p.Seqs.Rows() != 9 {
		t.Error("With must change the copy only")
	}
}

// double is a block that makes two values and returns one.
type double struct{ kept *[]bool }

func (d double) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	*d.kept = append(*d.kept, p.Keep != nil)
	return op.Add(p.Tape, op.Add(p.Tape, x, x), x)
}

// TestStack: only the last block sees Keep, and afterwards only its result is in memory.
func TestStack(t *testing.T) {
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	var kept []bool
	p := &nn.Pass{Tape: tape, Keep: &nn.Kept{}}
	x := op.Add(tape, values(16, 16, 1))
	y := nn.Stack(p, x, []double{{&kept}, {&kept}, {&kept}})
	if !slices.Equal(kept, []bool{false, false, true}) {
		t.Errorf("blocks that saw Keep: %v", kept)
	}
	if now, _ := tape.Memory(); now != 4*16*16 {
		t.Errorf("%d bytes in use, want those of the result", now)
	}
	if got, want := op.Values(y)[3], 27*op.Values(values(16, 16, 1))[3]; math.Abs(float64(got-want)) > 1e-5 {
		t.Errorf("result %g, want %g", got, want)
	}
	if y := nn.Stack(p, values(1, 1, 1), []double{}); y == nil {
		t.Error("Stack of no blocks must return its operand")
	}
}

// TestDropoutAgain: the second call of a module draws independently, with the probability that the module has then.
func TestDropoutAgain(t *testing.T) {
	d := &nn.Dropout{P: 0.5, Site: 3}
	x := values(4, 8, 1)
	pass := nn.Pass{Seqs: op.Seqs{Starts: []int{0, 4}}, Train: true, Key: op.Key{Seed: 1}}
	first := run(pass, func(p *nn.Pass) mat.Tensor { return d.Forward(p, x) })
	second := run(pass, func(p *nn.Pass) mat.Tensor { return d.Again().Forward(p, x) })
	if slices.Equal(first, second) {
		t.Error("the second call drops the same elements")
	}
	if !slices.Equal(second, run(pass, func(p *nn.Pass) mat.Tensor { return d.Again().Forward(p, x) })) {
		t.Error("the second call drops other elements when the step is repeated")
	}
	d.P = 0
	if got := run(pass, func(p *nn.Pass) mat.Tensor { return d.Again().Forward(p, x) }); !slices.Equal(got, op.Values(x)) {
		t.Error("the second call does not have the module's probability")
	}
}

// trailed is a module that names one of its layers as the trailing one.
type trailed struct {
	spago.Module
	First  *nn.Linear `hf:"first"`
	Second *nn.Note   `hf:"second"`
	Third  *nn.Linear `hf:"third"`
	last   string     `hf:"-"`
}

func (m *trailed) Trailing() string { return m.last }

// TestTrailing: the tree prints the part that Trailing names last, if the module has such a part.
func TestTrailing(t *testing.T) {
	m := &trailed{First: nn.NewLinear(1, 2, true), Second: &nn.Note{Text: "Identity()"}, Third: nn.NewLinear(3, 4, false)}
	const first, second, third = "  (first): Linear(in_features=1, out_features=2, bias=True)\n",
		"  (second): Identity()\n", "  (third): Linear(in_features=3, out_features=4, bias=False)\n"
	for last, want := range map[string]string{"": first + second + third, "third": first + second + third,
		"first": second + third + first, "fourth": first + second + third} {
		m.last = last
		if got := nn.Tree(m, nil); got != "Module(\n"+want+")" {
			t.Errorf("%q last: got\n%s", last, got)
		}
	}
}

// TestLastOf: each sequence has its own last row with an id, wherever it is and however often; without one its last
// row.
func TestLastOf(t *testing.T) {
	s := op.Seqs{Starts: []int{0, 4, 5, 9, 11}, Index: []int{3, 1, 4, 2}}
	k := nn.LastOf(s, []int32{2, 7, 2, 9, 2, 5, 6, 7, 8, 2, 5}, 2)
	if want := []int{2, 4, 8, 9}; !slices.Equal(k.Rows, want) {
		t.Errorf("rows %v, want %v", k.Rows, want)
	}
	if want := []int{2, 0, 3, 0}; !slices.Equal(k.Seqs.First, want) || !slices.Equal(k.Seqs.Index, s.Index) {
		t.Errorf("places %v, want %v", k.Seqs.First, want)
	}
}
