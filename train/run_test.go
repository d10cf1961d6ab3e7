package train

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/nn/op"
)

// TestAccumulationIsOneBatch: a step over several micro-batches equals one over all their rows, with different numbers
// of targets in each.
func TestAccumulationIsOneBatch(t *testing.T) {
	var want []float32
	var first StepInfo
	for _, split := range []struct{ batch, accumulate int }{{12, 1}, {6, 2}, {4, 3}, {1, 12}, {5, 3}} {
		m := newToy(36, 0)
		if split.batch == 5 { // the last micro-batch of the epoch has two rows
			m.y = m.y[:12]
		}
		c := toyConfig(m, "")
		c.BatchSize, c.GradientAccumulationSteps, c.NumTrainEpochs, c.WarmupSteps = split.batch, split.accumulate, 1, 0
		c.NoShuffle = true
		c.MaxSteps = 1
		var info StepInfo
		c.OnStep = func(s StepInfo) { info = s }
		m.train(t, c)
		got := op.Values(m.w.Param)
		if want == nil {
			want, first = slices.Clone(got), info
			continue
		}
		compareValues(t, fmt.Sprint(split), got, want)
		if !near(info.Loss, first.Loss, 1e-6) || !near(info.GradNorm, first.GradNorm, 1e-6) {
			t.Errorf("%v: loss %v, norm %v; want %v, %v", split, info.Loss, info.GradNorm, first.Loss, first.GradNorm)
		}
	}
}

func TestWorkersDoNotChangeBits(t *testing.T) {
	var want map[string]string
	for _, workers := range []int{1, 2, 5} {
		dir := t.TempDir()
		m := newToy(40, 6)
		c := toyConfig(m, dir)
		c.Pool = op.NewPool(workers)
		m.train(t, c)
		c.Pool.Close()
		got := outcome(t, dir)
		if want == nil {
			want = got
		}
		sameOutcome(t, fmt.Sprintf("%d workers", workers), got, want)
	}
}

// TestOptimizerParts: a parameter larger than a part of the optimiser is updated completely.
func TestOptimizerParts(t *testing.T) {
	n := 2*partSize + 17
	g := make([]float32, n)
	for i := range g {
		g[i] = float32(i%7) - 3
	}
	o := optimizerWithGradients(t, [][]float32{g, {3}, g[:1]})
	if len(o.parts) != 5 {
		t.Errorf("%d parts, want 5", len(o.parts))
	}
	sum := 9.0 + 9
	for _, x := range g {
		sum += float64(x) * float64(x)
	}
	if got := o.norm(); got != math.Sqrt(sum) {
		t.Errorf("norm %v, want %v", got, math.Sqrt(sum))
	}
	op.ZeroGrad(o.params[1].Param) // a parameter without a gradient does not change
	o.update(0.1 / Defaults().LearningRate)
	if v := op.Values(o.params[1].Param)[0]; v != 0 || o.moments[1].steps != 0 || o.moments[0].steps != 1 {
		t.Errorf("value %v after %d steps", v, o.moments[1].steps)
	}
	for i, v := range op.Values(o.params[0].Param) {
		if want := -0.1 * float64(sign(g[i])); math.Abs(float64(v)-want) > 1e-6 {
			t.Fatalf("value %d is %v, want %v", i, v, want)
		}
	}
}

