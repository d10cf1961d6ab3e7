package seqcls_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seqcls"
)

// parityCase is a directory of fixtures: a training run of PEFT.
type parityCase struct{ tasktest.Case }

func parityCases(t *testing.T) []parityCase {
	t.Helper()
	dirs, err := filepath.Glob("../../testdata/bert/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	var list []parityCase
	for _, dir := range append(dirs, "../../testdata/minilm", "../../testdata/minilm_dora") {
		c := parityCase{tasktest.Case{Dir: dir, Base: filepath.Join(dir, "base")}}
		if strings.HasPrefix(filepath.Base(dir), "minilm") {
			c.Base = "../../embedded/minilm"
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
	if text, err := os.ReadFile(filepath.Join(c.Dir, "adapter_init", "labels.json")); err == nil {
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
	table, err := text.Read(filepath.Join(c.Dir, name), text.Options{})
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

// rows returns the rows that PEFT trained on.
func (c parityCase) rows(g *golden.Fixture) *tasks.TextSet {
	s := tasktest.Rows(g, true)
	if c.Problem == "single_label_classification" {
		s.Labels = tasktest.Int32s(g, "labels")
	} else {
		s.Values = g.Float32("labels")
	}
	return s
}

// parityRun is a case that is opened as the command does it. The fixture may have ids in place of texts.
type parityRun struct {
	parityCase
	*seqcls.Task
	model models.SequenceClassifier
	set   *lora.Set
	pool  *op.Pool
	rows  *tasks.TextSet // that PEFT trained on
	test  *text.File     // rows that final.logits are of; nil: the first batch
}

// Set returns the examples of a split: those of PEFT if the fixture has no texts for the task to read.
func (r *parityRun) Set(s batch.Split) batch.Set {
	if own := r.Task.Set(s); own != nil || s != batch.Train {
		return own
	}
	return r.rows
}

func (c parityCase) open(t *testing.T) *parityRun {
	t.Helper()
	src, tok := tasktest.Open(t, c.Base)
	m, _, err := models.OpenSequenceClassifier(src, c.NumLabels, 1)
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	r := &parityRun{parityCase: c, model: m, pool: op.NewPool(2)}
	t.Cleanup(r.pool.Close)
	if r.set, _, err = lora.Load(filepath.Join(c.Dir, "adapter_init"), m); err != nil {
		t.Fatal(err)
	}
	rows := c.table(t, "train.jsonl")
	r.test = c.table(t, "test.jsonl")
	r.Task, err = seqcls.NewTask(m, tok, seqcls.TaskConfig{
		Config: seqcls.Config{
			CoreConfig: tasks.CoreConfig{Pool: r.pool, Adapter: r.set}, Labels: c.labels(t, src, rows, r.test),
		},
		Smoothing: c.Smoothing,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.rows = c.rows(golden.Open(t, filepath.Join(c.Dir, "batches.safetensors")))
	if rows == nil {
		return r
	}
	if err := r.Add(t.Context(), batch.Train, rows); err != nil {
		t.Fatal(err)
	}
	got, all := r.Task.Set(batch.Train), tasktest.First(r.rows.Len())
	if got.Len() != len(all) ||
		!reflect.DeepEqual(tasktest.BatchOf(t, got, all...), tasktest.BatchOf(t, r.rows, all...)) {
		t.Fatal("ids, types or labels of train.jsonl are not those that PEFT trained on")
	}
	return r
}

// logits returns those of the first batch of training rows.
func (r *parityRun) logits(t *testing.T) []float32 {
	t.Helper()
	tape := op.NewEvalTape(r.pool)
	defer tape.Close()
	first := tasktest.BatchOf(t, r.rows, tasktest.First(r.BatchSize)...)
	return slices.Clone(op.Values(r.model.Logits(&nn.Pass{Tape: tape, Adapter: r.set}, first)))
}

// TestTrainingEqualsPEFT repeats the training runs of PEFT from texts to the saved adapter, as the command does it.
// With -v it prints the table of docs/parity.md: largest deviations relative to the value of the step, the largest
// logit and the norm of the tensor.
func TestTrainingEqualsPEFT(t *testing.T) {
	for _, c := range parityCases(t) {
		t.Run(filepath.Base(c.Dir), func(t *testing.T) {
			r, expected, dir := c.open(t), golden.Open(t, filepath.Join(c.Dir, "expected.safetensors")), t.TempDir()
			d := tasktest.Deviations{Initial: golden.MaxRel(r.logits(t), expected.Float32("init.logits"))}
			d.Steps(c.Repeat(t, r, r.set, r.set.Params(), r.pool, dir), c.Log)
			d.Adapter, d.Tensor = c.Adapter(t, dir, tasktest.None)
			var logits []float32
			if r.test == nil {
				logits = r.logits(t)
			} else {
				var err error
				if logits, _, err = r.Predict(t.Context(), r.test); err != nil {
					t.Fatal(err)
				}
			}
			d.Final = golden.MaxRel(logits, expected.Float32("final.logits"))
			d.Check(t, filepath.Base(c.Dir), c.MaxSteps)
		})
	}
}
