package tasks_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/train"
)

// optionRun is a training run of PEFT with options that the other fixtures do not have
// (reference/options_fixtures.py).
type optionRun struct {
	tasktest.Case
	Base string `json:"base"` // below testdata

	model optionModel
	loss  func(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error)
	set   *lora.Set
	pool  *op.Pool
	rows  *tasks.TextSet
}

type optionModel interface {
	models.TextModel
	Logits(p *nn.Pass, b *batch.Batch) mat.Tensor
}

func openOptionRun(t *testing.T, dir string) *optionRun {
	t.Helper()
	r := &optionRun{pool: op.NewPool(2)}
	t.Cleanup(r.pool.Close)
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []any{&r.Case, r} {
		if err := json.Unmarshal(text, part); err != nil {
			t.Fatal(err)
		}
	}
	r.Dir = dir
	g := golden.Open(t, filepath.Join(dir, "batches.safetensors"))
	r.rows = tasktest.Rows(g, false)
	r.model, r.loss = r.open(t)
	if g.Has("labels") {
		r.rows.Labels = tasktest.Int32s(g, "labels")
	} else {
		r.rows.TokenLabels.Append(nextOf(tasktest.Int32s(g, "ids"), g.Ints("starts"))...)
	}
	r.set = r.load(t, "adapter_init")
	return r
}

// nextOf returns the labels of a language model: of each token the one after it.
func nextOf(ids []int32, starts []int) []int32 {
	labels := append(slices.Clone(ids[1:]), batch.Ignore)
	for _, s := range starts[1:] {
		labels[s-1] = batch.Ignore
	}
	return labels
}

// open opens the base model, without dropout, with its loss.
func (r *optionRun) open(t *testing.T) (
	optionModel, func(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error),
) {
	t.Helper()
	src, err := checkpoint.Open(filepath.Join("../testdata", r.Base))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	if strings.HasPrefix(r.Base, "bert/") {
		m, _, err := models.OpenSequenceClassifier(src, r.NumLabels, 1)
		if err != nil {
			t.Fatal(err)
		}
		nn.SetDropout(m, 0)
		return m, func(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
			return classLoss(p.Tape, r.Problem, m.Logits(p, b), b)
		}
	}
	m, _, err := models.OpenCausalLM(src)
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	return m, func(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
		sum, stats := m.Loss(p, b)
		return sum, float64(stats.Targets), nil
	}
}

func (r *optionRun) load(t *testing.T, name string) *lora.Set {
	t.Helper()
	s, _, err := lora.Load(filepath.Join(r.Dir, name), r.model)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Set returns the rows for training, and nothing to evaluate.
func (r *optionRun) Set(s batch.Split) batch.Set {
	if s != batch.Train {
		return nil
	}
	return r.rows
}

// Loss is that of the model.
func (r *optionRun) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	return r.loss(p, b)
}

// Evaluate is never asked for.
func (r *optionRun) Evaluate(context.Context, batch.Split) (train.Metrics, error) {
	return train.Metrics{}, nil
}

// logits returns those of the first batch.
func (r *optionRun) logits(t *testing.T, m optionModel, s *lora.Set) []float32 {
	t.Helper()
	p := &nn.Pass{Tape: op.NewEvalTape(r.pool)}
	defer p.Tape.Close()
	if s != nil {
		p.Adapter = s
	}
	b := tasktest.BatchOf(t, r.rows, tasktest.First(r.BatchSize)...)
	return slices.Clone(op.Values(m.Logits(p, b)))
}

// merged returns the logits of the base with a set merged into it.
func (r *optionRun) merged(t *testing.T, s *lora.Set) []float32 {
	t.Helper()
	weights, err := lora.Merge(r.model, s, r.pool)
	if err != nil {
		t.Fatal(err)
	}
	m, _ := r.open(t)
	if err := lora.Assign(m, weights); err != nil {
		t.Fatal(err)
	}
	return r.logits(t, m, nil)
}

// again checks that the saved adapter is read with the same logits and says of the modules that train what PEFT's says.
func (r *optionRun) again(t *testing.T, dir string) {
	t.Helper()
	s, _, err := lora.Load(dir, r.model)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(r.logits(t, r.model, s), r.logits(t, r.model, r.set)) {
		t.Error("the saved adapter gives other logits")
	}
	read := func(dir string) map[string]any {
		text, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
		if err != nil {
			t.Fatal(err)
		}
		c := map[string]any{"ensure_weight_tying": false, "modules_to_save": nil, "trainable_token_indices": nil}
		if err := json.Unmarshal(text, &c); err != nil {
			t.Fatal(err)
		}
		if list, ok := c["modules_to_save"].([]any); ok {
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
			c["modules_to_save"] = slices.Compact(list)
		}
		return c
	}
	got, want := read(dir), read(filepath.Join(r.Dir, "adapter_final"))
	for _, key := range []string{"modules_to_save", "trainable_token_indices", "ensure_weight_tying"} {
		if !reflect.DeepEqual(got[key], want[key]) {
			t.Errorf("%s is %v, PEFT's %v", key, got[key], want[key])
		}
	}
	text, err := os.ReadFile(filepath.Join(r.Dir, "print_lora.txt"))
	if err == nil && strings.TrimSpace(r.set.Tree(r.model)) != strings.TrimSpace(string(text)) {
		t.Errorf("the tree is\n%s\nPEFT's\n%s", r.set.Tree(r.model), text)
	}
	if err != nil && strings.HasPrefix(filepath.Base(r.Dir), "tokens_") {
		t.Error(err)
	}
}

// TestOptionsEqualPEFT repeats PEFT's training with its optimisers and other options. With -v it prints the table of
// docs/parity.md.
func TestOptionsEqualPEFT(t *testing.T) {
	dirs, err := filepath.Glob("../testdata/options/*/case.json")
	if err != nil || len(dirs) < 6 {
		t.Fatalf("fixtures: %v, %v", dirs, err)
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r, expected := openOptionRun(t, dir), golden.Open(t, filepath.Join(dir, "expected.safetensors"))
			out := tasktest.OutputDir(t, filepath.Base(dir))
			from := func(name string, got []float32) float64 { return golden.MaxRel(got, expected.Float32(name)) }
			d := tasktest.Deviations{Initial: from("init.logits", r.logits(t, r.model, r.set))}
			d.Steps(r.Repeat(t, r, r.set, r.set.Params(), r.pool, out), r.Log)
			d.Adapter, d.Tensor = r.Adapter(t, out, tasktest.None)
			d.Final = from("final.logits", r.logits(t, r.model, r.set))
			d.Check(t, filepath.Base(dir), r.MaxSteps)
			r.again(t, out)
			if d := golden.MaxRel(r.merged(t, r.set), r.logits(t, r.model, r.set)); !(d <= 2e-5) {
				t.Errorf("logits of the merged model: off by %.2g of the largest", d)
			}
		})
	}
}