func sign(x float32) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func TestLogAndReport(t *testing.T) {
	dir := t.TempDir()
	m := newToy(27, 6) // 21 rows: 6 batches, 3 steps an epoch
	c := toyConfig(m, dir)
	var plan Plan
	var steps []StepInfo
	var evals []Evaluation
	c.OnStart = func(p Plan) { plan = p }
	c.OnStep = func(s StepInfo) { steps = append(steps, s) }
	c.OnEval = func(e Evaluation) { evals = append(evals, e) }
	r := m.train(t, c)
	if plan.Steps != 6 || plan.StepsPerEpoch != 3 || plan.WarmupSteps != 2 || plan.Rows != 21 || plan.Params != 24 ||
		plan.Done != 0 {
		t.Errorf("plan %+v", plan)
	}
	lines := readLog(t, dir)
	if len(lines) != 9 || len(steps) != 6 || len(evals) != 3 {
		t.Fatalf("%d lines, %d steps, %d evaluations", len(lines), len(steps), len(evals))
	}
	epochs := []string{"0.3333333333333333", "0.6666666666666666", "1", "1.3333333333333333", "1.6666666666666665", "2"}
	step, sum := 0, 0.0
	for _, line := range lines {
		if _, ok := line["eval_loss"]; ok {
			if keys := len(line); keys != 4 || line["eval_accuracy"] == nil || line["step"] != json.Number(fmt.Sprint(step)) {
				t.Errorf("evaluation line %v", line)
			}
			continue
		}
		s := steps[step]
		sum += s.Loss
		step++
		for key, want := range map[string]float64{"step": float64(step), "epoch": s.Epoch, "loss": s.Loss,
			"grad_norm":     s.GradNorm,
			"learning_rate": s.LearningRate, "tokens_per_second": s.TokensPerSecond} {
			if got, err := line[key].(json.Number).Float64(); err != nil || got != want {
				t.Errorf("step %d: %s is %v, want %v", step, key, line[key], want)
			}
		}
		if len(line) != 6 || s.Step != step || s.Steps != 6 || s.StepsDone != step || s.Elapsed <= 0 {
			t.Errorf("step %d: %v, %+v", step, line, s)
		}
		if got := line["epoch"].(json.Number).String(); !near(s.Epoch, mustFloat(epochs[step-1]), 1e-12) {
			t.Errorf("step %d: epoch %s, want %s", step, got, epochs[step-1])
		}
	}
	if r.Steps != 6 || r.TotalSteps != 6 || r.Epochs != 2 || r.TrainLoss != sum/6 || r.Stopped != Finished ||
		r.BestMetric != "loss" ||
		len(r.Evaluations) != 3 || r.Best == nil || r.Tokens != 42 || r.PeakActivations <= 0 || r.Runtime <= 0 {
		t.Errorf("report %+v", r)
	}
	b, err := json.Marshal(r)
	const best = `"best_metric":"loss","best":{"step":2,"epoch":0.6666666666666666,"metrics":{"accuracy":`
	if err != nil || !bytes.Contains(b, []byte(best)) {
		t.Errorf("report %s, %v", b, err)
	}
}

func mustFloat(s string) float64 {
	f, err := json.Number(s).Float64()
	must(err)
	return f
}

// scores returns a score function for evaluations whose i-th metric is the i-th value.
func scores(values ...float64) func(int) Metrics {
	return func(i int) Metrics {
		return Metrics{Main: "accuracy", Values: []Metric{{Name: "accuracy", Value: values[i-1]},
			{Name: "loss", Value: -values[i-1], LowerIsBetter: true}}}
	}
}

