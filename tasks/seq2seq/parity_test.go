package seq2seq_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/data/pair"
	"github.com/spalora/spalora/generate"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/generation"
	"github.com/spalora/spalora/tasks/seq2seq"
	"github.com/spalora/spalora/train"
)

const testdata = "../../testdata"

// expected is what transformers and PEFT compute (reference/seq2seq_task_fixture.py).
type expected struct {
	SourcePrefix    string    `json:"source_prefix"`
	MaxTargetLength int       `json:"max_target_length"`
	BatchSize       int       `json:"batch_size"`
	MaxSteps        int       `json:"max_steps"`
	LearningRate    float64   `json:"learning_rate"`
	Losses          []float64 `json:"losses"`
	Smoothing       float64   `json:"smoothing"`
	SmoothedLosses  []float64 `json:"smoothed_losses"`
	LossBefore      float64   `json:"loss_before"`
	LossAfter       float64   `json:"loss_after"`
	Written         struct {
		Greedy [][]int32 `json:"greedy"`
		Beams  [][]int32 `json:"beams"`
	} `json:"written"`
}

func readExpected(t *testing.T) (x expected) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testdata, "seq2seq_task", "expected.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &x); err != nil {
		t.Fatal(err)
	}
	return x
}

// bytesBase returns the directory of a small ByT5 with its tokenizer, which needs only its class.
func bytesBase(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(testdata, "seq2seq", "byt5", "base"))); err != nil {
		t.Fatal(err)
	}
	settings := []byte(`{"tokenizer_class": "ByT5Tokenizer"}`)
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), settings, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func rows(t *testing.T) *pair.File {
	t.Helper()
	f, err := pair.Read(filepath.Join(testdata, "seq2seq_task", "rows.jsonl"), pair.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// finetune trains as PEFT did and returns the losses of the steps and the adapter's directory.
func finetune(t *testing.T, x expected, dir string, change func(c *seq2seq.Finetuning)) (losses []float64, out string) {
	t.Helper()
	c := &seq2seq.Finetuning{
		Run: tasks.Run{
			Model: dir, Adapter: filepath.Join(testdata, "seq2seq", "byt5", "adapter_init"),
			OutputDir: filepath.Join(t.TempDir(), "out"),
			NoShuffle: true, BatchSize: x.BatchSize, MaxSteps: x.MaxSteps, LearningRate: &x.LearningRate, AllowOtherBase: true,
			OnStep: func(s train.StepInfo) { losses = append(losses, s.Loss) },
		},
		Texts: seq2seq.Texts{SourcePrefix: &x.SourcePrefix, MaxTargetLength: x.MaxTargetLength},
		Train: rows(t),
	}
	change(c)
	if _, err := tasks.Finetune(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	return losses, c.OutputDir
}

func near(got, want, bound float64) bool { return math.Abs(got/want-1) <= bound }

// TestTrainingEqualsPEFT trains on texts and compares the losses of the steps, of all rows, and what the model writes.
func TestTrainingEqualsPEFT(t *testing.T) {
	x, dir := readExpected(t), bytesBase(t)
	var before train.Metrics
	smoothed, _ := finetune(t, x, dir, func(c *seq2seq.Finetuning) {
		c.LabelSmoothingFactor, c.Test = x.Smoothing, rows(t)
		c.OnBefore = func(_ int, m train.Metrics) { before = m }
	})
	loss, _ := before.Get("loss")
	perplexity, _ := before.Get("perplexity")
	if !near(perplexity.Value, math.Exp(x.LossBefore), 2e-5) || near(loss.Value, x.LossBefore, 5e-4) {
		t.Errorf("with label smoothing the loss is %v and the perplexity %v; without, the loss is %v", loss.Value,
			perplexity.Value, x.LossBefore)
	}
	losses, out := finetune(t, x, dir, func(c *seq2seq.Finetuning) {
		c.Test = rows(t)
		c.OnBefore = func(_ int, m train.Metrics) { before = m }
	})
	for _, run := range []struct {
		name      string
		got, want []float64
	}{{"loss", losses, x.Losses}, {"smoothed loss", smoothed, x.SmoothedLosses}} {
		if len(run.got) != len(run.want) {
			t.Fatalf("%d steps, want %d", len(run.got), len(run.want))
		}
		for i, want := range run.want {
			if !near(run.got[i], want, 2e-5) {
				t.Errorf("step %d: %s %.8g, want %.8g", i+1, run.name, run.got[i], want)
			}
		}
	}
	if got, _ := before.Get("loss"); !near(got.Value, x.LossBefore, 2e-6) {
		t.Errorf("before training the loss is %.8g, want %.8g", got.Value, x.LossBefore)
	}
	m := open(t, dir, out, seq2seq.Settings{})
	s, counts, err := m.Score(t.Context(), rows(t))
	if err != nil {
		t.Fatal(err)
	}
	if !near(s.Loss, x.LossAfter, 2e-5) {
		t.Errorf("after training the loss is %.8g, want %.8g", s.Loss, x.LossAfter)
	}
	if counts.Rows != 10 || counts.CutTargets != 1 || counts.CutSources != 0 || counts.Endless != 0 {
		t.Errorf("the counts are %+v; want 10 rows, of which the target of one is cut", counts)
	}
	for name, run := range map[string]struct {
		g    generation.Settings
		want [][]int32
	}{
		"greedy": {generation.Settings{NoRepeatNgramSize: new(1)}, x.Written.Greedy},
		"beams":  {generation.Settings{NoRepeatNgramSize: new(2), NumBeams: 4, LengthPenalty: new(0.6)}, x.Written.Beams},
	} {
		run.g.MaxNewTokens = 12
		m := open(t, dir, out, seq2seq.Settings{Generation: run.g})
		var sources []string
		for row := range rows(t).Values() {
			sources = append(sources, row.Source)
		}
		_, err := m.Generate(t.Context(), sources, m.Decoding, func(i int, list []generate.Sequence) error {
			if len(list) != 1 || !slices.Equal(list[0].IDs, run.want[i]) {
				t.Errorf("%s, row %d: the tokens are %v, want %v", name, i+1, list, run.want[i])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// open opens an adapter on a base model.
func open(t *testing.T, dir, adapter string, s seq2seq.Settings) *seq2seq.Opened {
	t.Helper()
	b, err := base.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	m, err := seq2seq.Open(tasks.Opening{
		Opening: base.Opening{Base: b, Adapter: base.Adapter{Dir: adapter}, Pool: pool}, Settings: &s,
	}, seq2seq.Type)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// TestLogitsEqualLoss computes the loss of each row from its logits, and compares their mean with that of the batches.
func TestLogitsEqualLoss(t *testing.T) {
	m := open(t, bytesBase(t), "", seq2seq.Settings{})
	f := pair.New("rows", pair.Pair{Source: "a b", Targets: []string{"c"}}, pair.Pair{Source: "no target"},
		pair.Pair{Source: "xyz", Targets: []string{"a longer one", "another"}})
	sum, n := 0.0, 0
	var numbers []int
	_, err := m.Logits(t.Context(), f, func(i int, labels []int32, logits []float32) error {
		numbers = append(numbers, i)
		k := len(logits) / len(labels)
		for at, id := range labels {
			row := logits[at*k : (at+1)*k]
			sum += tasks.LogSumExp(row) - float64(row[id])
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(numbers, []int{0, 2}) || n != 2+13 {
		t.Errorf("logits of %d labels in the rows %v; want those of the rows with targets, 0 and 2", n, numbers)
	}
	s, _, err := m.Score(t.Context(), f.WithTargets())
	if err != nil {
		t.Fatal(err)
	}
	if want := sum / float64(n); !near(s.Loss, want, 1e-6) {
		t.Errorf("the loss is %v, of the logits %v", s.Loss, want)
	}
}

// TestBatchesAreIndependent compares what is written for sources together with what is written for each alone.
func TestBatchesAreIndependent(t *testing.T) {
	m := open(t, bytesBase(t), "", seq2seq.Settings{Generation: generation.Settings{NumBeams: 2, MaxNewTokens: 8}})
	sources := []string{"one", "a much longer source than the first", "", "two words"}
	var all [][]int32
	write := func(list []string) (out [][]int32) {
		_, err := m.Generate(t.Context(), list, m.Decoding, func(_ int, s []generate.Sequence) error {
			out = append(out, s[0].IDs)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, s := range sources {
		all = append(all, write([]string{s})...)
	}
	for i, ids := range write(sources) {
		if !slices.Equal(ids, all[i]) {
			t.Errorf("source %d: %v in a batch, %v alone", i, ids, all[i])
		}
	}
}

// TestEvaluationGenerates scores what the model writes.
func TestEvaluationGenerates(t *testing.T) {
	x := readExpected(t)
	var evaluated []train.Metrics
	_, _ = finetune(t, x, bytesBase(t), func(c *seq2seq.Finetuning) {
		c.Eval, c.MaxSteps, c.PredictWithGenerate, c.GenerationMaxLength = rows(t), 2, true, 4
		c.OnEval = func(e train.Evaluation) { evaluated = append(evaluated, e.Metrics) }
	})
	if len(evaluated) == 0 {
		t.Fatal("nothing was evaluated")
	}
	m := evaluated[0]
	if m.Main != seq2seq.MainRouge || len(m.Values) != 11 {
		t.Errorf("the metrics are %+v; want 8 measures, rougeL first, then loss, perplexity and accuracy", m)
	}
}
