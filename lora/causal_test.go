package lora_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/kernel"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// causalFixture is a directory of testdata/causal: a language model with the results of transformers and PEFT
// (reference/causallm_fixtures.py).
type causalFixture struct {
	t        *testing.T
	dir      string
	model    models.CausalLM
	batches  *golden.Fixture
	expected *golden.Fixture
	pool     *op.Pool

	Observed      int    `json:"observed_rows"`
	BatchSize     int    `json:"batch_size"`
	Accumulation  int    `json:"gradient_accumulation_steps"`
	TrainableLine string `json:"trainable_line"`
	KeepsTie      bool   `json:"merge_keeps_tie"`
}

func eachCausalCase(t *testing.T, f func(t *testing.T, x *causalFixture)) {
	files, err := filepath.Glob("../testdata/causal/*/case.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) { f(t, openCausal(t, dir)) })
	}
}

func openCausal(t *testing.T, dir string) *causalFixture {
	t.Helper()
	x := &causalFixture{t: t, dir: dir, pool: op.NewPool(2)}
	t.Cleanup(x.pool.Close)
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, x); err != nil {
		t.Fatal(err)
	}
	x.model = x.open()
	x.batches = golden.Open(t, filepath.Join(dir, "batches.safetensors"))
	x.expected = golden.Open(t, filepath.Join(dir, "expected.safetensors"))
	return x
}

// open returns a new model with the weights of the fixture's base.
func (x *causalFixture) open() models.CausalLM {
	x.t.Helper()
	src, err := checkpoint.Open(filepath.Join(x.dir, "base"))
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { src.Close() })
	m, _, err := models.OpenCausalLM(src)
	if err != nil {
		x.t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	return m
}

func (x *causalFixture) load(dir string) *lora.Set {
	x.t.Helper()
	s, _, err := lora.Load(dir, x.model)
	if err != nil {
		x.t.Fatal(err)
	}
	return s
}

// batch returns the sequences lo to hi−1. The label of each row is the id that follows, from the fixture's labels.
func (x *causalFixture) batch(lo, hi int) *batch.Batch {
	ids, labels, starts := x.batches.Ints("ids"), x.batches.Ints("labels"), x.batches.Ints("starts")
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}}}
	for i := lo; i < hi; i++ {
		b.Seqs.Index = append(b.Seqs.Index, i)
		for n := starts[i]; n < starts[i+1]; n++ {
			next := batch.Ignore
			if n+1 < starts[i+1] {
				next = int32(labels[n+1])
			}
			b.IDs, b.Labels = append(b.IDs, int32(ids[n])), append(b.Labels, next)
		}
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
	}
	return b
}

func (x *causalFixture) logits(m models.CausalLM, s *lora.Set) []float32 {
	tape := op.NewEvalTape(x.pool)
	defer tape.Close()
	p := &nn.Pass{Tape: tape}
	if s != nil {
		p.Adapter = s
	}
	return slices.Clone(op.Values(m.Logits(p, x.batch(0, x.Observed))))
}

// TestCausalLogits compares the logits of the base, the adapter before and after training, and the merged model with
// PEFT's.
func TestCausalLogits(t *testing.T) {
	eachCausalCase(t, func(t *testing.T, x *causalFixture) {
		closeTo(t, "base", x.logits(x.model, nil), x.expected.Float32("base.logits"), 2e-5)
		closeTo(t, "init", x.logits(x.model, x.load(filepath.Join(x.dir, "adapter_init"))), x.expected.Float32("init.logits"),
			2e-5)
		final := x.load(filepath.Join(x.dir, "adapter_final"))
		want := x.logits(x.model, final)
		closeTo(t, "final", want, x.expected.Float32("final.logits"), 2e-5)
		merged, err := lora.Merge(x.model, final, x.pool)
		if err != nil {
			t.Fatal(err)
		}
		m := x.open()
		if err := lora.Assign(m, merged); err != nil {
			t.Fatal(err)
		}
		got := x.logits(m, nil)
		closeTo(t, "merged and attached", got, want, 2e-5)
		if final.Unties(x.model) == x.KeepsTie {
			t.Errorf("the set unties: %v; PEFT's merged model is the attached one: %v", final.Unties(x.model), x.KeepsTie)
		}
		if x.KeepsTie { // otherwise PEFT also merges the table's adapter into the tied head, which gives another model
			closeTo(t, "merged", got, x.expected.Float32("merged.logits"), 2e-5)
		}
	})
}

