package tasks

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// parityCase is a directory of fixtures: a training run of PEFT (reference/README.md says what the files hold).
type parityCase struct {
	dir  string
	base string // model directory

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
	Log         []stepLog      `json:"log"`
}

// stepLog is what PEFT had in a step.
type stepLog struct {
	Loss         float64 `json:"loss"`
	GradNorm     float64 `json:"grad_norm"`
	LearningRate float64 `json:"learning_rate"`
}

func parityCases(t *testing.T) []parityCase {
	t.Helper()
	dirs, err := filepath.Glob("../testdata/bert/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	var list []parityCase
	for _, dir := range append(dirs, "../testdata/minilm") {
		c := parityCase{dir: dir, base: filepath.Join(dir, "base")}
		if filepath.Base(dir) == "minilm" {
			c.base = "../embedded/minilm"
		}
		text, err := os.ReadFile(filepath.Join(dir, "case.json"))
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

// labels returns the classes: the adapter's, else the checkpoint's, else LABEL_0 and so on.
func (c parityCase) labels(t *testing.T, src *checkpoint.Source, tables ...*text.File) *data.Labels {
	t.Helper()
	problem, err := data.ParseProblem(c.Problem)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	if text, err := os.ReadFile(filepath.Join(c.dir, "adapter_init", "labels.json")); err == nil {
		if err := json.Unmarshal(text, &names); err != nil {
			t.Fatal(err)
		}
	} else if info, err := models.ReadInfo(src); err != nil {
		t.Fatal(err)
	} else if names, err = info.LabelNames(); err != nil {
		t.Fatal(err)
	}
	for i := len(names); i < c.NumLabels; i++ {
		names = append(names, fmt.Sprintf("LABEL_%d", i))
	}
	l, err := text.FindLabels(problem, data.LabelSource{Fixed: names}, tables...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// table reads the rows as texts; nil if the fixture has only ids.
func (c parityCase) table(t *testing.T, name string) *text.File {
	t.Helper()
	table, err := text.Read(filepath.Join(c.dir, name), text.Options{})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	problem, err := data.ParseProblem(c.Problem)
	if err != nil {
		t.Fatal(err)
	}
	return table.WithTargets(problem)
}

// rows returns the ids that PEFT trained on.
func (c parityCase) rows(g *golden.Fixture) *textSet {
	s := &textSet{starts: g.Ints("starts")}
	types := g.Ints("types")
	for i, id := range g.Ints("ids") {
		s.ids, s.types = append(s.ids, int32(id)), append(s.types, int32(types[i]))
	}
	if c.Problem == "single_label_classification" {
		for _, l := range g.Ints("labels") {
			s.labels = append(s.labels, int32(l))
		}
		return s
	}
	s.values, s.width = g.Float32("labels"), c.NumLabels
	return s
}

func (s *textSet) equals(o *textSet) bool {
	return slices.Equal(s.ids, o.ids) && slices.Equal(s.types, o.types) && slices.Equal(s.starts, o.starts) &&
		slices.Equal(s.labels, o.labels) && slices.Equal(s.values, o.values)
}

// parityRun is a case opened the way the command does it.
type parityRun struct {
	c    parityCase
	set  *lora.Set
	task *SeqCls
	test *text.File // rows that final.logits are of; nil: the first batch
}

func (c parityCase) open(t *testing.T) *parityRun {
	t.Helper()
	src, err := checkpoint.Open(c.base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := models.OpenSequenceClassifier(src, c.NumLabels, 1)
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	r := &parityRun{c: c}
	if r.set, _, err = lora.Load(filepath.Join(c.dir, "adapter_init"), m); err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	table := c.table(t, "train.jsonl")
	r.test = c.table(t, "test.jsonl")
	r.task, err = NewSeqCls(m, tok, SeqClsConfig{Labels: c.labels(t, src, table, r.test), Smoothing: c.Smoothing, Pool: pool, Adapter: r.set})
	if err != nil {
		t.Fatal(err)
	}
	want := c.rows(golden.Open(t, filepath.Join(c.dir, "batches.safetensors")))
	if table == nil {
		r.task.sets[batch.Train] = want
	} else if err := r.task.Add(t.Context(), batch.Train, table); err != nil {
		t.Fatal(err)
	} else if !r.task.sets[batch.Train].equals(want) {
		t.Fatal("ids, types or labels of train.jsonl are not those that PEFT trained on")
	}
	return r
}

// logits returns those of the first n training rows.
func (r *parityRun) logits(t *testing.T, n int) []float32 {
	t.Helper()
	s := r.task.sets[batch.Train]
	first := &textSet{ids: s.ids[:s.starts[n]], types: s.types[:s.starts[n]], starts: s.starts[:n+1]}
	out := make([]float32, n*r.c.NumLabels)
	err := r.task.forward(t.Context(), first, func(rows []int, _ *op.Tape, x mat.Tensor, _ *batch.Batch) { r.task.scatter(out, rows, x) })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// train repeats PEFT's run and returns the largest relative deviations of loss, gradient norm and learning rate.
func (r *parityRun) train(t *testing.T, dir string) (loss, norm, rate float64) {
	t.Helper()
	return deviationsOf(r.c.repeat(t, r.task, r.set, r.set.Params(), r.task.cfg.Pool, dir), r.c.Log)
}

// deviationsOf returns the largest relative deviations of loss, gradient norm and learning rate.
func deviationsOf(steps, want []stepLog) (loss, norm, rate float64) {
	peak := 0.0
	for _, w := range want {
		peak = math.Max(peak, w.LearningRate)
	}
	for i, w := range want {
		s := steps[i]
		loss = math.Max(loss, math.Abs(s.Loss-w.Loss)/w.Loss)
		norm = math.Max(norm, math.Abs(s.GradNorm-w.GradNorm)/w.GradNorm)
		rate = math.Max(rate, math.Abs(s.LearningRate-w.LearningRate)/peak)
	}
	return loss, norm, rate
}

// repeat trains params of a task as PEFT did, saves the adapter and returns what each step had.
func (c parityCase) repeat(t *testing.T, task train.Task, set *lora.Set, params []nn.NamedParam, pool *op.Pool, dir string) (steps []stepLog) {
	t.Helper()
	cfg := train.Defaults()
	cfg.BatchSize, cfg.GradientAccumulationSteps, cfg.MaxSteps, cfg.NoShuffle = c.BatchSize, c.Accumulate, c.MaxSteps, true
	cfg.LearningRate, cfg.WeightDecay, cfg.MaxGradNorm = c.Rate, c.Decay, c.MaxGradNorm
	cfg.Schedule, cfg.WarmupSteps = c.Schedule, c.Warmup
	cfg.Pool, cfg.Adapter = pool, set
	cfg.OnStep = func(s train.StepInfo) {
		steps = append(steps, stepLog{s.Loss, s.GradNorm, s.LearningRate})
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

// adapter compares a saved adapter with PEFT's: the same tensors of the same shapes, but for the copies of base tables that PEFT
// keeps below adapted ones. It returns the largest relative Frobenius norm of a difference, without those of tensors that but names.
func (c parityCase) adapter(t *testing.T, dir string, but func(name string) bool) (worst float64, name string) {
	t.Helper()
	const file = "adapter_model.safetensors"
	got, want := golden.Open(t, filepath.Join(dir, file)), golden.Open(t, filepath.Join(c.dir, "adapter_final", file))
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

func none(string) bool { return false }

// TestTrainingEqualsPEFT repeats PEFT's training runs from texts to the saved adapter, as the command does it. With -v it prints the
// table of docs/parity.md: largest deviations relative to the step's value, the largest logit and the tensor's norm.
func TestTrainingEqualsPEFT(t *testing.T) {
	for _, c := range parityCases(t) {
		t.Run(filepath.Base(c.dir), func(t *testing.T) {
			r, expected, dir := c.open(t), golden.Open(t, filepath.Join(c.dir, "expected.safetensors")), t.TempDir()
			d := deviations{initial: golden.MaxRel(r.logits(t, c.BatchSize), expected.Float32("init.logits"))}
			d.loss, d.norm, d.rate = r.train(t, dir)
			d.adapter, d.tensor = c.adapter(t, dir, none)
			var logits []float32
			if r.test == nil {
				logits = r.logits(t, c.BatchSize)
			} else {
				var err error
				if logits, err = r.task.Logits(t.Context(), r.test); err != nil {
					t.Fatal(err)
				}
			}
			d.final = golden.MaxRel(logits, expected.Float32("final.logits"))
			d.check(t, filepath.Base(c.dir), c.MaxSteps)
		})
	}
}
