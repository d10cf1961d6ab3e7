package clitest

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// Train runs a command that trains as PEFT did for the fixture and compares every step, and the adapter that comes out.
func (c Case) Train(t testing.TB, build Command, args ...string) {
	t.Helper()
	out := t.TempDir()
	OK(t, build, append(args, "--output-dir", out)...)
	steps := Lines[Step](t, Read(t, filepath.Join(out, "metrics.jsonl")))
	if len(steps) != len(c.Log) {
		t.Fatalf("%d steps, want %d", len(steps), len(c.Log))
	}
	for i, want := range c.Log {
		got := steps[i]
		if got.Step != want.Step || got.LearningRate != want.LearningRate {
			t.Errorf("step %d: learning rate %v; PEFT has step %d, %v", got.Step, got.LearningRate, want.Step, want.LearningRate)
		}
		if d := relative(got.Loss, want.Loss); d > 2e-5 {
			t.Errorf("step %d: loss %v, PEFT has %v: %.1e apart", got.Step, got.Loss, want.Loss, d)
		}
		if d := relative(got.GradNorm, want.GradNorm); d > 1e-4 {
			t.Errorf("step %d: gradient norm %v, PEFT has %v: %.1e apart", got.Step, got.GradNorm, want.GradNorm, d)
		}
	}
	ours := golden.Open(t, filepath.Join(out, "adapter_model.safetensors"))
	theirs := golden.Open(t, c.Path("adapter_final/adapter_model.safetensors"))
	for _, name := range theirs.Names() {
		if !ours.Has(name) {
			t.Errorf("%s is missing", name)
		} else if d := golden.RelFrobenius(ours.Float32(name), theirs.Float32(name)); d > 1e-3 {
			t.Errorf("%s is %.1e from PEFT's", name, d)
		}
	}
	if n := len(ours.Names()); n != len(theirs.Names()) {
		t.Errorf("%d tensors, PEFT has %d", n, len(theirs.Names()))
	}
}

// relative returns the difference of a value from the wanted one, relative to that.
func relative(got, want float64) float64 { return math.Abs(got-want) / math.Abs(want) }