// TestCausalGradients compares the gradient of the first step's mean loss, tensor by tensor, with PEFT's, with the
// tolerance of TestCurve. PEFT's own gradients in float32 differ from those in float64 by up to 1.5e-5 of the largest
// (rope_yarn, k_proj of layer 0).
func TestCausalGradients(t *testing.T) {
	eachCausalCase(t, func(t *testing.T, x *causalFixture) {
		s := x.load(filepath.Join(x.dir, "adapter_init"))
		if got := s.Summary(x.model); got != x.TrainableLine {
			t.Errorf("summary is %q, PEFT's %q", got, x.TrainableLine)
		}
		tape := op.NewTape(x.pool)
		defer tape.Close()
		targets := 0
		for i := range x.Accumulation {
			sum, stats := x.model.Loss(&nn.Pass{Tape: tape, Train: true, Adapter: s}, x.batch(i*x.BatchSize, (i+1)*x.BatchSize))
			targets += stats.Targets
			if err := tape.Backward(sum); err != nil {
				t.Fatal(err)
			}
			tape.Reset()
		}
		compared := 0
		for _, p := range s.Params() {
			g := slices.Clone(op.Grad(p.Param))
			kernel.Scale(g, g, 1/float32(targets))
			closeTo(t, p.Name, g, x.expected.Float32("grad."+p.Name), 1e-4)
			compared++
		}
		for _, name := range x.expected.Names() { // PEFT also lists the base table below an adapted one, without a gradient
			if strings.HasPrefix(name, "grad.") {
				compared--
			}
		}
		if compared != 0 {
			t.Errorf("got %d parameters that PEFT does not have", compared)
		}
	})
}

// TestCausalFiles: an adapter that is loaded and saved again has PEFT's tensors, bit for bit, and PEFT's settings.
func TestCausalFiles(t *testing.T) {
	eachCausalCase(t, func(t *testing.T, x *causalFixture) {
		from, to := filepath.Join(x.dir, "adapter_final"), t.TempDir()
		if err := x.load(from).Save(to); err != nil {
			t.Fatal(err)
		}
		compareFiles(t, to, from)
		compareConfigs(t, to, from)
	})
}

// compareFiles compares the tensors of two adapters bit for bit. Copies of base tables, which PEFT saves below adapted
// ones, may be missing.
func compareFiles(t *testing.T, gotDir, wantDir string) {
	t.Helper()
	const file = "adapter_model.safetensors"
	got, want := golden.Open(t, filepath.Join(gotDir, file)), golden.Open(t, filepath.Join(wantDir, file))
	var names []string
	for _, n := range want.Names() {
		if strings.HasSuffix(n, ".base_layer.weight") { // a copy of the base model's weight
			continue
		}
		names = append(names, n)
		if !got.Has(n) {
			continue
		}
		if g, w := got.Tensor(n), want.Tensor(n); g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) ||
			!slices.Equal(g.Data, w.Data) {
			t.Errorf("%s differs", n)
		}
	}
	if g := slices.Sorted(slices.Values(got.Names())); !slices.Equal(g, slices.Sorted(slices.Values(names))) {
		t.Errorf("tensors %v, PEFT's %v", g, names)
	}
}

// compareConfigs compares the settings that change the results of an adapter. A field that our file omits has PEFT's
// default.
func compareConfigs(t *testing.T, got, want string) {
	t.Helper()
	read := func(dir string) map[string]any {
		text, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
		if err != nil {
			t.Fatal(err)
		}
		c := map[string]any{"bias": "none", "use_rslora": false, "use_dora": false, "fan_in_fan_out": false,
			"modules_to_save": nil}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		// PEFT lists a head of the task type twice if modules_to_save names it.
		for _, key := range []string{"target_modules", "modules_to_save"} {
			if list, ok := c[key].([]any); ok {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
				c[key] = slices.Compact(list)
			}
		}
		return c
	}
	g, w := read(got), read(want)
	for _, key := range []string{"peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "target_modules",
		"modules_to_save", "bias", "use_rslora",
		"use_dora", "inference_mode", "base_model_name_or_path"} {
		if !reflect.DeepEqual(g[key], w[key]) {
			t.Errorf("%s is %v, PEFT's %v", key, g[key], w[key])
		}
	}
	// PEFT's file has the requested value, which PEFT corrects by the class of the layer when it attaches; our file has
	// the layers' value.
	if w["fan_in_fan_out"] == true && g["fan_in_fan_out"] != true {
		t.Error("fan_in_fan_out is false, PEFT's is true")
	}
}

// TestCausalPrint compares the printed trees with Python's.
func TestCausalPrint(t *testing.T) {
	eachCausalCase(t, func(t *testing.T, x *causalFixture) {
		s := x.load(filepath.Join(x.dir, "adapter_init"))
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
