package train

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// variants are runs with different parts of the state that a resumed run could lose.
var variants = []struct {
	name   string
	held   int
	change func(*Config)
	adapt  bool
}{
	{"accumulation, evaluation", 6, func(c *Config) {}, false},
	{"no evaluation", 0, func(c *Config) { c.Schedule = Linear }, false},
	{"token budget", 6, func(c *Config) { c.BatchSize, c.TokensPerBatch, c.NumTrainEpochs = 0, 17, 1.7 }, false},
	{"early stopping", 6, func(c *Config) {
		c.EvalSteps, c.EarlyStoppingPatience, c.LearningRate, c.NumTrainEpochs = 1, 3, 0.5, 4
	}, false},
	{"evaluation per epoch, grouped", 6, func(c *Config) {
		c.EvalSteps, c.GroupByLength, c.BatchSize, c.GradientAccumulationSteps = 0, true, 3, 1
	}, false},
	{"LoRA+", 6, func(c *Config) { c.LoRAPlusRatio, c.WeightDecay = 8, 0.1 }, true},
	{"LoRA-FA", 6, func(c *Config) { c.Optimizer, c.Eps = LoRAFA, LoRAFAEps }, true},
}

// TestResumeMatrix: a run that is stopped at any step and resumed, twice, gives the same bytes as one that was never
// stopped.
func TestResumeMatrix(t *testing.T) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			config := func(dir string) (*toy, Config) {
				m := newToy(35, v.held)
				if v.adapt {
					m.adapt()
				}
				c := toyConfig(m, dir)
				v.change(&c)
				return m, c
			}
			whole := t.TempDir()
			m, c := config("")
			steps := m.train(t, c).Steps
			m, c = config(whole)
			c.SaveSteps = steps
			report := m.train(t, c)
			want := outcome(t, whole)
			for k := range steps {
				dir := t.TempDir()
				stopAfter(t, k, dir, "", config)
				stopAfter(t, min(k+1, steps-1), dir, dir, config)
				m, c := config(dir)
				if v.adapt { // every value comes from the checkpoint, that of a frozen A too
					clear(op.Values(m.pair.A))
				}
				c.ResumeFrom, c.SaveSteps = dir, steps
				again := m.train(t, c)
				sameOutcome(t, fmt.Sprintf("stopped after step %d", k), outcome(t, dir), want)
				again.Runtime, again.TokensPerSecond = report.Runtime, report.TokensPerSecond
				again.PeakActivations = report.PeakActivations
				if a, b := fmt.Sprintf("%+v", deref(again)), fmt.Sprintf("%+v", deref(report)); a != b {
					t.Errorf("stopped after step %d: report\n%s, want\n%s", k, a, b)
				}
				last := fmt.Sprintf("checkpoint-%d/%s", steps, tensorsName)
				if !bytes.Equal(readFile(t, dir, last), readFile(t, whole, last)) {
					t.Errorf("stopped after step %d: moments differ", k)
				}
			}
		})
	}
}

func deref(r Report) any {
	b, err := json.Marshal(r)
	must(err)
	return string(b)
}

func readFile(tb testing.TB, parts ...string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// stopAfter runs until step k is done, resuming from a checkpoint if from is set, and fails the test unless the run
// stops cleanly.
func stopAfter(t *testing.T, k int, dir, from string, config func(string) (*toy, Config)) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	reason := errors.New("ctrl-c")
	m, c := config(dir)
	c.ResumeFrom = from
	c.OnStart = func(p Plan) {
		if p.Done >= k {
			cancel(reason)
		}
	}
	c.OnStep = func(s StepInfo) {
		if s.Step == k {
			cancel(reason)
		}
	}
	r, err := Run(ctx, m, m.params(), c)
	if !errors.Is(err, ErrStopped) || !errors.Is(err, reason) || r.Stopped != Interrupted || r.Steps != k {
		t.Fatalf("stopped after step %d: %v, %s after %d", k, err, r.Stopped, r.Steps)
	}
	names := list(t, dir)
	if !slices.Contains(names, checkpointName(k)) || !slices.Contains(names, "adapter_model.safetensors") ||
		slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, unfinishedSuffix) }) {
		t.Fatalf("stopped after step %d: files %v", k, names)
	}
}

