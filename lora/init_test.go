package lora_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// initFixture is a directory of testdata/inits: adapters whose starting values PEFT computed
// (reference/init_fixtures.py). Base model and rows are those of another fixture.
type initFixture struct {
	t        *testing.T
	dir      string
	model    spago.Model
	expected *golden.Fixture
	batch    func(lo, hi int) *batch.Batch
	pool     *op.Pool

	Base         string
	Init         any `json:"init_lora_weights"`
	R            int `json:"lora_r"`
	Alpha        float64
	UseRSLoRA    bool                    `json:"use_rslora"`
	UseDoRA      bool                    `json:"use_dora"`
	Targets      []string                `json:"target_modules"`
	Exclude      string                  `json:"exclude_modules"`
	RankPattern  lora.Overrides[int]     `json:"rank_pattern"`
	AlphaPattern lora.Overrides[float64] `json:"alpha_pattern"`
	EVABatches   [][2]int                `json:"eva_batches"`
	Saved        []string                `json:"modules_to_save"`
	Config       struct {
		Bias     string
		LoRABias bool           `json:"lora_bias"`
		Tokens   lora.TokenRows `json:"trainable_token_indices"`
	}
	BatchSize   int     `json:"batch_size"`
	WeightDecay float64 `json:"weight_decay"`
	MaxGradNorm float64 `json:"max_grad_norm"`
	Log         []struct {
		Loss     float64 `json:"loss"`
		GradNorm float64 `json:"grad_norm"`
		LR       float64 `json:"learning_rate"`
	} `json:"log"`
}

func eachInit(t *testing.T, f func(t *testing.T, x *initFixture)) {
	files, err := filepath.Glob("../testdata/inits/*/case.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) { f(t, openInit(t, dir)) })
	}
}

func openInit(t *testing.T, dir string) *initFixture {
	t.Helper()
	x := &initFixture{t: t, dir: dir, expected: golden.Open(t, filepath.Join(dir, "expected.safetensors"))}
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, x); err != nil {
		t.Fatal(err)
	}
	var alpha struct {
		Alpha float64 `json:"lora_alpha"`
	}
	if err := json.Unmarshal(text, &alpha); err != nil {
		t.Fatal(err)
	}
	x.Alpha = alpha.Alpha
	from := filepath.Join("../testdata", x.Base)
	if strings.HasPrefix(x.Base, "bert/") {
		base := openFixture(t, from)
		x.model, x.batch, x.pool = base.model, base.batch, base.pool
	} else {
		base := openCausal(t, from)
		x.model, x.batch, x.pool = base.model, base.batch, base.pool
	}
	return x
}

// config returns the configuration with which PEFT made the adapter.
func (x *initFixture) config() lora.Config {
	x.t.Helper()
	c := lora.Config{R: x.R, Alpha: x.Alpha, UseRSLoRA: x.UseRSLoRA, UseDoRA: x.UseDoRA,
		TargetModules: lora.Names(x.Targets...),
		RankPattern:   x.RankPattern, AlphaPattern: x.AlphaPattern, TaskType: lora.CausalLM, ModulesToSave: x.Saved,
		Bias: lora.Bias(x.Config.Bias), LoRABias: x.Config.LoRABias, TrainableTokenIndices: x.Config.Tokens}
	if x.Exclude != "" {
		c.ExcludeModules, c.TaskType = lora.Pattern(x.Exclude), lora.SeqCls
	}
	text, err := json.Marshal(x.Init)
	if err == nil {
		err = json.Unmarshal(text, &c.InitLoraWeights)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	return c
}

// changesBase reports whether the starting values change the base weights.
func (x *initFixture) changesBase() bool { return x.Init == "pissa" || x.Init == "olora" }

// start returns the set before training: with the starting values that are computed here, or those of PEFT where they
// are random.
func (x *initFixture) start() *lora.Set {
	x.t.Helper()
	if !x.changesBase() {
		return x.load("adapter_init")
	}
	s, err := lora.Attach(x.model, x.config(), 1)
	if err != nil {
		x.t.Fatal(err)
	}
	x.copyRandom(s)
	return s
}

// copyRandom gives the corrections of embeddings, which are random, the values that PEFT drew.
func (x *initFixture) copyRandom(s *lora.Set) {
	f := golden.Open(x.t, filepath.Join(x.dir, "adapter_init", "adapter_model.safetensors"))
	for _, p := range s.Params() {
		if strings.Contains(p.Name, "lora_embedding_") {
			copy(op.Values(p.Param), f.Float32(p.Name))
		}
	}
}

func (x *initFixture) load(name string) *lora.Set {
	x.t.Helper()
	s, _, err := lora.Load(filepath.Join(x.dir, name), x.model)
	if err != nil {
		x.t.Fatal(err)
	}
	return s
}

func (x *initFixture) logits(m spago.Model, s *lora.Set) []float32 {
	tape := op.NewEvalTape(x.pool)
	defer tape.Close()
	p := &nn.Pass{Tape: tape}
	if s != nil {
		p.Adapter = s
	}
	switch m := m.(type) {
	case *bert.ForSequenceClassification:
		return slices.Clone(op.Values(m.Logits(p, x.batch(0, 4))))
	case models.CausalLM:
		return slices.Clone(op.Values(m.Logits(p, x.batch(0, 4))))
	}
	panic("unknown model")
}

func (x *initFixture) loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64) {
	if m, ok := x.model.(*bert.ForSequenceClassification); ok {
		return op.CrossEntropy(p.Tape, m.Logits(p, b), b.Labels, op.CrossEntropyConfig{})
	}
	sum, stats := x.model.(models.CausalLM).Loss(p, b)
	return sum, float64(stats.Targets)
}

