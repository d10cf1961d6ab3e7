package lora_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// bertCase is case.json of a fixture with results of transformers and PEFT (reference/bert_fixtures.py).
type bertCase struct {
	NumLabels     int     `json:"num_labels"`
	Problem       string  `json:"problem_type"`
	HeadInBase    bool    `json:"head_in_base"`
	BatchSize     int     `json:"batch_size"`
	Accumulation  int     `json:"gradient_accumulation_steps"`
	WeightDecay   float64 `json:"weight_decay"`
	MaxGradNorm   float64 `json:"max_grad_norm"`
	Smoothing     float32 `json:"label_smoothing_factor"`
	TrainableLine string  `json:"trainable_line"`
	Log           []struct {
		Loss     float64 `json:"loss"`
		GradNorm float64 `json:"grad_norm"`
		LR       float64 `json:"learning_rate"`
	} `json:"log"`
}

type fixture struct {
	t        *testing.T
	dir      string
	c        bertCase
	model    *bert.ForSequenceClassification
	batches  *golden.Fixture
	expected *golden.Fixture
	pool     *op.Pool
}

func cases(t *testing.T) []string {
	dirs, err := filepath.Glob("../testdata/bert/*/case.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for i, d := range dirs {
		dirs[i] = filepath.Dir(d)
	}
	return dirs
}

func eachCase(t *testing.T, f func(t *testing.T, x *fixture)) {
	for _, dir := range cases(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) { f(t, openFixture(t, dir)) })
	}
}

func openFixture(t *testing.T, dir string) *fixture {
	t.Helper()
	x := &fixture{t: t, dir: dir, pool: op.NewPool(2)}
	t.Cleanup(x.pool.Close)
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &x.c); err != nil {
		t.Fatal(err)
	}
	x.model = openModel(t, filepath.Join(dir, "base"), x.c.NumLabels)
	x.batches = golden.Open(t, filepath.Join(dir, "batches.safetensors"))
	x.expected = golden.Open(t, filepath.Join(dir, "expected.safetensors"))
	return x
}

