// Package tasktest repeats training runs of PEFT in the tests of tasks and compares what came of them.
package tasktest

import (
	"cmp"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// Case is a directory of fixtures: a training run of PEFT (reference/README.md describes the files).
type Case struct {
	Dir  string `json:"-"`
	Base string `json:"-"` // model directory

	NumLabels   int            `json:"num_labels"`
	Problem     string         `json:"problem_type"`
	BatchSize   int            `json:"batch_size"`
	Accumulate  int            `json:"gradient_accumulation_steps"`
	MaxSteps    int            `json:"max_steps"`
	Rate        float64        `json:"learning_rate"`
	Decay       float64        `json:"weight_decay"`
	Schedule    train.Schedule `json:"lr_scheduler_type"`
	Warmup      int            `json:"warmup_steps"`
	MaxGradNorm float64        `json:"max_grad_norm"`
	Smoothing   float32        `json:"label_smoothing_factor"`

	Optimizer         train.Optimizer `json:"optimizer"`    // "": AdamW
	Epsilon           float64         `json:"adam_epsilon"` // 0: 1e-8
	LoRAPlusRatio     float64         `json:"loraplus_lr_ratio"`
	LoRAPlusEmbedding float64         `json:"loraplus_lr_embedding"`

	Log []StepLog `json:"log"`
}

// StepLog is what PEFT had in a step.
type StepLog struct {
	Loss         float64 `json:"loss"`
	GradNorm     float64 `json:"grad_norm"`
	LearningRate float64 `json:"learning_rate"`
}

// Repeat trains params of a task as PEFT did, saves the adapter in dir and returns what each step had.
func (c Case) Repeat(
	t *testing.T, task train.Task, set *lora.Set, params []nn.NamedParam, pool *op.Pool, dir string,
) (steps []StepLog) {
	t.Helper()
	cfg := train.Defaults()
	cfg.BatchSize, cfg.GradientAccumulationSteps, cfg.MaxSteps, cfg.NoShuffle = c.BatchSize, c.Accumulate, c.MaxSteps, true
	cfg.LearningRate, cfg.WeightDecay, cfg.MaxGradNorm = c.Rate, c.Decay, c.MaxGradNorm
	cfg.Schedule, cfg.WarmupSteps = c.Schedule, c.Warmup
	cfg.Optimizer, cfg.Eps = cmp.Or(c.Optimizer, cfg.Optimizer), cmp.Or(c.Epsilon, cfg.Eps)
	cfg.LoRAPlusRatio, cfg.LoRAPlusEmbedding = c.LoRAPlusRatio, c.LoRAPlusEmbedding
	cfg.Pool, cfg.Adapter = pool, set
	cfg.OnStep = func(s train.StepInfo) {
		steps = append(steps, StepLog{s.Loss, s.GradNorm, s.LearningRate})
	}
	report, err := train.Run(t.Context(), task, params, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if report.Steps != len(c.Log) {
		t.Fatalf("%d steps, PEFT made %d", report.Steps, len(c.Log))
	}
	if err := set.Save(dir); err != nil {
		t.Fatal(err)
	}
	return steps
}

// Adapter compares a saved adapter with PEFT's: the same tensors of the same shapes, but for the copies of base
// tables that PEFT keeps below adapted ones. It returns the largest relative Frobenius norm of a difference, without
// those of tensors that but reports.
func (c Case) Adapter(t *testing.T, dir string, but func(name string) bool) (worst float64, name string) {
	t.Helper()
	const file = "adapter_model.safetensors"
	got, want := golden.Open(t, filepath.Join(dir, file)), golden.Open(t, filepath.Join(c.Dir, "adapter_final", file))
	names := slices.DeleteFunc(want.Names(), func(n string) bool { return strings.HasSuffix(n, ".base_layer.weight") })
	if g, w := slices.Sorted(slices.Values(got.Names())), slices.Sorted(slices.Values(names)); !slices.Equal(g, w) {
		t.Fatalf("tensors %v, PEFT's %v", g, w)
	}
	for _, n := range got.Names() {
		if !slices.Equal(got.Shape(n), want.Shape(n)) || got.Tensor(n).DType != safetensors.F32 {
			t.Errorf("%s is %v %v, PEFT's %v", n, got.Tensor(n).DType, got.Shape(n), want.Shape(n))
			continue
		}
		if d := golden.RelFrobenius(got.Float32(n), want.Float32(n)); d > worst && !but(n) {
			worst, name = d, n
		}
	}
	return worst, name
}

// None reports false for every tensor: all of them are compared.
func None(string) bool { return false }

// Deviations are the largest ones of a run from PEFT's: relative to the step's value, the largest logit and the
// tensor's norm.
type Deviations struct {
	Initial, Loss, Norm, Rate, Adapter, Final float64
	Tensor                                    string // the one with the largest deviation
}

// Steps sets the deviations of loss, gradient norm and learning rate.
func (d *Deviations) Steps(steps, want []StepLog) {
	peak := 0.0
	for _, w := range want {
		peak = math.Max(peak, w.LearningRate)
	}
	for i, w := range want {
		s := steps[i]
		d.Loss = math.Max(d.Loss, math.Abs(s.Loss-w.Loss)/w.Loss)
		d.Norm = math.Max(d.Norm, math.Abs(s.GradNorm-w.GradNorm)/w.GradNorm)
		d.Rate = math.Max(d.Rate, math.Abs(s.LearningRate-w.LearningRate)/peak)
	}
}

// Check compares a run with the project's bars, and initial logits with 2e-5, where a wrong form of GELU shows. It
// logs a row of the table of docs/parity.md.
func (d Deviations) Check(t *testing.T, name string, steps int) {
	t.Helper()
	t.Logf("| %s | %d | %.1e | %.1e | %.1e | %.1e | %.1e |", name, steps, d.Initial, d.Loss, d.Norm, d.Adapter, d.Final)
	for _, x := range []struct {
		what     string
		got, bar float64
	}{
		{"initial logits", d.Initial, 2e-5}, {"loss", d.Loss, 2e-5}, {"gradient norm", d.Norm, 1e-4},
		{"learning rate", d.Rate, 1e-12},
		{"adapter tensor " + d.Tensor, d.Adapter, 1e-3}, {"final logits", d.Final, 1e-4},
	} {
		if !(x.got <= x.bar) || math.IsNaN(x.got) {
			t.Errorf("%s: off by %.2g, want at most %.2g", x.what, x.got, x.bar)
		}
	}
}

// OutputDir returns where a case's adapter goes: a directory below SPALORA_ADAPTERS, to be kept for
// reference/check_adapter.py, or a temporary one.
func OutputDir(t *testing.T, name string) string {
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

// BatchOf returns the batch of examples of a set that must not fail.
func BatchOf(t testing.TB, s batch.Set, examples ...int) *batch.Batch {
	t.Helper()
	b, err := s.Batch(t.Context(), examples, op.Key{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Center subtracts from each column of rows×width its mean, which a softmax over rows does not depend on.
func Center(x []float32, width int) {
	rows := len(x) / width
	for c := range width {
		mean := 0.0
		for n := range rows {
			mean += float64(x[n*width+c]) / float64(rows)
		}
		for n := range rows {
			x[n*width+c] -= float32(mean)
		}
	}
}