// train repeats PEFT's steps and compares losses and norms.
func (x *initFixture) train(s *lora.Set) {
	x.t.Helper()
	tape := op.NewTape(x.pool)
	defer tape.Close()
	m, v := map[string][]float32{}, map[string][]float32{}
	for step, want := range x.Log {
		b := x.batch(step*x.BatchSize, (step+1)*x.BatchSize)
		sum, targets := x.loss(&nn.Pass{Tape: tape, Train: true, Adapter: s}, b)
		loss := float64(op.Values(sum)[0]) / targets
		if err := tape.Backward(sum); err != nil {
			x.t.Fatal(err)
		}
		tape.Reset()
		square := 0.0
		for _, p := range s.Params() {
			g := op.Grad(p.Param)
			kernel.Scale(g, g, float32(1/targets))
			square += kernel.SumSquares(g)
		}
		norm := math.Sqrt(square)
		if d := math.Abs(loss/want.Loss - 1); d > 2e-5 {
			x.t.Errorf("step %d: loss %.9g, PEFT %.9g (%.2g)", step+1, loss, want.Loss, d)
		}
		if d := math.Abs(norm/want.GradNorm - 1); d > 1e-4 {
			x.t.Errorf("step %d: gradient norm %.9g, PEFT %.9g (%.2g)", step+1, norm, want.GradNorm, d)
		}
		for _, p := range s.Params() {
			g, w := op.Grad(p.Param), op.Values(p.Param)
			if m[p.Name] == nil {
				m[p.Name], v[p.Name] = make([]float32, len(w)), make([]float32, len(w))
			}
			kernel.Scale(g, g, float32(min(1, x.MaxGradNorm/(norm+1e-6))))
			kernel.AdamW(w, g, m[p.Name], v[p.Name],
				kernel.AdamWConfig{LR: want.LR, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: x.WeightDecay}, step+1)
			op.ZeroGrad(p.Param)
		}
	}
}

// TestInits: losses and norms of ten steps, logits, merged logits and tensors are PEFT's for all starting values; files
// of PEFT without conversion are read, and those that are saved here act on the unchanged base.
func TestInits(t *testing.T) {
	eachInit(t, func(t *testing.T, x *initFixture) {
		base := x.logits(x.model, nil)
		closeTo(t, "base", base, x.expected.Float32("base.logits"), 2e-5)
		s := x.start()
		start := x.logits(x.model, s)
		closeTo(t, "start", start, x.expected.Float32("init.logits"), 2e-5)
		if x.Init != false {
			closeTo(t, "start and base", start, base, 2e-5)
		}
		if x.changesBase() {
			x.compareStart(s)
		}
		x.train(s)
		want := x.expected.Float32("final.logits")
		got := x.logits(x.model, s)
		closeTo(t, "final", got, want, 1e-4)
		x.compareFinal(s, "adapter_final")
		closeTo(t, "PEFT's file", x.logits(x.model, x.load("adapter_final")), want, 1e-4)
		if x.expected.Has("merged.logits") {
			closeTo(t, "merged", x.merged(s), x.expected.Float32("merged.logits"), 1e-4)
		}
		dir := t.TempDir()
		if err := s.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, warnings, err := lora.Load(dir, x.model)
		if err != nil || len(warnings) > 0 {
			t.Fatal(err, warnings)
		}
		closeTo(t, "saved and loaded", x.logits(x.model, again), got, 2e-5)
		if x.changesBase() {
			if c := again.Config(); c.R != 2*x.R || c.InitLoraWeights != lora.InitTrue {
				t.Errorf("the saved file has r %d and %s, want %d and true", c.R, c.InitLoraWeights, 2*x.R)
			}
			if x.Config.Bias == "" { // PEFT cannot convert with trained biases
				x.compareFinal(again, "adapter_converted")
				x.comparePatterns(again.Config())
			}
		}
		closeTo(t, "base afterwards", x.logits(x.model, nil), base, 0)
	})
}