func openModel(t *testing.T, dir string, labels int) *bert.ForSequenceClassification {
	t.Helper()
	src, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	m, _, err := models.OpenSequenceClassifier(src, labels, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m.(*bert.ForSequenceClassification)
}

func (x *fixture) load(name string) *lora.Set {
	x.t.Helper()
	s, _, err := lora.Load(filepath.Join(x.dir, name), x.model)
	if err != nil {
		x.t.Fatal(err)
	}
	return s
}

// batch returns the examples lo to hi−1 of the fixture.
func (x *fixture) batch(lo, hi int) *batch.Batch {
	ids, types, starts := x.batches.Ints("ids"), x.batches.Ints("types"), x.batches.Ints("starts")
	b := &batch.Batch{}
	for i := lo; i <= hi; i++ {
		b.Seqs.Starts = append(b.Seqs.Starts, starts[i]-starts[lo])
	}
	for i := lo; i < hi; i++ {
		b.Seqs.Index = append(b.Seqs.Index, i)
	}
	for n := starts[lo]; n < starts[hi]; n++ {
		b.IDs, b.Types = append(b.IDs, int32(ids[n])), append(b.Types, int32(types[n]))
	}
	k := x.c.NumLabels
	switch x.c.Problem {
	case "regression", "multi_label_classification":
		b.Values = x.batches.Float32("labels")[lo*k : hi*k]
	default:
		for _, l := range x.batches.Ints("labels")[lo:hi] {
			b.Labels = append(b.Labels, int32(l))
		}
	}
	return b
}

func (x *fixture) loss(t *op.Tape, logits mat.Tensor, b *batch.Batch) (mat.Tensor, float64) {
	switch x.c.Problem {
	case "regression":
		return op.MSE(t, logits, b.Values), float64(len(b.Values))
	case "multi_label_classification":
		return op.BCEWithLogits(t, logits, b.Values), float64(len(b.Values))
	}
	return op.CrossEntropy(t, logits, b.Labels, op.CrossEntropyConfig{Smoothing: x.c.Smoothing})
}

func (x *fixture) logits(m *bert.ForSequenceClassification, s *lora.Set, b *batch.Batch) []float32 {
	tape := op.NewEvalTape(x.pool)
	defer tape.Close()
	p := &nn.Pass{Tape: tape}
	if s != nil {
		p.Adapter = s
	}
	return append([]float32(nil), op.Values(m.Logits(p, b))...)
}

func closeTo(t *testing.T, what string, got, want []float32, bar float64) {
	t.Helper()
	if d := golden.MaxRel(got, want); !(d <= bar) {
		t.Errorf("%s: off by %.2g of the largest value; want at most %.2g", what, d, bar)
	}
}

// TestHiddenStates compares the output of every layer with transformers'. The project's limit is 1e-4; the tests use
// 2e-5, at which the wrong form of GELU fails.
func TestHiddenStates(t *testing.T) {
	eachCase(t, func(t *testing.T, x *fixture) {
		b := x.batch(0, x.c.BatchSize)
		for _, state := range []string{"base", "init"} {
			tape := op.NewEvalTape(x.pool)
			p := &nn.Pass{Tape: tape, Seqs: b.Seqs}
			if state == "init" {
				p.Adapter = x.load("adapter_init")
			}
			h := x.model.Bert.Embeddings.Forward(p, b)
			for i := 0; ; i++ {
				closeTo(t, state+".hidden", op.Values(h), x.expected.Float32(state+".hidden."+string(rune('0'+i))), 2e-5)
				if i == len(x.model.Bert.Layers) {
					break
				}
				h = x.model.Bert.Layers[i].Forward(p, h)
			}
			if x.expected.Has(state + ".logits") {
				s, _ := p.Adapter.(*lora.Set)
				closeTo(t, state+".logits", x.logits(x.model, s, b), x.expected.Float32(state+".logits"), 2e-5)
			}
			tape.Close()
		}
	})
}

// TestCurve trains as the PEFT script did and compares gradients, losses, norms and the trained adapter.
func TestCurve(t *testing.T) {
	eachCase(t, func(t *testing.T, x *fixture) {
		s := x.load("adapter_init")
		if got := s.Summary(x.model); got != x.c.TrainableLine {
			t.Errorf("summary is %q, PEFT's %q", got, x.c.TrainableLine)
		}
		tape := op.NewTape(x.pool)
		defer tape.Close()
		params := s.Params()
		m, v := map[string][]float32{}, map[string][]float32{}
		row := 0
		for step, want := range x.c.Log {
			loss, targets := 0.0, 0.0
			for range x.c.Accumulation {
				b := x.batch(row, row+x.c.BatchSize)
				row += x.c.BatchSize
				sum, n := x.loss(tape, x.model.Logits(&nn.Pass{Tape: tape, Train: true, Adapter: s}, b), b)
				loss += float64(op.Values(sum)[0])
				targets += n
				if err := tape.Backward(sum); err != nil {
					t.Fatal(err)
				}
				tape.Reset()
			}
			if now, _ := tape.Memory(); now != 0 {
				t.Fatalf("step %d: %d bytes left in the arena", step, now)
			}
			square := 0.0
			for _, p := range params {
				g := op.Grad(p.Param)
				kernel.Scale(g, g, float32(1/targets))
				square += kernel.SumSquares(g)
				if name := "grad." + p.Name; step == 0 && x.expected.Has(name) {
					closeTo(t, name, g, x.expected.Float32(name), 1e-4)
				}
			}
			norm := math.Sqrt(square)
			if d := math.Abs(loss/targets-want.Loss) / want.Loss; d > 2e-5 {
				t.Errorf("step %d: loss %.9g, PEFT %.9g (%.2g)", step+1, loss/targets, want.Loss, d)
			}
			if d := math.Abs(norm-want.GradNorm) / want.GradNorm; d > 1e-4 {
				t.Errorf("step %d: gradient norm %.9g, PEFT %.9g (%.2g)", step+1, norm, want.GradNorm, d)
			}
			clip := min(1, x.c.MaxGradNorm/(norm+1e-6))
			for _, p := range params {
				g, w := op.Grad(p.Param), op.Values(p.Param)
				if m[p.Name] == nil {
					m[p.Name], v[p.Name] = make([]float32, len(w)), make([]float32, len(w))
				}
				kernel.Scale(g, g, float32(clip))
				kernel.AdamW(w, g, m[p.Name], v[p.Name],
					kernel.AdamWConfig{LR: want.LR, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: x.c.WeightDecay}, step+1)
				op.ZeroGrad(p.Param)
			}
		}
		compareAdapters(t, x, s)
		b := x.batch(0, x.c.BatchSize)
		closeTo(t, "final logits", x.logits(x.model, s, b), x.expected.Float32("final.logits"), 1e-4)
	})
}

// compareAdapters compares every tensor with PEFT's after training, except key biases, whose gradient is zero by
// symmetry.
func compareAdapters(t *testing.T, x *fixture, s *lora.Set) {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(x.dir, "adapter_final", "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range s.Params() {
		want, ok := f.Tensor(p.Name)
		if !ok {
			t.Errorf("PEFT's adapter has no %s", p.Name)
			continue
		}
		w, err := safetensors.AsFloat32(want)
		if err != nil {
			t.Fatal(err)
		}
		if d := golden.RelFrobenius(op.Values(p.Param), w); !(d <= 1e-3) && !strings.Contains(p.Name, "key.bias") {
			t.Errorf("%s after training: off by %.2g (relative Frobenius norm)", p.Name, d)
		}
	}
}

// TestMerged compares the merged model with PEFT's merge_and_unload and with the attached one.
func TestMerged(t *testing.T) {
	eachCase(t, func(t *testing.T, x *fixture) {
		s := x.load("adapter_final")
		merged, err := lora.Merge(x.model, s, x.pool)
		if err != nil {
			t.Fatal(err)
		}
		m := bert.NewForSequenceClassification(x.model.Bert.Config, x.c.NumLabels)
		if err := lora.Assign(m, merged); err != nil {
			t.Fatal(err)
		}
		b := x.batch(0, x.c.BatchSize)
		got := x.logits(m, nil, b)
		closeTo(t, "merged logits", got, x.expected.Float32("merged.logits"), 2e-5)
		closeTo(t, "merged and attached", got, x.logits(x.model, s, b), 2e-5)
	})
}

// TestPrint compares the printed trees with Python's.
func TestPrint(t *testing.T) {
	eachCase(t, func(t *testing.T, x *fixture) {
		s := x.load("adapter_init")
		for name, got := range map[string]string{"print_base.txt": x.model.String(), "print_lora.txt": s.Tree(x.model)} {
			want, err := os.ReadFile(filepath.Join(x.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
				t.Errorf("%s: %s", name, firstDifference(got, string(want)))
			}
		}
	})
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return "line " + g[i] + " should be " + w[i]
		}
	}
	return "one is longer"
}
