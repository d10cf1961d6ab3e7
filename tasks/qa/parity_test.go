package tasks

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
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

const questionDir = "../testdata/question" // reference/minilm_qa_fixtures.py

// TestQAEqualsPEFT repeats PEFT's training of MiniLM on windows of PolicyQA from questions to the saved adapter, and the answers after it. The
// head's bias adds the same to every token, so it has no gradient but rounding: it is not compared, and logits are compared without their mean.
func TestQAEqualsPEFT(t *testing.T) {
	c := struct {
		parityCase
		MaxLength int      `json:"max_length"`
		DocStride int      `json:"doc_stride"`
		Symmetric []string `json:"symmetric"`
		Answers   []string `json:"answers"`
	}{parityCase: parityCase{dir: questionDir}}
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
	set, _, err := lora.Load(filepath.Join(questionDir, "adapter_init"), m)
	if err != nil {
		t.Fatal(err)
	}
	pool := op.NewPool(2)
	t.Cleanup(pool.Close)
	task, err := NewQuestionAnswering(m, tok, QuestionAnsweringConfig{MaxLength: c.MaxLength, DocStride: c.DocStride, Pool: pool, Adapter: set})
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
	want, got := golden.Open(t, filepath.Join(questionDir, "batches.safetensors")), task.sets[batch.Train]
	var labels []int
	for _, s := range got.spans {
		labels = append(labels, int(s[0]), int(s[1]))
	}
	if !slices.Equal(ints(got.ids), want.Ints("ids")) || !slices.Equal(ints(got.types), want.Ints("types")) || !slices.Equal(got.starts, want.Ints("starts")) ||
		!slices.Equal(labels, want.Ints("labels")) {
		t.Fatal("ids, types, windows or labels of train.jsonl are not those that PEFT trained on")
	}
	logits := func(s *questionSet) []float32 {
		v, err := task.forward(t.Context(), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	first := 2 * got.starts[c.BatchSize]
	d := deviations{initial: golden.MaxRel(logits(got)[:first], expected.Float32("init.logits"))}
	out := outputDir(t, "question")
	d.loss, d.norm, d.rate = deviationsOf(c.repeat(t, task, set, set.Params(), pool, out), c.Log)
	d.adapter, d.tensor = c.adapter(t, out, func(name string) bool {
		return slices.ContainsFunc(c.Symmetric, func(end string) bool { return strings.HasSuffix(name, end) })
	})
	test := read("test.jsonl")
	s, err := task.encode(t.Context(), test)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := logits(s), slices.Clone(expected.Float32("final.logits"))
	answers, err := task.answers(test, s, ours)
	if err != nil {
		t.Fatal(err)
	}
	center(ours, 2)
	center(theirs, 2)
	d.final = golden.MaxRel(ours, theirs)
	d.check(t, "question", c.MaxSteps)
	for i, a := range answers {
		if a.Text != c.Answers[i] {
			t.Errorf("question %d: %q, PEFT answers %q", i, a.Text, c.Answers[i])
		}
	}
}