// TestStopInsideStepAndEvaluation: a stop inside a step discards its micro-batches, also while a batch is made; a stop
// inside an evaluation leaves it to the resumed run.
func TestStopInsideStepAndEvaluation(t *testing.T) {
	whole := t.TempDir()
	m := newToy(35, 6)
	m.train(t, toyConfig(m, whole))
	want := outcome(t, whole)
	for _, where := range []string{"micro-batch", "batch", "evaluation"} {
		before := runtime.NumGoroutine()
		dir := t.TempDir()
		m := newToy(35, 6)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		calls, cfg := 0, toyConfig(m, dir)
		switch where {
		case "micro-batch":
			m.onLoss = func(p *nn.Pass, b *batch.Batch) {
				if calls++; p.Train && p.Key.Step == 2 {
					cancel()
				}
			}
		case "batch": // the third batch, which belongs to the second step
			made, stepped := 0, make(chan struct{})
			cfg.OnStep = func(StepInfo) { close(stepped) }
			m.onBatch = func(ctx context.Context, _ []int, _ op.Key) error {
				if made++; made < 3 {
					return nil
				}
				<-stepped
				cancel()
				<-ctx.Done()
				return errors.New("clip.wav: reading was cancelled")
			}
		case "evaluation":
			m.onEval = func(context.Context) { cancel() }
		}
		r, err := Run(ctx, m, m.params(), cfg)
		wantSteps := 1
		if where == "evaluation" {
			wantSteps = 2
		}
		if !errors.Is(err, ErrStopped) || !errors.Is(err, context.Canceled) || r.Steps != wantSteps ||
			len(r.Evaluations) != 0 {
			t.Fatalf("%s: %v after %d steps", where, err, r.Steps)
		}
		if where == "micro-batch" && calls != 3 {
			t.Errorf("%d micro-batches, want the run to end after the third", calls)
		}
		settle(t, before)
		m.onLoss, m.onEval = nil, nil
		m = newToy(35, 6)
		c := toyConfig(m, dir)
		c.ResumeFrom = filepath.Join(dir, checkpointName(wantSteps))
		m.train(t, c)
		sameOutcome(t, where, outcome(t, dir), want)
	}
}

// stopped returns a new output directory with checkpoints of steps 2, 4 and 6.
func stopped(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	stopAfter(t, 6, dir, "", func(dir string) (*toy, Config) {
		m := newToy(35, 6)
		c := toyConfig(m, dir)
		c.SaveSteps, c.KeepCheckpoints = 2, 0
		return m, c
	})
	return dir
}

func TestResumeRefusesAnotherRun(t *testing.T) {
	dir := stopped(t)
	for _, c := range []struct {
		name   string
		change func(*toy, *Config, *[]nn.NamedParam)
		want   string
	}{
		{"batch size", func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.BatchSize = 5 }, `batch_size is "5", was "4"`},
		{"two settings", func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.Seed, c.WeightDecay = 1, 0 },
			`seed is "1", was "42"; weight_decay is "0", was "0.1"; ` +
				"restore these settings, or name them in `allow_changed`"},
		{"epochs", func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.NumTrainEpochs = 1 }, `steps is "4", was "8"`},
		{"identity", func(_ *toy, c *Config, _ *[]nn.NamedParam) {
			c.Identity = map[string]string{"data": "other", "base": "b"}
		}, `base is "b", was not set; data is "other", was "5eed"`},
		{"identity lost", func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.Identity = nil }, `data is not set, was "5eed"`},
		{"data", func(m *toy, c *Config, _ *[]nn.NamedParam) { m.lengths[0]++ }, `train_tokens is`},
		{"names", func(_ *toy, _ *Config, p *[]nn.NamedParam) { (*p)[0].Name = "v" },
			`parameter v is not in the checkpoint; parameter w of the checkpoint is not trained here`},
		{"order", func(_ *toy, _ *Config, p *[]nn.NamedParam) { slices.Reverse(*p) },
			`the order of the parameters differs from number 0 on (b, was w)`},
		{"shape", func(_ *toy, _ *Config, p *[]nn.NamedParam) {
			w := op.NewMatrix(4, 7)
			must(w.SetValues(make([]float32, 28)))
			(*p)[0].Param = w.Train()
		}, `parameter w is 4×7, was 3×7`},
		{"change of nothing", func(_ *toy, c *Config, _ *[]nn.NamedParam) { c.AllowChanged = []string{"sede"} },
			"`allow_changed` has \"sede\", which is not the name of a setting"},
		{"end before the checkpoint", func(_ *toy, c *Config, _ *[]nn.NamedParam) {
			c.MaxSteps, c.AllowChanged = 3, []string{"steps"}
		}, "it has 6 steps, but this run has 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newToy(35, 6)
			cfg, params := toyConfig(m, dir), m.params()
			cfg.ResumeFrom = dir
			before := m.w.Float32()
			c.change(m, &cfg, &params)
			_, err := Run(context.Background(), m, params, cfg)
			checkError(t, err, c.want)
			if !slices.Equal(m.w.Float32(), before) {
				t.Error("the parameters have changed")
			}
		})
	}
	t.Run("identity of an earlier version", func(t *testing.T) {
		m := newToy(35, 6)
		c := toyConfig(m, dir)
		c.ResumeFrom, c.Identity, c.Earlier = dir, map[string]string{"data": "all"}, map[string]string{"data": "5eed"}
		m.train(t, c)
		c.Earlier["data"] = "none"
		_, err := Run(context.Background(), m, m.params(), c)
		checkError(t, err, `data is "all", was "5eed"`)
	})
	t.Run("free settings", func(t *testing.T) {
		m := newToy(35, 6)
		c := toyConfig(m, dir)
		c.ResumeFrom, c.SaveSteps, c.KeepCheckpoints, c.Pool = dir, 3, 1, op.NewPool(2)
		defer c.Pool.Close()
		c.LearningRate, c.AllowChanged = 0.01, []string{"learning_rate"}
		m.train(t, c)
	})
}

