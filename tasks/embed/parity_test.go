package embed

import (
	"github.com/spalora/spalora/tasks"

	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// embeddingCase is a training run of PEFT on pairs of texts (reference/embedding_fixture.py).
type embeddingCase struct {
	tasktest.Case
	Loss     string  `json:"loss"`
	Pooling  string  `json:"pooling"`
	Scale    float32 `json:"scale"`
	MaxScore float64 `json:"max_score"`

	task  *Task
	set   *lora.Set
	table *text.File
}

func openEmbeddingCase(t *testing.T, dir string) *embeddingCase {
	t.Helper()
	c := &embeddingCase{}
	content, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, c); err != nil {
		t.Fatal(err)
	}
	c.Dir = dir
	src, tok := tasktest.Open(t, "../../embedded/minilm")
	m, _, err := models.OpenEncoder(src, 1)
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	if c.set, _, err = lora.Load(filepath.Join(dir, "adapter_init"), m); err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	cfg := TaskConfig{Scale: c.Scale, Config: Config{
		CoreConfig: tasks.CoreConfig{Pool: pool, Adapter: c.set}, MaxScore: c.MaxScore,
	}}
	if cfg.Pooling, err = ParsePooling(c.Pooling); err != nil {
		t.Fatal(err)
	}
	if cfg.Loss, err = ParseLoss(c.Loss); err != nil {
		t.Fatal(err)
	}
	if c.task, err = NewTask(m, tok, cfg); err != nil {
		t.Fatal(err)
	}
	if c.table, err = text.Read(filepath.Join(dir, "train.jsonl"), text.Options{OptionalLabels: true}); err != nil {
		t.Fatal(err)
	}
	if err := c.task.Add(t.Context(), batch.Train, c.table); err != nil {
		t.Fatal(err)
	}
	g, texts := golden.Open(t, filepath.Join(dir, "batches.safetensors")), c.task.Splits[batch.Train].texts
	var got []int32
	var starts []int
	for i := range texts.Len() + 1 {
		starts = append(starts, texts.Start(i))
	}
	for i := range texts.Len() {
		got = texts.IDs(got, i)
	}
	if !slices.Equal(got, tasktest.Int32s(g, "ids")) || !slices.Equal(starts, g.Ints("starts")) {
		t.Fatal("the ids of train.jsonl are not those that PEFT trained on")
	}
	return c
}

// vectors returns those of the first four pairs.
func (c *embeddingCase) vectors(t *testing.T) []float32 {
	t.Helper()
	v, _, err := c.task.Embed(t.Context(), c.table.Limit(4))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestEmbeddingEqualsPEFT repeats PEFT's training of sentence embeddings from texts to the saved adapter.
func TestEmbeddingEqualsPEFT(t *testing.T) {
	dirs, err := filepath.Glob("../../testdata/embedding/*")
	if err != nil || len(dirs) != 2 {
		t.Fatalf("fixtures %v: %v", dirs, err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			c, expected, out := openEmbeddingCase(t, dir), golden.Open(t, filepath.Join(dir, "expected.safetensors")),
				t.TempDir()
			c.task.Adapter = nil
			if d := golden.MaxRel(c.vectors(t), expected.Float32("base.vectors")); !(d <= 2e-5) {
				t.Errorf("vectors of the base: off by %.2g of the largest", d)
			}
			c.task.Adapter = c.set
			d := tasktest.Deviations{Initial: golden.MaxRel(c.vectors(t), expected.Float32("init.vectors"))}
			d.Steps(c.Repeat(t, c.task, c.set, c.set.Params(), c.task.Pool, out), c.Log)
			d.Adapter, d.Tensor = c.Case.Adapter(t, out, tasktest.None)
			d.Final = golden.MaxRel(c.vectors(t), expected.Float32("final.vectors"))
			d.Check(t, filepath.Base(dir), c.MaxSteps)
			config, _, err := lora.ReadConfig(out)
			if err != nil || config.TaskType != lora.FeatureExtraction {
				t.Errorf("the adapter is for %q: %v", config.TaskType, err)
			}
		})
	}
}

// TestEmbeddingGradient holds the gradients of the first step to PEFT's.
func TestEmbeddingGradient(t *testing.T) {
	for _, name := range []string{"cosine", "multiple_negatives"} {
		c := openEmbeddingCase(t, filepath.Join("../../testdata/embedding", name))
		expected := golden.Open(t, filepath.Join(c.Dir, "expected.safetensors"))
		tape := op.NewTape(c.task.Pool)
		defer tape.Close()
		count := float64(c.BatchSize * c.Accumulate)
		for k := range c.Accumulate {
			rows := make([]int, c.BatchSize)
			for i := range rows {
				rows[i] = k*c.BatchSize + i
			}
			sum, targets, err := c.task.Loss(&nn.Pass{Tape: tape, Adapter: c.set, Train: true},
				tasktest.BatchOf(t, c.task.Set(batch.Train), rows...))
			if err != nil || targets != float64(c.BatchSize) {
				t.Fatalf("%v targets, %v", targets, err)
			}
			if err := tape.Backward(sum); err != nil {
				t.Fatal(err)
			}
			tape.Reset()
		}
		seen := 0
		for _, p := range c.set.Params() {
			key := "grad." + p.Name
			if !expected.Has(key) {
				continue
			}
			seen++
			got := slices.Clone(op.Grad(p.Param))
			for i := range got {
				got[i] /= float32(count)
			}
			if d := golden.RelFrobenius(got, expected.Float32(key)); !(d <= 1e-4) {
				t.Errorf("%s: %s is off by %.2g", name, key, d)
			}
		}
		if seen != 8 {
			t.Errorf("%s: %d gradients compared", name, seen)
		}
	}
}