func (x *initFixture) merged(s *lora.Set) []float32 {
	x.t.Helper()
	list, err := lora.Merge(x.model, s, x.pool)
	if err != nil {
		x.t.Fatal(err)
	}
	var m spago.Model
	if strings.HasPrefix(x.Base, "bert/") {
		m = openFixture(x.t, filepath.Join("../testdata", x.Base)).model
	} else {
		m = openCausal(x.t, filepath.Join("../testdata", x.Base)).model
	}
	if err := lora.Assign(m, list); err != nil {
		x.t.Fatal(err)
	}
	return x.logits(m, nil)
}

// compareStart compares the base weights without what the pairs start with, and B·A, with PEFT's.
func (x *initFixture) compareStart(s *lora.Set) {
	x.t.Helper()
	weights := map[string]*op.Weight{}
	for _, w := range nn.Weights(x.model) {
		weights[w.Name] = w.Weight
	}
	for _, name := range x.expected.Names() {
		layer, ok := strings.CutPrefix(name, "base.")
		if !ok || name == "base.logits" {
			continue
		}
		w := weights[layer+".weight"]
		rest := s.Replacement(w)
		if rest == nil {
			x.t.Errorf("%s has no residual", layer)
			continue
		}
		if d := golden.RelFrobenius(rest.Float32(), x.expected.Float32(name)); !(d <= 1e-3) {
			x.t.Errorf("residual of %s: off by %.2g (relative Frobenius norm)", layer, d)
		}
	}
	x.compareFinal(s, "adapter_init")
}

// compareFinal compares the tensors of the set with those of an adapter of PEFT: products B·A where the signs of A and
// B are free, and those of PEFT's conversion, which leaves out other tensors.
func (x *initFixture) compareFinal(s *lora.Set, name string) {
	x.t.Helper()
	f := golden.Open(x.t, filepath.Join(x.dir, name, "adapter_model.safetensors"))
	params := map[string][]float32{}
	for _, p := range s.Params() {
		params[p.Name] = op.Values(p.Param)
	}
	compared := 0
	for _, p := range s.Params() {
		got, key := params[p.Name], p.Name
		if !f.Has(key) {
			if name != "adapter_converted" {
				x.t.Errorf("PEFT's %s has no %s", name, key)
			}
			continue
		}
		want := f.Float32(key)
		if b := strings.Replace(key, ".lora_A.", ".lora_B.", 1); x.changesBase() && b != key {
			got, want = productBA(params[b], got, f.Shape(b)), productBA(f.Float32(b), want, f.Shape(b))
		} else if x.changesBase() && strings.Contains(key, ".lora_B.") {
			continue
		}
		compared++
		if d := golden.RelFrobenius(got, want); !(d <= 1e-3) && !symmetric(key) {
			x.t.Errorf("%s: %s is off by %.2g (relative Frobenius norm)", name, key, d)
		}
	}
	if compared == 0 {
		x.t.Errorf("%s: nothing compared", name)
	}
}

// productBA returns B·A, where B has the given shape.
func productBA(b, a []float32, shape []int) []float32 {
	out, r := shape[0], shape[1]
	in := len(a) / r
	y := make([]float32, out*in)
	for i := range out {
		for k := range r {
			for j := range in {
				y[i*in+j] += b[i*r+k] * a[k*in+j]
			}
		}
	}
	return y
}

// comparePatterns compares ranks and scales with those of PEFT's conversion.
func (x *initFixture) comparePatterns(c lora.Config) {
	x.t.Helper()
	want, _, err := lora.ReadConfig(filepath.Join(x.dir, "adapter_converted"))
	if err != nil {
		x.t.Fatal(err)
	}
	if c.R != want.R || math.Abs(c.Alpha-want.Alpha) > 1e-9 || !slices.Equal(c.RankPattern, want.RankPattern) ||
		!slices.Equal(c.AlphaPattern, want.AlphaPattern) {
		x.t.Errorf("r %d, alpha %g, patterns %v, %v; PEFT's conversion %d, %g, %v, %v",
			c.R, c.Alpha, c.RankPattern, c.AlphaPattern, want.R, want.Alpha, want.RankPattern, want.AlphaPattern)
	}
}