// TestFlippedBits: one flipped bit anywhere in a checkpoint is an error that names the file.
func TestFlippedBits(t *testing.T) {
	dir := stopped(t)
	newest := filepath.Join(dir, checkpointName(6))
	resume := func(from string, fallback bool) (Report, error) {
		m := newToy(35, 6)
		c := toyConfig(m, "")
		c.ResumeFrom, c.ResumeFallback = from, fallback
		c.MaxSteps, c.AllowChanged = 8, []string{"steps"}
		return Run(context.Background(), m, m.params(), c)
	}
	if _, err := resume(dir, false); err != nil {
		t.Fatal(err)
	}
	for _, name := range list(t, newest) {
		path := filepath.Join(newest, name)
		b := readFile(t, path)
		for bit := 0; bit < 8*len(b); bit += 1 + len(b)/8 {
			b[bit/8] ^= 1 << (bit % 8)
			must(os.WriteFile(path, b, 0o666))
			for _, from := range []string{dir, newest} {
				_, err := resume(from, false)
				if !errors.Is(err, ErrCheckpoint) || !strings.Contains(err.Error(), name) && name != manifestName ||
					!strings.Contains(err.Error(), "checkpoint-6") {
					t.Errorf("bit %d of %s: error %v", bit, name, err)
				}
				if from == dir && !strings.Contains(fmt.Sprint(err), "resume from an earlier one, such as checkpoint-4") {
					t.Errorf("bit %d of %s: %v does not name the remedy", bit, name, err)
				}
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		must(os.WriteFile(path, b[:len(b)-1], 0o666))
		if _, err := resume(dir, false); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s cut: error %v", name, err)
		}
		must(os.WriteFile(path, b, 0o666))
	}
	must(os.WriteFile(filepath.Join(newest, stateName), []byte("{}"), 0o666))
	var done int
	m := newToy(35, 6)
	c := toyConfig(m, "")
	c.ResumeFrom, c.ResumeFallback = dir, true
	c.OnStart = func(p Plan) { done = p.Done }
	var log bytes.Buffer
	c.Logger = zerolog.New(&log)
	m.train(t, c)
	if done != 4 || !strings.Contains(log.String(), "skipped") {
		t.Errorf("fell back to step %d; log %s", done, log.String())
	}
}

func TestResumePassesOverWhatIsNotComplete(t *testing.T) {
	dir := stopped(t)
	must(os.Remove(filepath.Join(dir, checkpointName(6), manifestName)))
	must(os.MkdirAll(filepath.Join(dir, "checkpoint-08"), 0o777))
	must(os.MkdirAll(filepath.Join(dir, "checkpoint-9.incomplete"), 0o777))
	must(os.WriteFile(filepath.Join(dir, "checkpoint-10"), nil, 0o666))
	m := newToy(35, 6)
	c := toyConfig(m, dir)
	c.ResumeFrom = dir
	var done int
	c.OnStart = func(p Plan) { done = p.Done }
	m.train(t, c)
	if done != 4 {
		t.Errorf("resumed from step %d, want 4", done)
	}
	for _, from := range []string{t.TempDir(), filepath.Join(dir, "none"), filepath.Join(dir, checkpointName(6)),
		filepath.Join(dir, checkpointName(77))} {
		c := toyConfig(m, dir)
		c.ResumeFrom = from
		if _, err := Run(context.Background(), m, m.params(), c); !errors.Is(err, ErrCheckpoint) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v", from, err)
		}
	}
}

