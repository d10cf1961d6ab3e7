package qa

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/checkpoint"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

const questionDir = "../../testdata/question" // reference/minilm_qa_fixtures.py

// TestQAEqualsPEFT repeats PEFT's training of MiniLM on windows of PolicyQA from questions to the saved adapter, and
// the answers after it. The head's bias adds the same to every token, so it has no gradient but rounding: it is not
// compared, and logits are compared without their mean.
func TestQAEqualsPEFT(t *testing.T) {
	c := struct {
		tasktest.Case
		MaxLength int      `json:"max_length"`
		DocStride int      `json:"doc_stride"`
		Symmetric []string `json:"symmetric"`
		Answers   []string `json:"answers"`
	}{Case: tasktest.Case{Dir: questionDir}}
	text, err := os.ReadFile(filepath.Join(questionDir, "case.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	expected := golden.Open(t, filepath.Join(questionDir, "expected.safetensors"))
	src, err := checkpoint.FromBytes(embedded.MiniLM())
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenize.Load(src.File)
	if err != nil {
		t.Fatal(err)
	}
	m, report, err := models.OpenQuestionAnswerer(src, 1)
	if err != nil || !slices.Equal(report.Fresh, []string{"qa_outputs.weight", "qa_outputs.bias"}) {
		t.Fatalf("%v, %v", report.Fresh, err)
	}
	nn.SetDropout(m, 0)
	adapter, _, err := lora.Load(filepath.Join(questionDir, "adapter_init"), m)
	if err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	task, err := NewTask(m, tok, Config{
		CoreConfig: tasks.CoreConfig{MaxLength: c.MaxLength, Pool: pool, Adapter: adapter}, DocStride: &c.DocStride,
	})
	if err != nil {
		t.Fatal(err)
	}
	read := func(name string) *question.File {
		q, err := question.Read(filepath.Join(questionDir, name), question.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	if err := task.Add(t.Context(), batch.Train, read("train.jsonl")); err != nil {
		t.Fatal(err)
	}
	want, got := golden.Open(t, filepath.Join(questionDir, "batches.safetensors")), task.Splits[batch.Train]
	windows := make([]int, got.Len())
	for i := range windows {
		windows[i] = i
	}
	b := tasktest.BatchOf(t, got, windows...)
	if !slices.Equal(ints(b.IDs), want.Ints("ids")) || !slices.Equal(ints(b.Types), want.Ints("types")) ||
		!slices.Equal(b.Seqs.Starts, want.Ints("starts")) || !slices.Equal(ints(b.Labels), want.Ints("labels")) {
		t.Fatal("ids, types, windows or labels of train.jsonl are not those that PEFT trained on")
	}
	logits := func(s *set) []float32 {
		v, err := task.logits(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := 2 * got.Start(c.BatchSize)
	d := tasktest.Deviations{Initial: golden.MaxRel(logits(got)[:first], expected.Float32("init.logits"))}
	out := tasktest.OutputDir(t, "question")
	d.Steps(c.Repeat(t, task, adapter, adapter.Params(), pool, out), c.Log)
	d.Adapter, d.Tensor = c.Adapter(t, out, func(name string) bool {
		return slices.ContainsFunc(c.Symmetric, func(end string) bool { return strings.HasSuffix(name, end) })
	})
	test := read("test.jsonl")
	s, err := task.encode(t.Context(), test, true)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := logits(s), slices.Clone(expected.Float32("final.logits"))
	answers, err := task.answers(test, s, ours)
	if err != nil {
		t.Fatal(err)
	}
	tasktest.Center(ours, 2)
	tasktest.Center(theirs, 2)
	d.Final = golden.MaxRel(ours, theirs)
	d.Check(t, "question", c.MaxSteps)
	for i, a := range answers {
		if a.Text != c.Answers[i] {
			t.Errorf("question %d: %q, PEFT answers %q", i, a.Text, c.Answers[i])
		}
	}
}

func ints(list []int32) []int {
	out := make([]int, len(list))
	for i, v := range list {
		out[i] = int(v)
	}
	return out
}
