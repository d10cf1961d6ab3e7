package causallm

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
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
)

// causalRun is a training run of PEFT on a language model, to be repeated.
type causalRun struct {
	tasktest.Case
	*Task
	Observed int                `json:"observed_rows"`
	Exact    []tasktest.StepLog `json:"log_float64"` // of the real model: the same run in float64
	Counts   []struct {
		Targets, Correct int
	} `json:"log"`

	adapted *lora.Set
	counts  []op.TargetStats // of each micro-batch
}

// openCausalRun opens the fixture in dir with the base model in another directory.
func openCausalRun(t *testing.T, dir, base string) *causalRun {
	t.Helper()
	r := &causalRun{Case: tasktest.Case{Dir: dir, Base: base}}
	text, err := os.ReadFile(filepath.Join(dir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []any{&r.Case, r} { // the outer log hides the inner one
		if err := json.Unmarshal(text, part); err != nil {
			t.Fatal(err)
		}
	}
	src, err := checkpoint.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	m, _, err := models.OpenCausalLM(src)
	if err != nil {
		t.Fatal(err)
	}
	nn.SetDropout(m, 0)
	if r.adapted, _, err = lora.Load(filepath.Join(dir, "adapter_init"), m); err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	rows := nextIDs(golden.Open(t, filepath.Join(dir, "batches.safetensors")))
	p := &Predictor{Core: tasks.NewCore(m, nil, tasks.CoreConfig{MaxLength: 1, Pool: pool, Adapter: r.adapted})}
	r.Task = &Task{Predictor: p, Splits: tasks.Splits[*set]{batch.Train: rows}}
	return r
}

// nextIDs returns rows of ids. In the fixture a label belongs to the position of its own token, in the set to that of
// the token before.
func nextIDs(g *golden.Fixture) *set {
	s := &set{TextSet: tasks.NewTextSet(false)}
	starts, ids, labels := g.Ints("starts"), g.Ints("ids"), g.Ints("labels")
	for i := range len(starts) - 1 {
		var row []int32
		for n := starts[i]; n < starts[i+1]; n++ {
			row = append(row, int32(ids[n]))
			if n > starts[i] {
				s.TokenLabels.Append(int32(labels[n]))
			}
		}
		s.Append(row, nil)
		s.TokenLabels.Append(batch.Ignore)
	}
	return s
}

// Loss is the task's; it keeps the counts, which a task does not report.
func (r *causalRun) Loss(p *nn.Pass, b *batch.Batch) (mat.Tensor, float64, error) {
	sum, stats := r.Net.Loss(p, b)
	r.counts = append(r.counts, stats)
	return sum, float64(stats.Targets), nil
}

// logits returns those of every token of the observed rows.
func (r *causalRun) logits(t *testing.T) []float32 {
	t.Helper()
	return r.logitsWith(t, r.adapted)
}

// logitsWith returns them with an adapter, or nil.
func (r *causalRun) logitsWith(t *testing.T, a nn.AdapterSet) []float32 {
	t.Helper()
	tape := op.NewEvalTape(r.Pool)
	defer tape.Close()
	rows := make([]int, r.Observed)
	for i := range rows {
		rows[i] = i
	}
	b := tasktest.BatchOf(t, r.Splits[batch.Train], rows...)
	return slices.Clone(op.Values(r.Net.Logits(&nn.Pass{Tape: tape, Adapter: a}, b)))
}

// train repeats PEFT's run and compares the counts of targets and of right predictions.
func (r *causalRun) train(t *testing.T, dir string) []tasktest.StepLog {
	t.Helper()
	steps := r.Repeat(t, r, r.adapted, r.adapted.Params(), r.Pool, dir)
	if len(r.Counts) != r.MaxSteps || len(r.counts) != r.MaxSteps*r.Accumulate {
		t.Fatalf("counts of %d steps and %d micro-batches", len(r.Counts), len(r.counts))
	}
	for step, want := range r.Counts {
		var got op.TargetStats
		for _, c := range r.counts[step*r.Accumulate : (step+1)*r.Accumulate] {
			got.Targets, got.Correct = got.Targets+c.Targets, got.Correct+c.Correct
		}
		if got.Targets != want.Targets || got.Correct != want.Correct {
			t.Errorf("step %d: %d of %d targets right, PEFT %d of %d", step+1, got.Correct, got.Targets, want.Correct,
				want.Targets)
		}
	}
	return steps
}

// TestCausalTrainingEqualsPEFT repeats PEFT's training of small language models. With -v it prints the table of
// docs/parity.md.
func TestCausalTrainingEqualsPEFT(t *testing.T) {
	dirs, err := filepath.Glob("../../testdata/causal/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			r := openCausalRun(t, dir, filepath.Join(dir, "base"))
			expected := golden.Open(t, filepath.Join(dir, "expected.safetensors"))
			out := tasktest.OutputDir(t, filepath.Base(dir))
			d := tasktest.Deviations{Initial: golden.MaxRel(r.logits(t), expected.Float32("init.logits"))}
			d.Steps(r.train(t, out), r.Log)
			d.Adapter, d.Tensor = r.Adapter(t, out, tasktest.None)
			d.Final = golden.MaxRel(r.logits(t), expected.Float32("final.logits"))
			d.Check(t, filepath.Base(dir), r.MaxSteps)
			r.writeLogits(t, filepath.Join(out, "logits.jsonl"))
		})
	}
}

// writeLogits writes the observed rows' ids and logits as predict causal-lm --logits does.
func (r *causalRun) writeLogits(t *testing.T, file string) {
	t.Helper()
	var lines []byte
	logits, v := r.logits(t), r.Net.Vocabulary()
	for i := range r.Observed {
		var row struct {
			IDs    []int32     `json:"ids"`
			Logits [][]float32 `json:"logits"`
		}
		s := r.Splits[batch.Train]
		row.IDs = s.IDs(nil, i)
		for n := s.Start(i); n < s.Start(i+1); n++ {
			row.Logits = append(row.Logits, logits[n*v:(n+1)*v])
		}
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, text...), '\n')
	}
	if err := os.WriteFile(file, lines, 0o644); err != nil {
		t.Fatal(err)
	}
}