// TestResumeElsewhere: a run resumed into another directory leaves the same files there as in its own.
func TestResumeElsewhere(t *testing.T) {
	home := stopped(t)
	m := newToy(35, 6)
	c := toyConfig(m, home)
	c.ResumeFrom = home
	away := t.TempDir()
	m2 := newToy(35, 6)
	c2 := toyConfig(m2, away)
	c2.ResumeFrom = home
	m2.train(t, c2)
	m.train(t, c)
	sameOutcome(t, "elsewhere", outcome(t, away), outcome(t, home))
	// Without the log of the earlier steps the run starts a new log and logs a warning.
	must(os.Remove(filepath.Join(home, metricsName)))
	lost := t.TempDir()
	m3 := newToy(35, 6)
	c3 := toyConfig(m3, lost)
	c3.ResumeFrom = home
	var log bytes.Buffer
	c3.Logger = zerolog.New(&log)
	m3.train(t, c3)
	if lines := readLog(t, lost); lines[0]["step"] != json.Number("6") ||
		!strings.Contains(log.String(), "starting a new one") {
		t.Errorf("log begins with %v; %s", lines[0], log.String())
	}
}

// TestResumeFromEarlier: a run resumed from an earlier checkpoint replaces the later ones.
func TestResumeFromEarlier(t *testing.T) {
	whole := t.TempDir()
	m := newToy(35, 6)
	m.train(t, toyConfig(m, whole))
	dir := stopped(t)
	m = newToy(35, 6)
	c := toyConfig(m, dir)
	c.ResumeFrom, c.SaveSteps, c.KeepCheckpoints = filepath.Join(dir, checkpointName(2)), 3, 0
	ctx, cancel := context.WithCancel(context.Background())
	c.OnStep = func(s StepInfo) {
		if s.Step == 3 {
			cancel()
		}
	}
	if _, err := Run(ctx, m, m.params(), c); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	if steps, err := checkpointSteps(dir); err != nil || !slices.Equal(steps, []int{3, 2}) {
		t.Errorf("checkpoints %v, %v", steps, err)
	}
	m = newToy(35, 6)
	c = toyConfig(m, dir)
	c.ResumeFrom = dir
	m.train(t, c)
	sameOutcome(t, "from an earlier checkpoint", outcome(t, dir), outcome(t, whole))
}

func TestKeepCheckpoints(t *testing.T) {
	for _, c := range []struct {
		name   string
		keep   int
		values []float64
		want   []int
	}{
		{"all", 0, []float64{1, 2, 3, 4, 5, 6, 7, 8}, []int{8, 7, 6, 5, 4, 3, 2, 1}},
		{"two", 2, []float64{1, 2, 3, 4, 5, 6, 7, 8}, []int{8, 7}},
		{"one and the best", 1, []float64{1, 2, 9, 4, 5, 6, 7, 8}, []int{8, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newToy(35, 6)
			m.score = scores(c.values...)
			dir := t.TempDir()
			cfg := toyConfig(m, dir)
			cfg.EvalSteps, cfg.SaveSteps, cfg.KeepCheckpoints = 1, 1, c.keep
			m.train(t, cfg)
			if got, err := checkpointSteps(dir); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("checkpoints %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestSaveEvery(t *testing.T) {
	dir := t.TempDir()
	m := newToy(35, 0)
	c := toyConfig(m, dir)
	c.SaveEvery, c.KeepCheckpoints = 1, 0
	m.train(t, c)
	if got, err := checkpointSteps(dir); err != nil || len(got) != 10 {
		t.Errorf("checkpoints %v, %v", got, err)
	}
}
