package tasks

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// causalRun is a training run of PEFT on a language model, to be repeated.
type causalRun struct {
	parityCase
	*CausalLM
	Observed int       `json:"observed_rows"`
	Exact    []stepLog `json:"log_float64"` // of the real model: the same run in float64
	Counts   []struct {
		Targets, Correct int
	} `json:"log"`

	adapted *lora.Set
	counts  []op.TargetStats // of each micro-batch
}

// openCausalRun opens the fixture in dir with the base model in another directory.
func openCausalRun(t *testing.T, dir, base string) *causalRun {
	t.Helper()
	r := &causalRun{parityCase: parityCase{dir: dir, base: base}}
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []any{&r.parityCase, r} { // the outer log hides the inner one
		if err := json.Unmarshal(text, part); err != nil {
			t.Fatal(err)
		}
	}
	src, err := checkpoint.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	m, _, err := models.OpenCausalLM(src)
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	if r.adapted, _, err = lora.Load(filepath.Join(dir, "adapter_init"), m); err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	rows := nextIDs(golden.Open(t, filepath.Join(dir, "batches.safetensors")))
	r.CausalLM = &CausalLM{model: m, cfg: CausalLMConfig{Pool: pool, Adapter: r.adapted}, sets: map[batch.Split]*causalSet{batch.Train: rows}}
	return r
}

// nextIDs returns rows of ids; the labels of a row of n ids, which stand at their token in the fixture, become those of the token before.
func nextIDs(g *golden.Fixture) *causalSet {
	s := &causalSet{starts: g.Ints("starts")}
	labels := g.Ints("labels")
	for _, id := range g.Ints("ids") {
		s.ids = append(s.ids, int32(id))
	}
	for i := range s.Len() {
		for n := s.starts[i] + 1; n < s.starts[i+1]; n++ {
			s.labels = append(s.labels, int32(labels[n]))
		}
		s.labels = append(s.labels, batch.Ignore)
	}
	return s
}

// Loss is the task's; it keeps the counts, which a task does not report.
func (r *causalRun) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, stats := r.model.Loss(p, b)
	r.counts = append(r.counts, stats)
	return sum, float64(stats.Targets), nil
}

// logits returns those of every token of the observed rows.
func (r *causalRun) logits(t *testing.T) []float32 {
	t.Helper()
	return r.logitsWith(t, r.adapted)
}

// logitsWith returns them with an adapter, or nil.
func (r *causalRun) logitsWith(t *testing.T, a nn.AdapterSet) []float32 {
	t.Helper()
	tape := op.NewEvalTape(r.cfg.Pool)
	defer tape.Close()
	rows := make([]int, r.Observed)
	for i := range rows {
		rows[i] = i
	}
	return append([]float32(nil), op.Values(r.model.Logits(&nn.Pass{Tape: tape, Adapter: a}, BatchOf(t, r.sets[batch.Train], rows...)))...)
}

// train repeats PEFT's run as parityRun does, and compares the counts of targets and of right predictions.
func (r *causalRun) train(t *testing.T, dir string) []stepLog {
	t.Helper()
	steps := r.repeat(t, r, r.adapted, r.adapted.Params(), r.cfg.Pool, dir)
	if len(r.Counts) != r.MaxSteps || len(r.counts) != r.MaxSteps*r.Accumulate {
		t.Fatalf("counts of %d steps and %d micro-batches", len(r.Counts), len(r.counts))
	}
	for step, want := range r.Counts {
		var got op.TargetStats
		for _, c := range r.counts[step*r.Accumulate : (step+1)*r.Accumulate] {
			got.Targets, got.Correct = got.Targets+c.Targets, got.Correct+c.Correct
		}
		if got.Targets != want.Targets || got.Correct != want.Correct {
			t.Errorf("step %d: %d of %d targets right, PEFT %d of %d", step+1, got.Correct, got.Targets, want.Correct, want.Targets)
		}
	}
	return steps
}

// TestCausalTrainingEqualsPEFT repeats PEFT's training of small language models. With -v it prints the table of docs/parity.md.
func TestCausalTrainingEqualsPEFT(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/causal/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r, expected := openCausalRun(t, dir, filepath.Join(dir, "base")), golden.Open(t, filepath.Join(dir, "expected.safetensors"))
			out := outputDir(t, filepath.Base(dir))
			d := deviations{initial: golden.MaxRel(r.logits(t), expected.Float32("init.logits"))}
			d.loss, d.norm, d.rate = deviationsOf(r.train(t, out), r.Log)
			d.adapter, d.tensor = r.adapter(t, out, none)
			d.final = golden.MaxRel(r.logits(t), expected.Float32("final.logits"))
			d.check(t, filepath.Base(dir), r.MaxSteps)
			r.writeLogits(t, filepath.Join(out, "logits.jsonl"))
		})
	}
}

// outputDir returns where a case's adapter goes: a directory below SPALORA_ADAPTERS, to be kept for reference/check_adapter.py, or a temporary one.
func outputDir(t *testing.T, name string) string {
	t.Helper()
	kept := os.Getenv("SPALORA_ADAPTERS")
	if kept == "" {
		return t.TempDir()
	}
	dir := filepath.Join(kept, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeLogits writes the observed rows' ids and logits as predict causal-lm --logits does.
func (r *causalRun) writeLogits(t *testing.T, file string) {
	t.Helper()
	var lines []byte
	logits, v := r.logits(t), r.model.Vocabulary()
	for i := range r.Observed {
		var row struct {
			IDs    []int32     `json:"ids"`
			Logits [][]float32 `json:"logits"`
		}
		lo, hi := r.sets[batch.Train].starts[i], r.sets[batch.Train].starts[i+1]
		row.IDs = r.sets[batch.Train].ids[lo:hi]
		for n := lo; n < hi; n++ {
			row.Logits = append(row.Logits, logits[n*v:(n+1)*v])
		}
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, text...), '\n')
	}
	if err := os.WriteFile(file, lines, 0o644); err != nil {
		t.Fatal(err)
	}
}

// deviations are the largest ones of a run from PEFT's: relative to the step's value, the largest logit and the tensor's norm.
type deviations struct {
	initial, loss, norm, rate, adapter, final float64
	tensor                                    string // the one that is farthest off
}

// check holds a run to the project's bars, and initial logits to 2e-5, where a wrong form of GELU shows. It logs a row of the table of
// docs/parity.md.
func (d deviations) check(t *testing.T, name string, steps int) {
	t.Helper()
	t.Logf("| %s | %d | %.1e | %.1e | %.1e | %.1e | %.1e |", name, steps, d.initial, d.loss, d.norm, d.adapter, d.final)
	for _, x := range []struct {
		what     string
		got, bar float64
	}{
		{"initial logits", d.initial, 2e-5}, {"loss", d.loss, 2e-5}, {"gradient norm", d.norm, 1e-4}, {"learning rate", d.rate, 1e-12},
		{"adapter tensor " + d.tensor, d.adapter, 1e-3}, {"final logits", d.final, 1e-4},
	} {
		if !(x.got <= x.bar) || math.IsNaN(x.got) {
			t.Errorf("%s: off by %.2g, want at most %.2g", x.what, x.got, x.bar)
		}
	}
}
