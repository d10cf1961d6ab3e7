package train

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// TestStepWithoutTargets: a step in which every label is ignored has loss 0, not NaN, and does not end the run, even if
// it is the first.
func TestStepWithoutTargets(t *testing.T) {
	m := newToy(16, 0)
	for i := range 8 {
		m.y[i] = batch.Ignore
	}
	c := toyConfig(m, "")
	c.NoShuffle, c.NumTrainEpochs, c.WeightDecay = true, 1, 0
	var steps []StepInfo
	start := m.w.Float32()
	c.OnStep = func(s StepInfo) {
		steps = append(steps, s)
		if s.Step == 1 && !slices.Equal(m.w.Float32(), start) {
			t.Error("a step without targets has changed the weights")
		}
	}
	m.train(t, c)
	if s := steps[0]; s.Loss != 0 || s.GradNorm != 0 || !finite(steps[1].Loss) || steps[1].Loss == 0 {
		t.Errorf("steps %+v", steps)
	}
}

func TestParameterWithoutPart(t *testing.T) {
	m := newToy(16, 0)
	extra := op.NewMatrix(2, 3)
	must(extra.SetValues(make([]float32, 6)))
	params := append(m.params(), nn.NamedParam{Name: "extra.lora_A", Param: extra.Train()})
	_, err := Run(context.Background(), m, params, toyConfig(m, ""))
	if err == nil || !strings.Contains(err.Error(),
		"step 1: 1 of 3 parameters have no gradient, since the loss does not depend on them: extra.lora_A") {
		t.Errorf("error %v", err)
	}
}

func TestNonFiniteStops(t *testing.T) {
	for _, c := range []struct {
		name  string
		step  int
		value float32
		rate  float64
		want  string
	}{
		{"NaN in the data", 3, float32(math.NaN()), 0.05,
			"train: step 3, rows [16 17 18 19]: loss NaN, gradient norm NaN: gradient of w is NaN at element 0"},
		{"infinite gradient", 2, float32(math.Inf(1)), 0.05, "train: step 2, rows"},
		{"first step", 1, float32(math.NaN()), 0.05, "train: step 1, rows [0 1 2 3]"},
		{"learning rate", 99, 0, 1e39, "parameter w is "},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			m := newToy(46, 6)
			cfg := toyConfig(m, dir)
			cfg.NoShuffle, cfg.EvalSteps, cfg.SaveSteps = true, 2, 1
			cfg.LearningRate, cfg.MaxGradNorm, cfg.WarmupSteps = c.rate, 0, 0
			m.alter = func(b *batch.Batch, v []float32) {
				if len(b.Seqs.Index) == 4 && b.Seqs.Index[0] == 8*(c.step-1) {
					v[0] = c.value
				}
			}
			before := m.w.Float32()
			r, err := Run(context.Background(), m, m.params(), cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if r.Stopped != Failed {
				t.Errorf("stopped: %s", r.Stopped)
			}
			for _, place := range []string{"", lastName} {
				path := filepath.Join(dir, place)
				if _, err := os.Stat(filepath.Join(path, "adapter_model.safetensors")); err != nil {
					continue
				}
				if v := adapter(t, path); slices.ContainsFunc(v, func(x float32) bool { return !finite(float64(x)) }) {
					t.Errorf("%q holds %v", path, v)
				}
			}
			if c.step == 1 && (!slices.Equal(m.w.Float32(), before) ||
				slices.Contains(list(t, dir), "adapter_model.safetensors")) {
				t.Errorf("after a first step that failed: %v", list(t, dir))
			}
			if c.step == 3 && !slices.Contains(list(t, dir), "adapter_model.safetensors") {
				t.Errorf("the adapter of the step before is not kept: %v", list(t, dir))
			}
		})
	}
}

func TestFailuresOfTheTask(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault func(*toy, *Config)
		steps int // done
		want  string
	}{
		{"panic in the loss", func(m *toy, c *Config) {
			m.onLoss = func(p *nn.Pass, _ *batch.Batch) {
				if p.Key.Step == 3 {
					panic("index out of range")
				}
			}
		}, 2, "train: internal error: panic: index out of range"},
		{"panic in a callback", func(m *toy, c *Config) {
			c.OnStep = func(s StepInfo) {
				if s.Step == 3 {
					panic(errors.New("bar"))
				}
			}
		}, 3, "panic: bar"},
		{"panic in a batch", func(m *toy, c *Config) {
			c.NoShuffle = true
			m.onBatch = func(_ context.Context, rows []int, _ op.Key) error {
				if rows[0] == 20 { // the sixth batch; that of an evaluation begins with row 0
					panic("batch")
				}
				return nil
			}
		}, 2, "train: step 3: making the batch of rows"},
		{"error of a batch", func(m *toy, c *Config) {
			c.NoShuffle = true
			m.onBatch = func(_ context.Context, rows []int, _ op.Key) error {
				if rows[0] == 20 {
					return errors.New("clip.wav: file is truncated")
				}
				return nil
			}
		}, 2, "train: step 3: making the batch of rows [20 21 22 23]: clip.wav: file is truncated"},
		{"panic in an evaluation", func(m *toy, c *Config) { m.onEval = func(context.Context) { panic("metric") } }, 2,
			"panic: metric"},
		{"panic in Save", func(m *toy, c *Config) { c.Save = func(string) error { panic("save") } }, 2, "panic: save"},
		{"panic on a worker", func(m *toy, c *Config) {
			m.onLoss = func(p *nn.Pass, _ *batch.Batch) {
				if p.Key.Step == 2 {
					p.Tape.Pool().For(64, func(int, int) { panic("worker") })
				}
			}
		}, 1, "panic: worker"},
		{"error of Save", func(m *toy, c *Config) { c.Save = func(string) error { return errors.New("disk full") } }, 2,
			"saving the adapter to "},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			dir := t.TempDir()
			m := newToy(46, 6)
			cfg := toyConfig(m, dir)
			cfg.Pool = op.NewPool(2)
			var log bytes.Buffer
			cfg.Logger = zerolog.New(&log)
			c.fault(m, &cfg)
			r, err := Run(context.Background(), m, m.params(), cfg)
			cfg.Pool.Close()
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") ||
				errors.Is(err, ErrStopped) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if r.Steps != c.steps || r.Stopped != Failed {
				t.Errorf("%d steps, %s", r.Steps, r.Stopped)
			}
			if strings.Contains(c.name, "Save") == slices.Contains(list(t, dir), "adapter_model.safetensors") {
				t.Errorf("files %v", list(t, dir))
			}
			if strings.Contains(c.name, "panic") && !strings.Contains(log.String(), "failure_test.go") {
				t.Errorf("no stack in the log: %s", log.String())
			}
			settle(t, before)
		})
	}
}

func TestLossMustBeSound(t *testing.T) {
	m := newToy(8, 0)
	params := m.params()
	other := newToy(8, 0) // its weights are frozen
	_, err := Run(context.Background(), other, params, toyConfig(m, ""))
	if err == nil || !strings.Contains(err.Error(), "does not depend on any trainable parameter") {
		t.Errorf("error %v", err)
	}
}
