package lora_test

import (
	"errors"
	"maps"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// evaBatch returns the batch that EVA sees for b. labelled are the rows whose token has a label; nil: all.
func (x *initFixture) evaBatch(b *batch.Batch, labelled []int) lora.EVABatch {
	return lora.EVABatch{Rows: labelled, Tokens: len(b.IDs), Forward: func(watch func(*op.Weight, mat.Tensor)) error {
		tape := op.NewEvalTape(x.pool)
		defer tape.Close()
		p := &nn.Pass{Tape: tape, Watch: watch}
		if m, ok := x.model.(*bert.ForSequenceClassification); ok {
			m.Logits(p, b)
			return nil
		}
		x.model.(models.CausalLM).Loss(p, b)
		return nil
	}}
}

// labelled returns the rows of the sequences lo to hi−1 whose token has a label.
func (x *initFixture) labelled(lo, hi int) []int {
	g := golden.Open(x.t, filepath.Join("../testdata", x.Base, "batches.safetensors"))
	labels, starts := g.Ints("labels"), g.Ints("starts")
	var rows []int
	for n := starts[lo]; n < starts[hi]; n++ {
		if labels[n] != int(batch.Ignore) {
			rows = append(rows, n-starts[lo])
		}
	}
	return rows
}

// initEVA makes the set that PEFT makes with initialize_lora_eva_weights from the fixture's batches.
func (x *initFixture) initEVA() *lora.Set {
	x.t.Helper()
	peft, _, err := lora.ReadConfig(filepath.Join(x.dir, "adapter_init"))
	if err != nil {
		x.t.Fatal(err)
	}
	c := x.config()
	c.EVA = peft.EVA
	s, err := lora.Attach(x.model, c, 1)
	if err != nil {
		x.t.Fatal(err)
	}
	err = s.InitEVA(len(x.EVABatches), func(i int) (lora.EVABatch, error) {
		lo, hi := x.EVABatches[i][0], x.EVABatches[i][1]
		var rows []int
		if c.TaskType == lora.CausalLM && c.EVA.UseLabelMask {
			rows = x.labelled(lo, hi)
		}
		return x.evaBatch(x.batch(lo, hi), rows), nil
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return s
}

// TestEVA: ranks, alphas and directions are those of PEFT's initialize_lora_eva_weights, and so is the training that
// follows.
func TestEVA(t *testing.T) {
	eachInit(t, func(t *testing.T, x *initFixture) {
		if x.Init != "eva" {
			return
		}
		base := x.logits(x.model, nil)
		s := x.initEVA()
		start := x.logits(x.model, s)
		if x.UseDoRA && x.Config.Bias != "" { // a bias is added in another order where DoRA scales rows
			closeTo(t, "start and base", start, base, 2e-6)
		} else if !sameBits(start, base) {
			t.Error("the start is not the base")
		}
		want := x.load("adapter_init").Config()
		got := s.Config()
		if g, w := patterns(got.RankPattern), patterns(want.RankPattern); !maps.Equal(g, w) {
			t.Errorf("ranks %v, PEFT's %v", g, w)
		}
		alphas := patterns(want.AlphaPattern)
		for path, alpha := range patterns(got.AlphaPattern) {
			if math.Abs(alpha-alphas[path]) > 1e-9 {
				t.Errorf("alpha of %s is %g, PEFT's %g", path, alpha, alphas[path])
			}
			delete(alphas, path)
		}
		if len(alphas) > 0 {
			t.Errorf("no alpha for %v", alphas)
		}
		f := golden.Open(t, filepath.Join(x.dir, "adapter_init", "adapter_model.safetensors"))
		for _, p := range s.Params() {
			if !strings.Contains(p.Name, "lora_A") {
				continue
			}
			a, w := op.Values(p.Param), f.Float32(p.Name)
			if len(a) != len(w) {
				t.Fatalf("%s has %d values, PEFT's %d", p.Name, len(a), len(w))
			}
			if d := golden.RelFrobenius(a, w); !(d <= 1e-3) {
				t.Errorf("%s is off by %.2g (relative Frobenius norm)", p.Name, d)
			}
		}
		x.train(s)
		x.compareFinal(s, "adapter_final")
		closeTo(t, "final", x.logits(x.model, s), x.expected.Float32("final.logits"), 1e-4)
		dir := t.TempDir()
		if err := s.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, _, err := lora.Load(dir, x.model)
		if err != nil {
			t.Fatal(err)
		}
		if c := again.Config(); !slices.Equal(c.RankPattern, got.RankPattern) || *c.EVA != got.EVAConfig() {
			t.Errorf("saved and loaded: %+v, want %+v", c, got)
		}
		closeTo(t, "loaded", x.logits(x.model, again), x.logits(x.model, s), 0)
	})
}

func patterns[T int | float64](o lora.Overrides[T]) map[string]T {
	m := map[string]T{}
	for _, x := range o {
		m[x.Pattern] = x.Value
	}
	return m
}

// TestEVARanks: with a small budget some layers lose their pairs; ranks sum up to the budget, α/r stays, and the
// adapter can be saved, loaded and trained. The result depends on neither the seed nor the number of processors.
func TestEVARanks(t *testing.T) {
	x := openInit(t, "../testdata/inits/bert_eva")
	run := func(seed uint64) *lora.Set {
		c := x.config()
		c.R, c.Alpha, c.EVA = 1, 3, new(lora.DefaultEVAConfig())
		c.EVA.Rho = 4
		s, err := lora.Attach(x.model, c, seed)
		if err != nil {
			t.Fatal(err)
		}
		before := s.Params()
		err = s.InitEVA(3, func(i int) (lora.EVABatch, error) { return x.evaBatch(x.batch(20*i, 20*i+20), nil), nil })
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Params()) >= len(before) {
			t.Errorf("%d parameters, %d before; want fewer, since some layers have no rank", len(s.Params()), len(before))
		}
		return s
	}
	s := run(1)
	ranks := 0
	for _, p := range s.Params() {
		if strings.Contains(p.Name, "lora_A") {
			r, _ := op.Size(p.Param)
			ranks += r
		}
		if strings.Contains(p.Name, "lora_B") && p.Scale != 3 {
			t.Errorf("%s has the scale %g, want 3", p.Name, p.Scale)
		}
	}
	if budget := 2 * 6; ranks != budget {
		t.Errorf("ranks sum up to %d, want %d", ranks, budget)
	}
	shakeSome(s)
	dir := t.TempDir()
	if err := s.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, warnings, err := lora.Load(dir, x.model)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	closeTo(t, "loaded", x.logits(x.model, again), x.logits(x.model, s), 0)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	first, second := run(1), run(2)
	for i, p := range first.Params() {
		if !sameBits(op.Values(p.Param), op.Values(second.Params()[i].Param)) {
			t.Errorf("%s depends on the seed", p.Name)
		}
		if strings.Contains(p.Name, "lora_A") && !sameBits(op.Values(p.Param), op.Values(s.Params()[i].Param)) {
			t.Errorf("%s depends on the number of processors", p.Name)
		}
	}
}

// shakeSome gives B of all pairs values.
func shakeSome(s *lora.Set) {
	for _, p := range s.Params() {
		if v := op.Values(p.Param); strings.Contains(p.Name, "lora_B") {
			for i := range v {
				v[i] = float32(math.Sin(float64(i)))
			}
		}
	}
}

// TestWatch: a pass with Watch computes the same bits and shows all rows of the last block, although the head reads
// some.
func TestWatch(t *testing.T) {
	for _, dir := range []string{"bert_eva", "gpt2_eva", "llama_eva"} {
		x := openInit(t, filepath.Join("../testdata/inits", dir))
		want := x.logits(x.model, nil)
		b := x.batch(0, 4)
		rows := map[int]int{}
		tape := op.NewEvalTape(x.pool)
		p := &nn.Pass{Tape: tape, Watch: func(_ *op.Weight, in mat.Tensor) { n, _ := op.Size(in); rows[n]++ }}
		var got []float32
		switch m := x.model.(type) {
		case *bert.ForSequenceClassification:
			got = slices.Clone(op.Values(m.Logits(p, b)))
		case models.CausalLM:
			m.Loss(&nn.Pass{Tape: tape, Watch: p.Watch}, b)
			got = slices.Clone(op.Values(m.Logits(&nn.Pass{Tape: tape, Watch: func(*op.Weight, mat.Tensor) {}}, b)))
		}
		tape.Close()
		closeTo(t, dir, got, want, 1e-6)
		layers := map[string]int{"bert_eva": 2 * 6, "gpt2_eva": 2 * 4, "llama_eva": 2 * 7}[dir]
		if rows[len(b.IDs)] < layers {
			t.Errorf("%s: of %d layers in blocks, %v show all %d rows", dir, layers, rows, len(b.IDs))
		}
	}
}

// TestEVAErrors: data that cannot give directions.
func TestEVAErrors(t *testing.T) {
	x := openInit(t, "../testdata/inits/bert_eva")
	attach := func(change func(c *lora.Config)) *lora.Set {
		c := x.config()
		change(&c)
		s, err := lora.Attach(x.model, c, 1)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	plain := func(*lora.Config) {}
	whole := func(int) (lora.EVABatch, error) { return x.evaBatch(x.batch(0, 20), nil), nil }
	few := func(int) (lora.EVABatch, error) { return x.evaBatch(x.batch(0, 20), []int{1, 2}), nil }
	broken := func(int) (lora.EVABatch, error) { return lora.EVABatch{}, errors.New("torn") }
	for name, c := range map[string]struct {
		set   *lora.Set
		n     int
		batch func(int) (lora.EVABatch, error)
		want  string
	}{
		"no batches":      {attach(plain), 0, whole, "no batches"},
		"another start":   {attach(func(c *lora.Config) { c.InitLoraWeights = lora.InitGaussian }), 1, whole, "want eva"},
		"few tokens":      {attach(plain), 2, few, "no batch has the 8 tokens"},
		"many directions": {attach(func(c *lora.Config) { c.R = 20 }), 1, whole, "fewer than the 40 directions"},
		"embeddings": {attach(func(c *lora.Config) { c.TargetModules = lora.Names("word_embeddings") }), 1, whole,
			"no linear layer"},
		"broken data": {attach(plain), 1, broken, "torn"},
	} {
		if err := c.set.InitEVA(c.n, c.batch); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
	for _, e := range []lora.EVAConfig{{Rho: 0.5, Tau: 1}, {Rho: 2, Tau: 1.5}, {Rho: math.NaN()}} {
		c := x.config()
		c.EVA = &e
		if err := c.Check(); err == nil || !strings.Contains(err.Error(), "eva_config") {
			t.Errorf("%+v: got %v, want an error that names eva_config", e, err)
		}
	}
}

// TestParseEVAConfig: what String writes is read, and other texts are errors that name their fault.
func TestParseEVAConfig(t *testing.T) {
	want := lora.EVAConfig{Rho: 1.5, Tau: 0.9, LabelMaskValue: -1, Whiten: true}
	if got, err := lora.ParseEVAConfig(want.String()); err != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	some := lora.DefaultEVAConfig()
	some.Rho, some.UseLabelMask = 1, false
	if got, err := lora.ParseEVAConfig("rho=1, use_label_mask=false"); err != nil || got != some {
		t.Errorf("got %v, %v; want %v", got, err, some)
	}
	for text, want := range map[string]string{"": "name=value", "rho": "name=value", "row=2": "adjust_scaling_factors, ",
		"rho=x": "a number", "whiten=2": "true or false", "rho=0.5": "1 or more"} {
		if got, err := lora.ParseEVAConfig(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want an error with %q", text, got, err, want)
		}
	}
}

// FuzzParseEVAConfig: no text makes the parser panic, and what it accepts is read again from its own text.
func FuzzParseEVAConfig(f *testing.F) {
	for _, text := range []string{"", "rho=1", "rho=2,tau=0.99,use_label_mask=false", "tau=1e-3, whiten=true", "rho=1e400",
		"label_mask_value=-100", "rho==2", "=,="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := lora.ParseEVAConfig(text)
		if err != nil {
			return
		}
		if again, err := lora.ParseEVAConfig(c.String()); err != nil || again != c {
			t.Errorf("%q is read as %v, and that as %v (%v)", text, c, again, err)
		}
	})
}