// TestInitStart: the adapted model starts with the outputs of the base, bit for bit where B or A is zero, otherwise
// within rounding; and it does not start there with InitFalse.
func TestInitStart(t *testing.T) {
	m, b := newModel(1), newBatch()
	base, print := logitsOf(m, nil, nil, b), fingerprint(m)
	for _, init := range []lora.Init{lora.InitTrue, lora.InitGaussian, lora.InitEVA, lora.InitOrthogonal, lora.InitPiSSA,
		lora.PiSSAIterations(0), lora.PiSSAIterations(4), lora.InitOLoRA, lora.InitFalse} {
		c := lora.Config{R: 4, Alpha: 6, InitLoraWeights: init,
			TargetModules: lora.Names("query", "dense", "word_embeddings")}
		got := logitsOf(m, attach(t, m, c), nil, b)
		switch init {
		case lora.InitTrue, lora.InitGaussian, lora.InitEVA:
			if !sameBits(got, base) {
				t.Errorf("%s: logits %v, base %v", init, got, base)
			}
		case lora.InitFalse:
			if golden.MaxRel(got, base) < 1e-2 {
				t.Errorf("%s: logits %v are those of the base", init, got)
			}
		default:
			closeTo(t, init.String(), got, base, 1e-5)
		}
	}
	if fingerprint(m) != print {
		t.Error("the base changed")
	}
}

// TestInitDistributions: random starting values have PEFT's distributions.
func TestInitDistributions(t *testing.T) {
	m := newModelOfWidth(256)
	values := func(init lora.Init) (a, b, tableA, tableB []float32) {
		c := lora.Config{R: 8, Alpha: 8, TargetModules: lora.Names("query", "key", "value", "word_embeddings"),
			InitLoraWeights: init}
		for _, p := range attach(t, m, c).Params() {
			to := map[string]*[]float32{"lora_A.weight": &a, "lora_B.weight": &b, "lora_embedding_A": &tableA,
				"lora_embedding_B": &tableB}[p.Name[strings.LastIndex(p.Name, "lora_"):]]
			*to = append(*to, op.Values(p.Param)...)
		}
		return a, b, tableA, tableB
	}
	const normal, uniform = 0.6827, 1 / math.Sqrt2 / 1.2247 // shares within one standard deviation
	distributed := func(what string, v []float32, deviation, within float64) {
		t.Helper()
		var sum, square, inside float64
		for _, x := range v {
			sum += float64(x)
			square += float64(x) * float64(x)
			if math.Abs(float64(x)) < deviation {
				inside++
			}
		}
		n := float64(len(v))
		if mean, d := sum/n, math.Sqrt(square/n); math.Abs(mean) > 5*deviation/math.Sqrt(n) ||
			math.Abs(d/deviation-1) > 5/math.Sqrt(n) {
			t.Errorf("%s: mean %g, deviation %g; want 0 and %g", what, mean, d, deviation)
		}
		if math.Abs(inside/n-within) > 5/math.Sqrt(n)/2 {
			t.Errorf("%s: a share of %g lies within one deviation, want %g", what, inside/n, within)
		}
	}
	zero := func(what string, v []float32) {
		t.Helper()
		if slices.ContainsFunc(v, func(x float32) bool { return x != 0 }) {
			t.Errorf("%s is not zero", what)
		}
	}
	a, b, ta, tb := values(lora.InitTrue)
	distributed("true A", a, 1/math.Sqrt(3*256), uniform)
	zero("true B", b)
	zero("true A of a table", ta)
	distributed("true B of a table", tb, 1, normal)
	a, b, ta, tb = values(lora.InitFalse)
	distributed("false A", a, 1/math.Sqrt(3*256), uniform)
	distributed("false B", b, 1/math.Sqrt(3*8), uniform)
	distributed("false A of a table", ta, 1, normal)
	distributed("false B of a table", tb, 1, normal)
	a, b, ta, tb = values(lora.InitGaussian)
	distributed("gaussian A", a, 1.0/8, normal)
	zero("gaussian B", b)
	zero("gaussian A of a table", ta)
	distributed("gaussian B of a table", tb, 1, normal)
	a, b, ta, _ = values(lora.InitOrthogonal)
	for what, v := range map[string][]float32{"orthogonal A": a, "orthogonal B": b} {
		if d := deviation(v) / (math.Sqrt(0.5) / 10); math.Abs(d-1) > 0.1 { // the mixtures have half of the directions
			t.Errorf("%s: deviation is %g of what it should be", what, d)
		}
	}
	zero("orthogonal A of a table", ta)
}

