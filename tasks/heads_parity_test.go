package tasks

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/train"
)

// headRun is a training run of PEFT on a causal model with a head for sequences or tokens (reference/causal_heads_fixtures.py).
type headRun struct {
	parityCase
	TaskType lora.TaskType `json:"task_type"`
	Observed int           `json:"observed_rows"`

	model interface {
		Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
	}
	set  *lora.Set
	pool *op.Pool
	rows batch.Set
	loss func(t *op.Tape, logits mat.Tensor, b *batch.Batch) (mat.Tensor, float64)
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
	r.dir, r.base = dir, filepath.Join(dir, "base")
	src, err := checkpoint.Open(r.base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	problem, err := data.ParseProblem(r.Problem)
	if err != nil {
		t.Fatal(err)
	}
	r.loss = (&SeqCls{cfg: SeqClsConfig{Labels: &data.Labels{Problem: problem}}}).loss // a token's class is as good as a sequence's
	g := golden.Open(t, filepath.Join(dir, "batches.safetensors"))
	rows := r.idRows(g, problem)
	if r.TaskType == lora.TokenCls {
		m, _, err := models.OpenTokenClassifier(src, r.NumLabels, 1)
		if err != nil {
			t.Fatal(err)
		}
		r.attach(t, m)
		r.model, r.rows = m, &causalSet{ids: rows.ids, labels: rows.labels, starts: rows.starts} // labels of tokens
		return r
	}
	m, _, err := models.OpenSequenceClassifier(src, r.NumLabels, 1)
	if err != nil {
		t.Fatal(err)
	}
	r.attach(t, m)
	r.model, r.rows = m, rows
	return r
}

func (r *headRun) attach(t *testing.T, m spago.Model) {
	t.Helper()
	nn.SetDropout(m, 0)
	var err error
	if r.set, _, err = lora.Load(filepath.Join(r.dir, "adapter_init"), m); err != nil {
		t.Fatal(err)
	}
}

func (r *headRun) idRows(g *golden.Fixture, problem data.Problem) *textSet {
	s := &textSet{starts: g.Ints("starts")}
	for _, id := range g.Ints("ids") {
		s.ids = append(s.ids, int32(id))
	}
	s.types = make([]int32, len(s.ids))
	if problem != data.SingleLabel {
		s.values, s.width = g.Float32("labels"), r.NumLabels
		return s
	}
	for _, l := range g.Ints("labels") {
		s.labels = append(s.labels, int32(l))
	}
	return s
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
	sum, targets := r.loss(p.Tape, r.model.Logits(p, b), b)
	return sum, targets, nil
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
	rows := make([]int, r.Observed)
	for i := range rows {
		rows[i] = i
	}
	return append([]float32(nil), op.Values(r.model.Logits(&nn.Pass{Tape: tape, Adapter: adapter}, BatchOf(t, r.rows, rows...)))...)
}

// TestHeadsEqualPEFT repeats PEFT's training of classifiers on causal models. With -v it prints the table of docs/parity.md.
func TestHeadsEqualPEFT(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/causal_heads/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r, expected, out := openHeadRun(t, dir), golden.Open(t, filepath.Join(dir, "expected.safetensors")), t.TempDir()
			if expected.Has("base.logits") {
				if d := golden.MaxRel(r.logits(t, nil), expected.Float32("base.logits")); !(d <= 2e-5) {
					t.Errorf("logits of the base: off by %.2g of the largest", d)
				}
			}
			d := deviations{initial: golden.MaxRel(r.logits(t, r.set), expected.Float32("init.logits"))}
			d.loss, d.norm, d.rate = deviationsOf(r.repeat(t, r, r.set, r.set.Params(), r.pool, out), r.Log)
			d.adapter, d.tensor = r.adapter(t, out, none)
			d.final = golden.MaxRel(r.logits(t, r.set), expected.Float32("final.logits"))
			d.check(t, filepath.Base(dir), r.MaxSteps)
		})
	}
}