func TestBestAndLast(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name      string
		metric    string
		values    []float64
		patience  int
		threshold float64
		best      int // evaluation, from 1; 0: none
		steps     int
		stopped   StopReason
	}{
		{"last is best", "", []float64{1, 2, 3, 4, 5}, 0, 0, 5, 5, Finished},
		{"first is best", "", []float64{5, 4, 3, 2, 1}, 0, 0, 1, 5, Finished},
		{"lower is better", "loss", []float64{1, 2, 4, 3, 1}, 0, 0, 3, 5, Finished},
		{"equal is no improvement", "eval_loss", []float64{2, 2, 2, 2, 2}, 0, 0, 1, 5, Finished},
		{"patience", "", []float64{1, 3, 2, 2, 5}, 2, 0, 2, 4, EarlyStopped},
		{"patience counts in a row", "", []float64{1, 0, 2, 1, 3}, 2, 0, 5, 5, Finished},
		{"threshold", "", []float64{1, 1.05, 1.1, 9, 9}, 2, 0.2, 3, 3, EarlyStopped},
		{"undefined is never best", "", []float64{nan, 2, nan, 1, math.Inf(1)}, 0, 0, 2, 5, Finished},
		{"all undefined", "", []float64{nan, nan, nan, nan, nan}, 4, 0, 0, 4, EarlyStopped},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			m := newToy(10, 2)
			m.score = scores(c.values...)
			cfg := toyConfig(m, dir)
			cfg.EvalSteps, cfg.MaxSteps, cfg.MetricForBestModel = 1, 5, c.metric
			cfg.EarlyStoppingPatience, cfg.EarlyStoppingThreshold = c.patience, c.threshold
			var after [][]float32
			cfg.OnStep = func(StepInfo) { after = append(after, m.w.Float32()) }
			r := m.train(t, cfg)
			if r.Steps != c.steps || r.Stopped != c.stopped || (r.Best == nil) != (c.best == 0) ||
				r.Best != nil && r.Best.Step != c.best {
				t.Errorf("%d steps, %s, best %v; want %d, %s, %d", r.Steps, r.Stopped, r.Best, c.steps, c.stopped, c.best)
			}
			best := c.best
			if best == 0 {
				best = c.steps
			}
			if got := adapter(t, dir); !slices.Equal(got, after[best-1]) {
				t.Errorf("the output directory does not hold the adapter of step %d", best)
			}
			if !slices.Equal(m.w.Float32(), after[best-1]) {
				t.Errorf("the parameters are not those of step %d", best)
			}
			_, err := os.Stat(filepath.Join(dir, lastName))
			if (err == nil) != (best != c.steps) {
				t.Errorf("last/: %v", err)
			} else if err == nil && !slices.Equal(adapter(t, filepath.Join(dir, lastName)), after[c.steps-1]) {
				t.Error("last/ does not hold the adapter of the last step")
			}
		})
	}
}

// TestUndefinedIsLoggedOnce: the log reports once, for any number of evaluations, why a metric is undefined and that it
// cannot determine the best state.
func TestUndefinedIsLoggedOnce(t *testing.T) {
	m := newToy(10, 2)
	m.score = func(i int) Metrics {
		v := []Metric{{Name: "pearson", Value: math.NaN(), Reason: "all predictions are equal"},
			{Name: "f1", Reason: "nothing is predicted"}, {Name: "loss", Value: float64(i)}}
		return Metrics{Main: "pearson", Values: v}
	}
	var log bytes.Buffer
	cfg := toyConfig(m, t.TempDir())
	cfg.EvalSteps, cfg.MaxSteps, cfg.Logger = 1, 3, zerolog.New(&log)
	if r := m.train(t, cfg); r.Best != nil || len(r.Evaluations) != 3 {
		t.Errorf("best %v of %d evaluations", r.Best, len(r.Evaluations))
	}
	for _, want := range []string{"pearson is undefined: all predictions are equal",
		"f1 is 0.0000 by convention: nothing is predicted", "this state cannot be the best"} {
		if n := strings.Count(log.String(), want); n != 1 {
			t.Errorf("the log has %q %d times, want once:\n%s", want, n, log.String())
		}
	}
}