func deviation(v []float32) float64 {
	square := 0.0
	for _, x := range v {
		square += float64(x) * float64(x)
	}
	return math.Sqrt(square / float64(len(v)))
}

// TestInitErrors: configurations that PEFT refuses, ranks without singular values, and weights that cannot be
// decomposed.
func TestInitErrors(t *testing.T) {
	m := newModel(1)
	query := lora.Names("query")
	for _, x := range []struct {
		c    lora.Config
		want string
	}{
		{lora.Config{R: 3, Alpha: 1, TargetModules: query, InitLoraWeights: lora.InitOrthogonal}, "even r"},
		{lora.Config{R: 20, Alpha: 1, TargetModules: lora.Names("intermediate.dense"), InitLoraWeights: lora.InitPiSSA},
			"has only 16 directions"},
		{lora.Config{R: 4, Alpha: 1, TargetModules: query, InitLoraWeights: lora.InitPiSSA, UseRSLoRA: true,
			RankPattern: lora.Overrides[int]{{Pattern: "query", Value: 2}}}, "rank_pattern"},
		{lora.Config{R: 4, Alpha: 1, TargetModules: query, InitLoraWeights: lora.InitOLoRA, UseRSLoRA: true,
			AlphaPattern: lora.Overrides[float64]{{Pattern: "query", Value: 2}}}, "alpha_pattern"},
		{lora.Config{R: 4, Alpha: 1, TargetModules: query, InitLoraWeights: "corda"}, "corda"},
		{lora.Config{R: 4, Alpha: 1, TargetModules: query, InitLoraWeights: "pissa_niter_x"}, "want true, false"},
	} {
		if _, err := lora.Attach(m, x.c, 1); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: got %v, want an error with %q", x.c.InitLoraWeights, err, x.want)
		}
	}
	for _, w := range nn.Weights(m) {
		if w.Name != "bert.encoder.layer.1.attention.self.query.weight" {
			continue
		}
		v := w.Weight.Float32()
		v[3] = float32(math.NaN())
		if err := w.Weight.SetValues(v); err != nil {
			t.Fatal(err)
		}
	}
	c := lora.Config{R: 4, Alpha: 1, TargetModules: query, InitLoraWeights: lora.InitPiSSA}
	if _, err := lora.Attach(m, c, 1); err == nil || !strings.Contains(err.Error(), "layer.1.attention.self.query") {
		t.Errorf("a weight with NaN: got %v, want an error that names it", err)
	}
}

