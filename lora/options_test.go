package lora_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// optionsFixture is a directory of testdata/lora: DoRA, biases, rsLoRA and combinations of them
// (reference/lora_fixtures.py). Base model and rows are those of another fixture.
type optionsFixture struct {
	t        *testing.T
	dir      string
	model    spago.Model
	expected *golden.Fixture
	open     func() spago.Model
	batch    func(lo, hi int) *batch.Batch
	pool     *op.Pool

	Base          string
	Vocabulary    int     // tokens, if they are not those of the base model
	TrainableLine string  `json:"trainable_line"`
	BatchSize     int     `json:"batch_size"`
	WeightDecay   float64 `json:"weight_decay"`
	MaxGradNorm   float64 `json:"max_grad_norm"`
	Log           []struct {
		Loss     float64 `json:"loss"`
		GradNorm float64 `json:"grad_norm"`
		LR       float64 `json:"learning_rate"`
	} `json:"log"`
}

func eachOptions(t *testing.T, f func(t *testing.T, x *optionsFixture)) {
	files, err := filepath.Glob("../testdata/lora/*/case.json")
	if err != nil || len(files) < 16 {
		t.Fatalf("%d fixtures: %v", len(files), err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) { f(t, openOptions(t, dir)) })
	}
}

func openOptions(t *testing.T, dir string) *optionsFixture {
	t.Helper()
	x := &optionsFixture{t: t, dir: dir, expected: golden.Open(t, filepath.Join(dir, "expected.safetensors"))}
	if err := json.Unmarshal(read(t, dir, "case.json"), x); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join("../testdata", x.Base)
	if strings.HasPrefix(x.Base, "bert/") {
		base := openFixture(t, from)
		x.batch, x.pool = base.batch, base.pool
		x.open = func() spago.Model { return openModel(t, filepath.Join(from, "base"), base.c.NumLabels) }
	} else {
		base := openCausal(t, from)
		x.batch, x.pool = base.batch, base.pool
		x.open = func() spago.Model { return base.open() }
	}
	x.model = x.open()
	return x
}

func (x *optionsFixture) load(dir string) *lora.Set {
	x.t.Helper()
	s, warnings, err := lora.Load(dir, x.model)
	if err != nil || len(warnings) > 0 && x.Vocabulary == 0 {
		x.t.Fatal(warnings, err)
	}
	return s
}

// logitsOn returns the logits of b.
func logitsOn(p *nn.Pass, m spago.Model, b *batch.Batch) mat.Tensor {
	if m, ok := m.(*bert.ForSequenceClassification); ok {
		return m.Logits(p, b)
	}
	return m.(models.CausalLM).Logits(p, b)
}

// lossOn returns the loss of b, summed over the targets, and their number.
func lossOn(p *nn.Pass, m spago.Model, b *batch.Batch) (mat.Tensor, float64) {
	if m, ok := m.(*bert.ForSequenceClassification); ok {
		return op.CrossEntropy(p.Tape, m.Logits(p, b), b.Labels, op.CrossEntropyConfig{})
	}
	sum, stats := m.(models.CausalLM).Loss(p, b)
	return sum, float64(stats.Targets)
}

func (x *optionsFixture) logits(m spago.Model, s *lora.Set) []float32 {
	tape := op.NewEvalTape(x.pool)
	defer tape.Close()
	p := &nn.Pass{Tape: tape}
	if s != nil {
		p.Adapter = s
	}
	return slices.Clone(op.Values(logitsOn(p, m, x.batch(0, 4))))
}

// gradients sets the gradients of the mean loss of a step's batch and returns loss and norm.
func (x *optionsFixture) gradients(s *lora.Set, p nn.Pass, step int) (loss, norm float64) {
	x.t.Helper()
	tape := op.NewTape(x.pool)
	defer tape.Close()
	p.Tape, p.Train, p.Adapter = tape, true, s
	sum, targets := lossOn(&p, x.model, x.batch(step*x.BatchSize, (step+1)*x.BatchSize))
	loss = float64(op.Values(sum)[0]) / targets
	if err := tape.Backward(sum); err != nil {
		x.t.Fatal(err)
	}
	square := 0.0
	for _, q := range s.Params() {
		g := op.Grad(q.Param)
		kernel.Scale(g, g, float32(1/targets))
		square += kernel.SumSquares(g)
	}
	return loss, math.Sqrt(square)
}