// adapter returns the toy's weight in an adapter directory.
func adapter(t *testing.T, dir string) []float32 {
	t.Helper()
	f, err := safetensors.Open(filepath.Join(dir, "adapter_model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, _ := f.Tensor("w")
	v, err := safetensors.AsFloat32(w)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(v)
}

func TestEvaluationPerEpoch(t *testing.T) {
	m := newToy(27, 6)
	c := toyConfig(m, t.TempDir())
	c.EvalSteps, c.NumTrainEpochs = 0, 2.4 // 3 steps an epoch
	var at []int
	c.OnEval = func(e Evaluation) { at = append(at, e.Step) }
	m.train(t, c)
	if !slices.Equal(at, []int{3, 6, 8}) {
		t.Errorf("evaluated after steps %v", at)
	}
}

func TestUnknownMetricOfTask(t *testing.T) {
	m := newToy(10, 2)
	m.score = func(int) Metrics { return Metrics{Main: "f1", Values: []Metric{{Name: "accuracy", Value: 1}}} }
	_, err := Run(context.Background(), m, m.params(), toyConfig(m, t.TempDir()))
	if err == nil || !strings.Contains(err.Error(), "`metric_for_best_model` is \"f1\"; want one of accuracy") {
		t.Errorf("error %v", err)
	}
}

func TestRunWithoutFiles(t *testing.T) {
	m := newToy(30, 6)
	c := toyConfig(m, "")
	c.SaveEvery = 1
	r := m.train(t, c)
	if r.Best == nil || r.Steps == 0 {
		t.Errorf("report %+v", r)
	}
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	m := newToy(16, 0)
	for _, name := range []string{"checkpoint-99", lastName, "checkpoint-7.incomplete", "checkpoint-5.old.incomplete",
		"mine.incomplete"} {
		must(os.MkdirAll(filepath.Join(dir, name, "sub"), 0o777))
	}
	must(os.WriteFile(filepath.Join(dir, metricsName), []byte("old\n"), 0o666))
	c := toyConfig(m, dir)
	_, err := Run(context.Background(), m, m.params(), c)
	checkError(t, err, "has checkpoint-99, last, metrics.jsonl of an earlier run")
	c.Overwrite = true
	m.train(t, c)
	if got := list(t, dir); !slices.Equal(got,
		[]string{"adapter_config.json", "adapter_model.safetensors", metricsName, "mine.incomplete"}) {
		t.Errorf("files %v", got)
	}
	if b, err := os.ReadFile(filepath.Join(dir, metricsName)); err != nil || bytes.Contains(b, []byte("old")) {
		t.Errorf("metrics %s, %v", b, err)
	}
}

// TestReplaces: a new run with Overwrite removes the files of an earlier one, but only after it has checked its
// settings.
func TestReplaces(t *testing.T) {
	dir := t.TempDir()
	m := newToy(16, 0)
	c := toyConfig(m, dir)
	c.Replaces, c.SaveSteps = []string{"adapter_config.json", "adapter_model.safetensors", "labels.json"}, 1
	m.train(t, c)
	for _, name := range []string{"labels.json", "thesis.txt"} {
		must(os.WriteFile(filepath.Join(dir, name), []byte("old"), 0o666))
	}
	before := list(t, dir)
	_, err := Run(context.Background(), m, m.params(), c)
	checkError(t, err, "has adapter_config.json, adapter_model.safetensors, checkpoint-3, checkpoint-4, labels.json, "+
		"metrics.jsonl of an earlier run")
	c.Overwrite = true
	bad := c
	bad.LearningRate = -1
	_, err = Run(context.Background(), m, m.params(), bad)
	checkError(t, err, "`learning_rate`")
	resumed := c
	resumed.ResumeFrom = dir
	m.train(t, resumed)
	if got := list(t, dir); !slices.Equal(got, before) {
		t.Errorf("after a rejected run and a resumed one the files are %v, want %v", got, before)
	}
	m.alter = func(_ *batch.Batch, v []float32) { v[0] = float32(math.NaN()) }
	_, err = Run(context.Background(), m, m.params(), c)
	if err == nil || !strings.Contains(err.Error(), "step 1") {
		t.Errorf("error %v", err)
	}
	if got := list(t, dir); !slices.Equal(got, []string{metricsName, "thesis.txt"}) {
		t.Errorf("after a run that failed in its first step the files are %v", got)
	}
}
