package vit_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
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
	"github.com/spalora/spalora/train"
)

// The fixtures of these tests are written by reference/vit_fixtures.py.
const fixtures = "../../testdata/vit"

// images is a fixture as a set of examples and a task to train on them.
type images struct {
	c       tasktest.Case
	g       *golden.Fixture // batches
	net     models.ImageClassifier
	patches []float32
	starts  []int
	grids   [][2]int
	labels  []int
	targets []float32 // of several labels
}

func open(t *testing.T, name string) *images {
	t.Helper()
	dir := filepath.Join(fixtures, name)
	s := &images{c: tasktest.Case{Dir: dir}, g: golden.Open(t, filepath.Join(dir, "batches.safetensors"))}
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err == nil {
		err = json.Unmarshal(text, &s.c)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.patches, s.starts = s.g.Float32("patches"), s.g.Ints("starts")
	grids := s.g.Ints("grids")
	for i := 0; i < len(grids); i += 2 {
		s.grids = append(s.grids, [2]int{grids[i], grids[i+1]})
	}
	if s.c.Problem == "multi_label_classification" {
		s.targets = s.g.Float32("labels")
	} else {
		s.labels = s.g.Ints("labels")
	}
	if s.net, _, err = models.OpenImageClassifier(source(t, dir), s.c.NumLabels, 1); err != nil {
		t.Fatal(err)
	}
	return s
}

func source(t *testing.T, dir string) *checkpoint.Source {
	t.Helper()
	src, err := checkpoint.Open(filepath.Join(dir, "base"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func cases(t *testing.T, f func(t *testing.T, name string)) {
	list, err := filepath.Glob(filepath.Join(fixtures, "*", "case.json"))
	if err != nil || len(list) < 4 {
		t.Fatalf("%d cases, %v", len(list), err)
	}
	for _, path := range list {
		name := filepath.Base(filepath.Dir(path))
		t.Run(name, func(t *testing.T) { f(t, name) })
	}
}

// Len, Tokens and Batch implement batch.Set.
func (s *images) Len() int         { return len(s.grids) }
func (s *images) Tokens(i int) int { return s.starts[i+1] - s.starts[i] }

func (s *images) Batch(_ context.Context, examples []int, _ op.Key) (*batch.Batch, error) {
	b := &batch.Batch{Seqs: op.Seqs{Starts: []int{0}, Index: examples}}
	width := len(s.patches) / s.starts[s.Len()]
	k := s.c.NumLabels
	for _, i := range examples {
		b.Features = append(b.Features, s.patches[s.starts[i]*width:s.starts[i+1]*width]...)
		b.Grids = append(b.Grids, s.grids[i])
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.Features)/width)
		if s.targets != nil {
			b.Values = append(b.Values, s.targets[i*k:(i+1)*k]...)
		} else {
			b.Labels = append(b.Labels, int32(s.labels[i]))
		}
	}
	return b, nil
}

// Set, Loss and Evaluate implement train.Task.
func (s *images) Set(split batch.Split) batch.Set {
	if split == batch.Train {
		return s
	}
	return nil
}

func (s *images) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	logits := s.net.Logits(p, b)
	if s.targets != nil {
		return op.BCEWithLogits(p.Tape, logits, b.Values), float64(len(b.Values)), nil
	}
	sum, n := op.CrossEntropy(p.Tape, logits, b.Labels, op.CrossEntropyConfig{Smoothing: s.c.Smoothing})
	return sum, n, nil
}

func (*images) Evaluate(context.Context, batch.Split) (train.Metrics, error) {
	return train.Metrics{}, nil
}

// logits returns those of m for the images that the fixture has logits of, all in one batch.
func (s *images) logits(t *testing.T, m models.ImageClassifier, set nn.AdapterSet) []float32 {
	t.Helper()
	examples := make([]int, 4*s.c.BatchSize)
	for i := range examples {
		examples[i] = i
	}
	b, err := s.Batch(t.Context(), examples, op.Key{})
	if err != nil {
		t.Fatal(err)
	}
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	return slices.Clone(op.Values(m.Logits(&nn.Pass{Tape: tape, Adapter: set}, b)))
}

// near compares with a tensor of the fixture, relative to its largest value.
func near(t *testing.T, g *golden.Fixture, what string, got []float32, bar float64) {
	t.Helper()
	if d := golden.MaxRel(got, g.Float32(what)); !(d <= bar) {
		t.Errorf("%s: off by %.2g of the largest, want at most %.2g", what, d, bar)
	}
}

// TestEqualsPEFT repeats PEFT's training runs: the printed model, logits before and after, losses, norms, the adapter
// and the merged model.
func TestEqualsPEFT(t *testing.T) {
	cases(t, func(t *testing.T, name string) {
		s := open(t, name)
		want := golden.Open(t, filepath.Join(s.c.Dir, "expected.safetensors"))
		printed := func(file, got string) {
			text, err := os.ReadFile(filepath.Join(s.c.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			if got+"\n" != string(text) {
				t.Errorf("%s: got\n%s\nwant\n%s", file, got, text)
			}
		}
		printed("print_base.txt", s.net.String())
		if want.Has("base.logits") {
			near(t, want, "base.logits", s.logits(t, s.net, nil), 2e-5)
		}
		set, _, err := lora.Load(filepath.Join(s.c.Dir, "adapter_init"), s.net)
		if err != nil {
			t.Fatal(err)
		}
		printed("print_lora.txt", set.Tree(s.net))
		var d tasktest.Deviations
		d.Initial = golden.MaxRel(s.logits(t, s.net, set), want.Float32("init.logits"))
		dir := tasktest.OutputDir(t, "vit_"+name)
		pool := op.NewPool(2)
		defer pool.Close()
		steps := s.c.Repeat(t, s, set, set.Params(), pool, dir)
		d.Steps(steps, s.c.Log)
		d.Adapter, d.Tensor = s.c.Adapter(t, dir, tasktest.None)
		d.Final = golden.MaxRel(s.logits(t, s.net, set), want.Float32("final.logits"))
		d.Check(t, name, len(steps))

		again, _, err := lora.Load(dir, s.net)
		if err != nil {
			t.Fatal(err)
		}
		merged, err := lora.Merge(s.net, again, pool)
		if err != nil {
			t.Fatal(err)
		}
		whole := open(t, name).net
		if err := lora.Assign(whole, merged); err != nil {
			t.Fatal(err)
		}
		near(t, want, "merged.logits", s.logits(t, whole, nil), 1e-4)
	})
}

// TestGradients compares the gradients of the first step, those of all adapter tensors.
func TestGradients(t *testing.T) {
	cases(t, func(t *testing.T, name string) {
		s := open(t, name)
		set, _, err := lora.Load(filepath.Join(s.c.Dir, "adapter_init"), s.net)
		if err != nil {
			t.Fatal(err)
		}
		want := golden.Open(t, filepath.Join(s.c.Dir, "expected.safetensors"))
		tape := op.NewTape(nil)
		defer tape.Close()
		count := s.c.BatchSize * s.c.Accumulate
		for first := 0; first < count; first += s.c.BatchSize {
			var examples []int
			for i := range s.c.BatchSize {
				examples = append(examples, first+i)
			}
			b, err := s.Batch(t.Context(), examples, op.Key{})
			if err != nil {
				t.Fatal(err)
			}
			sum, targets, err := s.Loss(&nn.Pass{Tape: tape, Adapter: set, Train: true}, b)
			if err != nil {
				t.Fatal(err)
			}
			mean := op.Scale(tape, sum, 1/float32(targets)/float32(s.c.Accumulate))
			if err := tape.Backward(mean); err != nil {
				t.Fatal(err)
			}
			tape.Reset()
		}
		for _, p := range set.Params() {
			if d := golden.RelFrobenius(op.Grad(p.Param), want.Float32("grad."+p.Name)); !(d <= 1e-4) {
				t.Errorf("%s: off by %.2g", p.Name, d)
			}
		}
	})
}

// TestTeacher: a checkpoint of DeiT with two heads predicts with their mean, and is fine-tuned with one head.
func TestTeacher(t *testing.T) {
	s := open(t, "deit")
	m, report, err := models.OpenImagePredictor(source(t, s.c.Dir), s.c.NumLabels, 1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(s.c.Dir, "print_teacher.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if m.String()+"\n" != string(text) || len(report.Fresh)+len(report.Skipped) > 0 {
		t.Errorf("%v\n%s", report, m)
	}
	want := golden.Open(t, filepath.Join(s.c.Dir, "expected.safetensors"))
	near(t, want, "teacher.logits", s.logits(t, m, nil), 2e-5)
	_, report, err = models.OpenImageClassifier(source(t, s.c.Dir), s.c.NumLabels, 1)
	if err != nil || !slices.Equal(report.Fresh, []string{"classifier.weight", "classifier.bias"}) {
		t.Errorf("%v, %v", report.Fresh, err)
	}
	if _, _, err = models.OpenImagePredictor(source(t, s.c.Dir), 7, 1); err == nil ||
		!strings.Contains(err.Error(), "cls_classifier.weight is [5 16], want [7 16]") {
		t.Errorf("another number of labels: %v", err)
	}
}

// TestEncoder: hidden states and the pooler's rows of a checkpoint without a head.
func TestEncoder(t *testing.T) {
	s := open(t, "vit_sizes")
	m, report, err := models.OpenImageEncoder(source(t, s.c.Dir), 1)
	if err != nil || len(report.Fresh)+len(report.Skipped) > 0 {
		t.Fatal(err, report)
	}
	b, err := s.Batch(t.Context(), []int{0, 1, 2}, op.Key{})
	if err != nil {
		t.Fatal(err)
	}
	want := golden.Open(t, filepath.Join(s.c.Dir, "expected.safetensors"))
	tape := op.NewEvalTape(nil)
	defer tape.Close()
	hidden := m.Forward(&nn.Pass{Tape: tape}, b)
	if rows, cols := op.Size(hidden); rows != m.Rows(b.Seqs).Rows() || cols != m.Width() {
		t.Errorf("hidden states are %d×%d", rows, cols)
	}
	near(t, want, "hidden", op.Values(hidden), 2e-5)
	near(t, want, "pooled", op.Values(m.Pooled(&nn.Pass{Tape: tape}, b)), 2e-5)
}