// train repeats PEFT's steps and compares losses, norms and the gradients of the first step.
func (x *optionsFixture) train(s *lora.Set) {
	x.t.Helper()
	m, v := map[string][]float32{}, map[string][]float32{}
	for step, want := range x.Log {
		loss, norm := x.gradients(s, nn.Pass{}, step)
		if d := math.Abs(loss/want.Loss - 1); d > 2e-5 {
			x.t.Errorf("step %d: loss %.9g, PEFT %.9g (%.2g)", step+1, loss, want.Loss, d)
		}
		if d := math.Abs(norm/want.GradNorm - 1); d > 1e-4 {
			x.t.Errorf("step %d: gradient norm %.9g, PEFT %.9g (%.2g)", step+1, norm, want.GradNorm, d)
		}
		for _, p := range s.Params() {
			g, w := op.Grad(p.Param), op.Values(p.Param)
			if step == 0 && !symmetric(p.Name) {
				closeTo(x.t, "gradient of "+p.Name, g, x.expected.Float32("grad."+p.Name), 1e-4)
			}
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

// symmetric reports whether the gradient of a tensor is zero by symmetry: the attention does not see what is added to
// all keys.
func symmetric(name string) bool {
	return strings.HasSuffix(name, ".bias") && (strings.Contains(name, ".key.") || strings.Contains(name, ".k_proj."))
}

// TestOptions: losses, norms and gradients of ten steps, logits, merged logits and tensors are PEFT's for DoRA,
// biases, rsLoRA and combinations of them. What is saved has PEFT's tensors, under PEFT's names, and PEFT's settings.
func TestOptions(t *testing.T) {
	eachOptions(t, func(t *testing.T, x *optionsFixture) {
		s := x.load(filepath.Join(x.dir, "adapter_init"))
		if got := s.Summary(x.model); got != x.TrainableLine {
			t.Errorf("summary is %q, PEFT's %q", got, x.TrainableLine)
		}
		closeTo(t, "init", x.logits(x.model, s), x.expected.Float32("init.logits"), 2e-5)
		x.train(s)
		want := x.expected.Float32("final.logits")
		closeTo(t, "final", x.logits(x.model, s), want, 1e-4)
		final := golden.Open(t, filepath.Join(x.dir, "adapter_final", "adapter_model.safetensors"))
		for _, p := range s.Params() {
			got, want := op.Values(p.Param), final.Float32(p.Name)
			if strings.Contains(p.Name, ".c_attn.") && strings.HasSuffix(p.Name, ".bias") { // without the keys' third
				n := len(got) / 3
				got, want = slices.Concat(got[:n], got[2*n:]), slices.Concat(want[:n], want[2*n:])
			}
			if d := golden.RelFrobenius(got, want); !(d <= 1e-3) && !symmetric(p.Name) {
				t.Errorf("%s after training: off by %.2g (relative Frobenius norm)", p.Name, d)
			}
		}
		x.compareFinal(want)
	})
}

// compareFinal loads PEFT's trained adapter, and compares logits, the merged model and the saved files.
func (x *optionsFixture) compareFinal(want []float32) {
	x.t.Helper()
	from := filepath.Join(x.dir, "adapter_final")
	s := x.load(from)
	got := x.logits(x.model, s)
	closeTo(x.t, "PEFT's file", got, want, 2e-5)
	dir := save(x.t, s)
	compareFiles(x.t, dir, from)
	compareConfigs(x.t, dir, from)
	if !sameBits(x.logits(x.model, x.load(dir)), got) {
		x.t.Error("the saved adapter gives other logits")
	}
	merged, err := lora.Merge(x.model, s, x.pool)
	if filepath.Base(x.dir) == "llama_bias" {
		if err == nil || !strings.Contains(err.Error(), "k_proj has no bias") {
			x.t.Errorf("merged a correction's bias into a layer without one: %v", err)
		}
		return
	}
	if err != nil {
		x.t.Fatal(err)
	}
	m := x.open()
	if err := lora.Assign(m, merged); err != nil {
		x.t.Fatal(err)
	}
	closeTo(x.t, "merged and attached", x.logits(m, nil), got, 2e-5)
	if x.expected.Has("merged.logits") {
		closeTo(x.t, "merged", x.logits(m, nil), x.expected.Float32("merged.logits"), 2e-5)
	}
}

// TestOptionsStart: a fresh adapter has PEFT's magnitudes, and the logits of the base, within rounding.
func TestOptionsStart(t *testing.T) {
	eachOptions(t, func(t *testing.T, x *optionsFixture) {
		c, _, err := lora.ReadConfig(filepath.Join(x.dir, "adapter_init"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := lora.Attach(x.model, c, 3)
		if err != nil {
			t.Fatal(err)
		}
		base, got := x.logits(x.model, nil), x.logits(x.model, s)
		if c.UseDoRA {
			closeTo(t, "B = 0", got, base, 2e-6)
		} else if !sameBits(got, base) {
			t.Error("B = 0 changes bits of the logits")
		}
		magnitudes := 0
		for _, p := range s.Params() {
			if strings.HasSuffix(p.Name, ".lora_magnitude_vector") {
				closeTo(t, p.Name, op.Values(p.Param), x.expected.Float32("fresh."+p.Name), 2e-6)
				magnitudes++
			}
		}
		if c.UseDoRA != (magnitudes > 0) {
			t.Errorf("%d magnitudes", magnitudes)
		}
	})
}

// TestOptionsCheckpointed: gradient checkpointing changes no bit, also with dropout.
func TestOptionsCheckpointed(t *testing.T) {
	eachOptions(t, func(t *testing.T, x *optionsFixture) {
		s := x.load(filepath.Join(x.dir, "adapter_init"))
		s.SetDropout(0.2)
		key := op.Key{Seed: 4, Step: 2}
		plainLoss, plainNorm := x.gradients(s, nn.Pass{Key: key}, 0)
		var want [][]float32
		for _, p := range s.Params() {
			want = append(want, slices.Clone(op.Grad(p.Param)))
			op.ZeroGrad(p.Param)
		}
		loss, norm := x.gradients(s, nn.Pass{Key: key, Checkpoint: true}, 0)
		if loss != plainLoss || norm != plainNorm {
			t.Errorf("loss %v, norm %v; without checkpoints %v, %v", loss, norm, plainLoss, plainNorm)
		}
		for i, p := range s.Params() {
			if !sameBits(op.Grad(p.Param), want[i]) {
				t.Errorf("other bits in the gradient of %s", p.Name)
			}
		}
	})
}

// TestOptionsPrint compares the printed trees with Python's.
func TestOptionsPrint(t *testing.T) {
	eachOptions(t, func(t *testing.T, x *optionsFixture) {
		want, err := os.ReadFile(filepath.Join(x.dir, "print_lora.txt"))
		if err != nil {
			t.Fatal(err)
		}
		got := x.load(filepath.Join(x.dir, "adapter_init")).Tree(x.model)
		if strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
			t.Error(firstDifference(got, string(want)))
		}
	})
}

// TestOptionsCached: generating token by token, with a cache and few rows at a time, gives the logits of computing
// everything at once.
func TestOptionsCached(t *testing.T) {
	eachOptions(t, func(t *testing.T, x *optionsFixture) {
		m, ok := x.model.(models.CausalLM)
		if !ok {
			return
		}
		s := x.load(filepath.Join(x.dir, "adapter_final"))
		b := x.batch(1, 2)
		tape := op.NewEvalTape(x.pool)
		defer tape.Close()
		tape.FewRows(true)
		cache := m.NewCache(1, len(b.IDs))
		var got []float32
		for i := range b.IDs {
			one := &batch.Batch{IDs: b.IDs[i : i+1], Seqs: op.Seqs{Starts: []int{0, 1}, Index: b.Seqs.Index}}
			got = append(got, op.Values(m.Logits(&nn.Pass{Tape: tape, Adapter: s, Cache: cache}, one))...)
			tape.Reset()
		}
		whole := op.NewEvalTape(x.pool)
		defer whole.Close()
		closeTo(t, "logits", got, op.Values(m.Logits(&nn.Pass{Tape: whole, Adapter: s}, b)), 2e-6)
	})
}

// TestOptionsOnQuantised: DoRA on a quantised base trains and predicts as on the same weights in float32, and merges.
func TestOptionsOnQuantised(t *testing.T) {
	open := func() models.CausalLM {
		src, err := checkpoint.Open("../testdata/gguf/llama.gguf")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { src.Close() })
		m, _, err := models.OpenCausalLM(src)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	stored, wide := open(), open()
	quantised := 0
	for _, w := range nn.Weights(wide) {
		if w.Weight.Type.Quantised() {
			quantised++
		}
		if err := w.Weight.SetValues(w.Weight.Float32()); err != nil {
			t.Fatal(err)
		}
	}
	if quantised == 0 {
		t.Fatal("no weight is quantised")
	}
	c := lora.Config{R: 3, Alpha: 5, UseDoRA: true, TargetModules: lora.Names("q_proj", "down_proj", "embed_tokens")}
	b := &batch.Batch{IDs: []int32{1, 5, 9, 3, 2}, Seqs: op.Seqs{Starts: []int{0, 5}}}
	b.Labels = []int32{5, 9, 3, 2, batch.Ignore}
	type result struct {
		logits []float32
		grads  [][]float32
		set    *lora.Set
	}
	run := func(m models.CausalLM) (r result) {
		s, err := lora.Attach(m, c, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Params() {
			draw := nn.NewRand(9, p.Name)
			for i, v := 0, op.Values(p.Param); i < len(v); i++ {
				v[i] += float32(draw.NormFloat64()) * 0.1
			}
		}
		tape := op.NewTape(nil)
		defer tape.Close()
		loss, _ := m.Loss(&nn.Pass{Tape: tape, Train: true, Adapter: s}, b)
		if err := tape.Backward(loss); err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Params() {
			r.grads = append(r.grads, op.Grad(p.Param))
		}
		r.logits = slices.Clone(op.Values(logitsOn(&nn.Pass{Tape: op.NewEvalTape(nil), Adapter: s}, m, b)))
		r.set = s
		return r
	}
	got, want := run(stored), run(wide)
	closeTo(t, "logits", got.logits, want.logits, 2e-6)
	for i, p := range got.set.Params() {
		closeTo(t, "gradient of "+p.Name, got.grads[i], want.grads[i], 1e-5)
	}
	merged, err := lora.Merge(stored, got.set, nil)
	if err != nil {
		t.Fatal(err)
	}
	whole := open()
	if err := lora.Assign(whole, merged); err != nil {
		t.Fatal(err)
	}
	closeTo(t, "merged", op.Values(logitsOn(&nn.Pass{Tape: op.NewEvalTape(nil)}, whole, b)), got.logits, 2e-5)
}