// TestInitIterations: the randomised decomposition depends on the seed only, not on the number of processors, and comes
// close to the exact one.
func TestInitIterations(t *testing.T) {
	m := newModelOfWidth(64)
	rest := func(init lora.Init, seed uint64) []float32 {
		c := lora.Config{R: 6, Alpha: 9, TargetModules: lora.Names("query", "value", "dense"), InitLoraWeights: init}
		s, err := lora.Attach(m, c, seed)
		if err != nil {
			t.Fatal(err)
		}
		var v []float32
		for _, w := range nn.Weights(m) {
			if own := s.Replacement(w.Weight); own != nil {
				v = append(v, own.Float32()...)
			}
		}
		return v
	}
	exact := rest(lora.InitPiSSA, 1)
	few, many := rest(lora.PiSSAIterations(1), 1), rest(lora.PiSSAIterations(16), 1)
	if a, b := deviation(few)/deviation(exact), deviation(many)/deviation(exact); !(a > b && b >= 1-1e-6 && b < 1.001) {
		t.Errorf("the rest is %g of the exact one with 1 iteration, %g with 16; want close to 1", a, b)
	}
	if sameBits(few, rest(lora.PiSSAIterations(1), 2)) {
		t.Error("the seed has no effect")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if !sameBits(few, rest(lora.PiSSAIterations(1), 1)) || !sameBits(exact, rest(lora.InitPiSSA, 5)) {
		t.Error("the number of processors changes the values")
	}
}

// TestInitTiedHead: PiSSA of a tied head leaves the table alone (PEFT changes both); PiSSA and OLoRA of a base in
// bfloat16 hold the residual in float32.
func TestInitTiedHead(t *testing.T) {
	for _, dir := range []string{"llama_gqa", "qwen2"} {
		x := openCausal(t, filepath.Join("../testdata/causal", dir))
		base := x.logits(x.model, nil)
		for _, init := range []lora.Init{lora.InitPiSSA, lora.InitOLoRA} {
			c := lora.Config{R: 4, Alpha: 8, InitLoraWeights: init,
				TargetModules: lora.Names("lm_head", "q_proj", "embed_tokens")}
			s, err := lora.Attach(x.model, c, 1)
			if err != nil {
				t.Fatal(err)
			}
			closeTo(t, dir, x.logits(x.model, s), base, 2e-5)
			for i, p := range s.Params() {
				v := op.Values(p.Param)
				for k := range v {
					v[k] += 0.1 * float32(math.Sin(float64(k+i)))
				}
			}
			want := x.logits(x.model, s)
			merged, err := lora.Merge(x.model, s, x.pool)
			if err != nil {
				t.Fatal(err)
			}
			m := x.open()
			if err := lora.Assign(m, merged); err != nil {
				t.Fatal(err)
			}
			closeTo(t, dir+" merged", x.logits(m, nil), want, 2e-5)
			to := t.TempDir()
			if err := s.Save(to); err != nil {
				t.Fatal(err)
			}
			closeTo(t, dir+" saved", x.logits(x.model, x.load(to)), want, 2e-5)
		}
	}
}

// TestInitLoadRefuses: files of PEFT without conversion whose base weights cannot be computed again.
func TestInitLoadRefuses(t *testing.T) {
	x := openInit(t, "../testdata/inits/gpt2_orthogonal")
	for init, want := range map[string]string{"pissa_niter_4": "random numbers", "olora": "in×out"} {
		dir := t.TempDir()
		for _, name := range lora.FileNames() {
			text, err := os.ReadFile(filepath.Join(x.dir, "adapter_init", name))
			if err == nil {
				text = []byte(strings.Replace(string(text), `"orthogonal"`, `"`+init+`"`, 1))
				err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := lora.Load(dir, x.model)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "path_initial_model") {
			t.Errorf("%s: got %v, want an error with %q and the remedy", init, err, want)
		}
	}
}

// TestInitDetached: without its base model, a set is what Save writes; PEFT's file without conversion is refused.
func TestInitDetached(t *testing.T) {
	x := openInit(t, "../testdata/inits/llama_pissa")
	s := x.start()
	d, err := s.Detach()
	if err != nil {
		t.Fatal(err)
	}
	if l := d.Layers[0]; d.Config.R != 2*x.R || l.Rank != 2*x.R || d.Config.InitLoraWeights != lora.InitTrue {
		t.Errorf("r %d, rank %d, %s; want %d, twice, and true", d.Config.R, l.Rank, d.Config.InitLoraWeights, 2*x.R)
	}
	again, _, err := d.Attach(x.model)
	if err != nil {
		t.Fatal(err)
	}
	closeTo(t, "detached", x.logits(x.model, again), x.logits(x.model, s), 2e-5)
	_, _, err = lora.ReadDetached(filepath.Join(x.dir, "adapter_final"))
	if err == nil || !strings.Contains(err.Error(), "path_initial_model") {
		t.Errorf("got %v, want an error with the remedy", err)
	}
}

// TestInitNames: names are read and written as PEFT's.
func TestInitNames(t *testing.T) {
	for name, want := range map[string]string{"true": "true", "True": "true", "false": "false", "Gaussian": `"gaussian"`,
		"orthogonal": `"orthogonal"`, "pissa": `"pissa"`, "pissa_niter_16": `"pissa_niter_16"`, "OLoRA": `"olora"`,
		"eva": `"eva"`} {
		i, err := lora.ParseInit(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(i)
		if err != nil || string(text) != want {
			t.Errorf("%s is written as %s (%v), want %s", name, text, err, want)
		}
		again := lora.InitOLoRA
		if err := json.Unmarshal(text, &again); err != nil || again != i {
			t.Errorf("%s is read as %s (%v)", text, again, err)
		}
	}
	for _, name := range []string{"pissa_niter_", "pissa_niter_04", "pissa4", "zeros", "PISSA"} {
		if i, err := lora.ParseInit(name); err == nil {
			t.Errorf("%s is read as %s", name, i)
		}
	}
}
