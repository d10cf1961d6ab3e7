package multiplechoice

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
	"github.com/spalora/spalora/train"
)

const choiceDir = "../../testdata/choice" // reference/choice_fixtures.py

// choiceCase is the recorded run.
type choiceCase struct {
	tasktest.Case
	MaxLength int      `json:"max_length"`
	Accuracy  float64  `json:"test_accuracy"`
	Symmetric []string `json:"symmetric"`
}

func readChoiceCase(t *testing.T) choiceCase {
	t.Helper()
	c := choiceCase{Case: tasktest.Case{Dir: choiceDir}}
	text, err := os.ReadFile(filepath.Join(choiceDir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// newChoice returns a task on MiniLM with the adapter that the recorded run began with, the adapter and the model.
func newChoice(t *testing.T, cfg Config, dropout bool) (*Task, *lora.Set, models.MultipleChoice) {
	t.Helper()
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	m, report, err := models.OpenMultipleChoice(src, 1)
	if err != nil || !slices.Equal(report.Fresh, []string{"classifier.weight", "classifier.bias"}) {
		t.Fatalf("%v, %v", report.Fresh, err)
	}
	if !dropout {
		nn.SetDropout(m, 0)
	}
	set, _, err := lora.Load(filepath.Join(choiceDir, "adapter_init"), m)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Pool, cfg.Adapter = op.NewPool(2), set
	t.Cleanup(cfg.Pool.Close)
	task, err := NewTask(m, tok, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return task, set, m
}

func choices(t *testing.T, name string) *choice.File {
	t.Helper()
	c, err := choice.Read(filepath.Join(choiceDir, name), choice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// perQuestion takes the mean over the choices of each question away from logits: what the softmax does not see.
func perQuestion(c *choice.File, logits []float32) []float32 {
	out := slices.Clone(logits)
	at := 0
	for e := range c.Values() {
		n := len(e.Endings)
		tasktest.Center(out[at:at+n], 1)
		at += n
	}
	return out
}

func choiceLogits(list []Choice) (all []float32) {
	for _, p := range list {
		all = append(all, p.Logits...)
	}
	return all
}

// TestMultipleChoiceEqualsPEFT repeats PEFT's training on questions with two to four choices from texts to the saved
// adapter. The head's bias adds the same to every choice, so its gradient is rounding alone and is not compared.
func TestMultipleChoiceEqualsPEFT(t *testing.T) {
	c, expected := readChoiceCase(t), golden.Open(t, filepath.Join(choiceDir, "expected.safetensors"))
	task, set, m := newChoice(t, Config{CoreConfig: tasks.CoreConfig{MaxLength: c.MaxLength}}, false)
	rows, test := choices(t, "train.jsonl"), choices(t, "test.jsonl")
	if err := task.Add(t.Context(), batch.Train, rows); err != nil {
		t.Fatal(err)
	}
	want, all := golden.Open(t, filepath.Join(choiceDir, "batches.safetensors")), make([]int, rows.Len())
	for q := range all {
		all[q] = q
	}
	got := tasktest.BatchOf(t, task.Set(batch.Train), all...)
	if !slices.Equal(ints(got.IDs), want.Ints("ids")) || !slices.Equal(ints(got.Types), want.Ints("types")) ||
		!slices.Equal(got.Seqs.Starts, want.Ints("starts")) || !slices.Equal(got.Groups, want.Ints("groups")) ||
		!slices.Equal(ints(got.Labels), want.Ints("labels")) {
		t.Fatal("ids, types, choices or labels of train.jsonl are not those that PEFT trained on")
	}
	first, _, err := task.Predict(t.Context(), rows.Limit(c.BatchSize))
	if err != nil {
		t.Fatal(err)
	}
	out := tasktest.OutputDir(t, "choice")
	d := tasktest.Deviations{Initial: golden.MaxRel(choiceLogits(first), expected.Float32("init.logits"))}
	d.Steps(c.Repeat(t, task, set, set.Params(), task.Pool, out), c.Log)
	d.Adapter, d.Tensor = c.Adapter(t, out, func(name string) bool {
		return slices.ContainsFunc(c.Symmetric, func(end string) bool { return strings.HasSuffix(name, end) })
	})
	list, cut, err := task.Predict(t.Context(), test)
	if err != nil || cut == 0 {
		t.Fatalf("%d questions cut, %v", cut, err)
	}
	d.Final = golden.MaxRel(perQuestion(test, choiceLogits(list)), perQuestion(test, expected.Float32("final.logits")))
	d.Check(t, "choice", c.MaxSteps)
	score, err := task.Score(test, list)
	if err != nil || score.Main != "accuracy" || score.Values[0].Value != c.Accuracy {
		t.Errorf("score %+v, %v; PEFT's accuracy %v", score, err, c.Accuracy)
	}
	weights, err := lora.Merge(m, set, task.Pool)
	if err != nil {
		t.Fatal(err)
	}
	if err := lora.Assign(m, weights); err != nil {
		t.Fatal(err)
	}
	task.Adapter = nil
	if list, _, err = task.Predict(t.Context(), test); err != nil {
		t.Fatal(err)
	}
	merged := golden.MaxRel(perQuestion(test, choiceLogits(list)), perQuestion(test, expected.Float32("merged.logits")))
	if !(merged <= 1e-4) {
		t.Errorf("logits of the merged model: off by %.2g of the largest", merged)
	}
}

func ints(list []int32) []int {
	out := make([]int, len(list))
	for i, x := range list {
		out[i] = int(x)
	}
	return out
}

// TestChoiceBatches checks that all choices of a question are in one batch, numbered in the set, whatever the order of
// the questions.
func TestChoiceBatches(t *testing.T) {
	task, _, _ := newChoice(t, Config{}, false)
	c := choice.New("f", []choice.Question{
		{Context: "a dog", Endings: []string{"runs.", "reads a long book."}, Label: 1},
		{Context: "a cat", Question: "it", Endings: []string{"sleeps.", "eats.", "flies."}, Label: -1},
		{Question: "who?", Endings: []string{"he", "she"}, Label: 0},
	}...)
	if err := task.Add(t.Context(), batch.Train, c); err != nil {
		t.Fatal(err)
	}
	set := task.Set(batch.Train)
	b := tasktest.BatchOf(t, set, 1, 0)
	if !slices.Equal(b.Seqs.Index, []int{2, 3, 4, 0, 1}) || !slices.Equal(b.Groups, []int{0, 3, 5}) ||
		!slices.Equal(b.Labels, []int32{batch.Ignore, 1}) {
		t.Errorf("rows %v, groups %v, labels %v", b.Seqs.Index, b.Groups, b.Labels)
	}
	n := set.Tokens(1) + set.Tokens(0)
	if set.Len() != 3 || n != len(b.IDs) || n != len(b.Types) || b.Seqs.Starts[5] != n {
		t.Errorf("%d tokens of %d: %+v", n, set.Len(), b)
	}
	pair, err := task.Tok.EncodePair("a cat", "it eats.", tokenize.Options{})
	lo, hi := b.Seqs.Starts[1], b.Seqs.Starts[2]
	if err != nil || !slices.Equal(b.IDs[lo:hi], pair.IDs) || !slices.Equal(b.Types[lo:hi], pair.Types) {
		t.Errorf("choice 1 of question 1 is %v, want %v (%v)", b.IDs[lo:hi], pair.IDs, err)
	}
	if task.Set(batch.Eval) != nil {
		t.Error("a split without examples is not a nil interface")
	}
	m, err := task.Evaluate(t.Context(), batch.Train)
	if err != nil || len(m.Values) != 2 || m.Values[0].Name != "accuracy" ||
		!slices.Contains([]float64{0, 0.5, 1}, m.Values[0].Value) {
		t.Errorf("%+v, %v", m, err)
	}
}

// oneType is a model that ignores token types.
type oneType struct{ models.MultipleChoice }

func (oneType) TokenTypes() int { return 1 }

func TestChoicesWithoutTypes(t *testing.T) {
	task, _, m := newChoice(t, Config{}, false)
	task.Net = oneType{m}
	if err := task.Add(t.Context(), batch.Train, choices(t, "test.jsonl")); err != nil {
		t.Fatal(err)
	}
	if b := tasktest.BatchOf(t, task.Set(batch.Train), 0); b.Types != nil {
		t.Errorf("types %v", b.Types)
	}
}

// TestChoiceAccumulation checks that four questions in one batch, two by two and one by one are the same step, with
// dropout too, since its stream is that of the choice's number.
func TestChoiceAccumulation(t *testing.T) {
	var first *train.StepInfo
	for _, x := range []struct{ batch, accumulate int }{{4, 1}, {2, 2}, {1, 4}} {
		task, set, _ := newChoice(t, Config{CoreConfig: tasks.CoreConfig{MaxLength: 24}}, true)
		set.SetDropout(0.1)
		if err := task.Add(t.Context(), batch.Train, choices(t, "train.jsonl")); err != nil {
			t.Fatal(err)
		}
		cfg := train.Defaults()
		cfg.BatchSize, cfg.GradientAccumulationSteps, cfg.MaxSteps, cfg.NoShuffle = x.batch, x.accumulate, 1, true
		cfg.Pool, cfg.Adapter = task.Pool, set
		var got train.StepInfo
		cfg.OnStep = func(s train.StepInfo) { got = s }
		if _, err := train.Run(t.Context(), task, set.Params(), cfg); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = &got
		}
		if d, n := math.Abs(got.Loss/first.Loss-1), math.Abs(got.GradNorm/first.GradNorm-1); !(d < 1e-6 && n < 1e-5) {
			t.Errorf("%d × %d: loss %v, norm %v; want %v, %v",
				x.batch, x.accumulate, got.Loss, got.GradNorm, first.Loss, first.GradNorm)
		}
	}
}

// TestChoicePredictions checks that the scores of a question depend neither on the others nor on the size of batches.
func TestChoicePredictions(t *testing.T) {
	test := choices(t, "test.jsonl")
	large, _, _ := newChoice(t, Config{}, false)
	small, _, _ := newChoice(t, Config{CoreConfig: tasks.CoreConfig{EvalTokens: 1}}, false)
	a, _, err := large.Predict(t.Context(), test)
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := small.Predict(t.Context(), test)
	if err != nil {
		t.Fatal(err)
	}
	for q := range a {
		if !slices.Equal(a[q].Logits, b[q].Logits) || len(a[q].Logits) != len(test.At(q).Endings) {
			t.Errorf("question %d: %v and %v", q, a[q].Logits, b[q].Logits)
		}
		sum := 0.0
		for i, p := range a[q].Scores {
			sum += float64(p)
			if p > a[q].Scores[a[q].Index] || p == a[q].Scores[a[q].Index] && i < a[q].Index {
				t.Errorf("question %d: choice %d of %v", q, a[q].Index, a[q].Scores)
			}
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Errorf("question %d: probabilities sum to %v", q, sum)
		}
	}
}

func TestChoiceErrors(t *testing.T) {
	task, _, m := newChoice(t, Config{}, false)
	_, err := NewTask(m, task.Tok, Config{CoreConfig: tasks.CoreConfig{MaxLength: 513}})
	if err == nil || !strings.Contains(err.Error(), "`max_length` is 513; want 1 to 512, the positions of the model") {
		t.Errorf("a length without positions: %v", err)
	}
	var bad *data.Error
	wrong := choice.New("f", []choice.Question{{Context: "c", Endings: []string{"a", "b"}, Label: 2, Line: 7}}...)
	if err := task.Add(t.Context(), batch.Train, wrong); !errors.As(err, &bad) || bad.Line != 7 {
		t.Errorf("label outside the choices: %v", err)
	}
	if _, err := task.Evaluate(t.Context(), batch.Eval); err == nil || !strings.Contains(err.Error(), "no eval examples") {
		t.Errorf("evaluation without examples: %v", err)
	}
	none := choice.New("f", []choice.Question{{Context: "c", Endings: []string{"a", "b"}, Label: -1}}...)
	if err := task.Add(t.Context(), batch.Eval, none); err != nil {
		t.Fatal(err)
	}
	_, err = task.Evaluate(t.Context(), batch.Eval)
	if err == nil || !strings.Contains(err.Error(), "no question has an answer") {
		t.Errorf("evaluation without labels: %v", err)
	}
	list, _, err := task.Predict(t.Context(), none)
	if err != nil {
		t.Fatal(err)
	}
	if score, err := task.Score(none, list); err != nil || len(score.Values) != 0 {
		t.Errorf("score without labels: %+v, %v", score, err)
	}
	if _, err := task.Score(none, nil); err == nil {
		t.Error("predictions of other questions have a score")
	}
	if _, err := task.Score(none, []Choice{{Logits: []float32{1}}}); err == nil {
		t.Error("a prediction with other choices has a score")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := task.Predict(ctx, none); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
