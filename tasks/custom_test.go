package tasks_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

// twoHeads is a custom model and its task: a class and a value for each text, on an encoder of any architecture.
type twoHeads struct {
	spago.Module
	Encoder models.Encoder `hf:"bert"`
	Class   *nn.Linear     `hf:"heads.class"`
	Value   *nn.Linear     `hf:"heads.value"`

	set  batch.Set `hf:"-"`
	pool *op.Pool  `hf:"-"`
}

func (m *twoHeads) classes(p *nn.Pass, b *batch.Batch) (mat.Tensor, error) {
	return m.Class.Forward(p, op.MeanRows(p.Tape, m.Encoder.Forward(p, b), b.Seqs.Starts)), nil
}

func (m *twoHeads) Set(s batch.Split) batch.Set {
	if s == batch.Train {
		return m.set
	}
	return nil
}

func (m *twoHeads) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	x := op.MeanRows(p.Tape, m.Encoder.Forward(p, b), b.Seqs.Starts)
	a, n := op.CrossEntropy(p.Tape, m.Class.Forward(p, x), b.Labels, op.CrossEntropyConfig{})
	return op.Add(p.Tape, a, op.MSE(p.Tape, m.Value.Forward(p, x), b.Values)), n, nil
}

func (m *twoHeads) Evaluate(context.Context, batch.Split) (train.Metrics, error) {
	return train.Metrics{}, nil
}

// TestCustomTask trains two heads at once on an encoder, saves them with the adapter and loads both into another copy.
func TestCustomTask(t *testing.T) {
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(2)
	defer pool.Close()
	inputs := []tokenize.Input{{Text: "a good film"}, {Text: "a dull film"},
		{Text: "we liked it", Pair: "very much", HasPair: true}, {Text: "nobody liked it"}}
	build := func(seed uint64) *twoHeads {
		encoder, _, err := models.OpenEncoder(src, 1)
		if err != nil {
			t.Fatal(err)
		}
		nn.SetDropout(encoder, 0)
		m := &twoHeads{Encoder: encoder, Class: nn.NewLinear(encoder.Width(), 2, true),
			Value: nn.NewLinear(encoder.Width(), 1, true), pool: pool}
		if err := nn.InitMissing(m, 0.02, seed); err != nil {
			t.Fatal(err)
		}
		m.set, err = tasks.EncodeTexts(t.Context(), encoder, tok, inputs,
			tasks.Targets{Labels: []int32{1, 0, 1, 0}, Values: []float32{2, 1, 3, 0}}, pool)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := build(1)
	set, err := lora.Attach(m, lora.Config{R: 2, Alpha: 4, TargetModules: lora.Names("query"),
		ModulesToSave: []string{"class", "value"}}, 3)
	if err != nil {
		t.Fatal(err)
	}
	cfg := train.Defaults()
	cfg.BatchSize, cfg.MaxSteps, cfg.LearningRate, cfg.Pool, cfg.Adapter = 4, 60, 1e-2, pool, set
	var losses []float64
	cfg.OnStep = func(s train.StepInfo) { losses = append(losses, s.Loss) }
	if _, err := train.Run(t.Context(), m, set.Params(), cfg); err != nil {
		t.Fatal(err)
	}
	if first, last := losses[0], losses[len(losses)-1]; !(last < first/2) {
		t.Errorf("losses %v", losses)
	}
	dir := t.TempDir()
	if err := set.Save(dir); err != nil {
		t.Fatal(err)
	}
	var config struct {
		TaskType *string  `json:"task_type"`
		Saves    []string `json:"modules_to_save"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &config); err != nil || config.TaskType != nil ||
		!slices.Equal(config.Saves, []string{"class", "value"}) {
		t.Errorf("%+v, %v", config, err)
	}
	tensors, err := lora.Tensors(dir)
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string) bool {
		return slices.ContainsFunc(tensors, func(x lora.TensorInfo) bool { return x.Path == name })
	}
	if !has("heads.class.weight") || !has("heads.value.bias") || !strings.Contains(set.Tree(m), "lora_A") {
		t.Errorf("tensors %+v", tensors)
	}
	again := build(9)
	loaded, _, err := lora.Load(dir, again)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken layer")
	err = tasks.Infer(t.Context(), m.set, pool, set, func(*nn.Pass, *batch.Batch) (mat.Tensor, error) {
		return nil, broken
	}, func(*batch.Batch, mat.Tensor) { t.Error("a batch without a result was used") })
	if !errors.Is(err, broken) {
		t.Errorf("the error of a forward became %v", err)
	}
	logits := func(m *twoHeads, a nn.AdapterSet) (all []float32) {
		all = make([]float32, 2*m.set.Len())
		err := tasks.Infer(t.Context(), m.set, pool, a, m.classes, func(b *batch.Batch, y mat.Tensor) {
			for i, row := range b.Seqs.Index {
				copy(all[2*row:], op.Values(y)[2*i:2*i+2])
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	want := logits(m, set)
	if got := logits(again, loaded); !slices.Equal(got, want) {
		t.Errorf("loaded: %v, want %v", got, want)
	}
	if slices.Equal(logits(m, nil), want) || !slices.Equal(tasks.ArgMax(want, 2), []int32{1, 0, 1, 0}) {
		t.Errorf("logits %v", want)
	}
}

func TestTextsErrors(t *testing.T) {
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := models.OpenEncoder(src, 1)
	if err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(1)
	defer pool.Close()
	two := []tokenize.Input{{Text: "a"}, {Text: "b"}}
	for want, targets := range map[string]tasks.Targets{"1 labels for 2 texts": {Labels: []int32{0}},
		"3 values for 2 texts": {Values: []float32{1, 2, 3}}} {
		if _, err := tasks.EncodeTexts(t.Context(), m, tok, two, targets, pool); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	set, err := tasks.EncodeTexts(t.Context(), m, tok, two, tasks.Targets{Values: []float32{1, 2, 3, 4}}, pool)
	if err != nil {
		t.Fatal(err)
	}
	if b := tasktest.BatchOf(t, set, 1); !slices.Equal(b.Values, []float32{3, 4}) || b.Labels != nil || len(b.IDs) != 3 {
		t.Errorf("%+v", b)
	}
}
