package tasks_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// headRun is a training run of PEFT on a causal model with a head for sequences or tokens
// (reference/causal_heads_fixtures.py).
type headRun struct {
	tasktest.Case
	TaskType lora.TaskType `json:"task_type"`
	Observed int           `json:"observed_rows"`

	model interface {
		Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
	}
	set  *lora.Set
	pool *op.Pool
	rows *tasks.TextSet
}

func openHeadRun(t *testing.T, dir string) *headRun {
	t.Helper()
	r := &headRun{pool: op.NewPool(2)}
	t.Cleanup(r.pool.Close)
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatal(err)
	}
	r.Dir, r.Base = dir, filepath.Join(dir, "base")
	src, err := checkpoint.Open(r.Base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	g := golden.Open(t, filepath.Join(dir, "batches.safetensors"))
	r.rows = tasktest.Rows(g, r.TaskType != lora.TokenCls)
	switch {
	case r.Problem != "single_label_classification":
		r.rows.Values = g.Float32("labels")
	case r.TaskType == lora.TokenCls:
		r.rows.TokenLabels.Append(tasktest.Int32s(g, "labels")...)
	default:
		r.rows.Labels = tasktest.Int32s(g, "labels")
	}
	if r.TaskType == lora.TokenCls {
		m, _, err := models.OpenTokenClassifier(src, r.NumLabels, 1)
		if err != nil {
			t.Fatal(err)
		}
		r.attach(t, m)
		r.model = m
		return r
	}
	m, _, err := models.OpenSequenceClassifier(src, r.NumLabels, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.attach(t, m)
	r.model = m
	return r
}

func (r *headRun) attach(t *testing.T, m spago.Model) {
	t.Helper()
	nn.SetDropout(m, 0)
	var err error
	if r.set, _, err = lora.Load(filepath.Join(r.Dir, "adapter_init"), m); err != nil {
		t.Fatal(err)
	}
}

// Set returns the rows for training, and nothing to evaluate.
func (r *headRun) Set(s batch.Split) batch.Set {
	if s != batch.Train {
		return nil
	}
	return r.rows
}

// Loss is that of the head's logits.
func (r *headRun) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	return classLoss(p.Tape, r.Problem, r.model.Logits(p, b), b)
}

// Evaluate is never asked for.
func (r *headRun) Evaluate(context.Context, batch.Split) (train.Metrics, error) {
	return train.Metrics{}, nil
}

// logits returns those of the observed rows, with the adapter or without.
func (r *headRun) logits(t *testing.T, adapter nn.AdapterSet) []float32 {
	t.Helper()
	tape := op.NewEvalTape(r.pool)
	defer tape.Close()
	b := tasktest.BatchOf(t, r.rows, tasktest.First(r.Observed)...)
	return slices.Clone(op.Values(r.model.Logits(&nn.Pass{Tape: tape, Adapter: adapter}, b)))
}

// classLoss returns the loss of logits as transformers computes it for a problem type, and the number of targets.
func classLoss(t *op.Tape, problem string, logits mat.Tensor, b *batch.Batch) (mat.Tensor, float64, error) {
	p, err := data.ParseProblem(problem)
	if err != nil {
		return nil, 0, err
	}
	switch p {
	case data.MultiLabel:
		return op.BCEWithLogits(t, logits, b.Values), float64(len(b.Values)), nil
	case data.Regression:
		return op.MSE(t, logits, b.Values), float64(len(b.Values)), nil
	}
	sum, targets := op.CrossEntropy(t, logits, b.Labels, op.CrossEntropyConfig{})
	return sum, targets, nil
}

// TestHeadsEqualPEFT repeats PEFT's training of classifiers on causal models. With -v it prints the table of
// docs/parity.md.
func TestHeadsEqualPEFT(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/causal_heads/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r, expected := openHeadRun(t, dir), golden.Open(t, filepath.Join(dir, "expected.safetensors"))
			out := t.TempDir()
			if expected.Has("base.logits") {
				if d := golden.MaxRel(r.logits(t, nil), expected.Float32("base.logits")); !(d <= 2e-5) {
					t.Errorf("logits of the base: off by %.2g of the largest", d)
				}
			}
			d := tasktest.Deviations{Initial: golden.MaxRel(r.logits(t, r.set), expected.Float32("init.logits"))}
			d.Steps(r.Repeat(t, r, r.set, r.set.Params(), r.pool, out), r.Log)
			d.Adapter, d.Tensor = r.Adapter(t, out, tasktest.None)
			d.Final = golden.MaxRel(r.logits(t, r.set), expected.Float32("final.logits"))
			d.Check(t, filepath.Base(dir), r.MaxSteps)
		})
	}
}
