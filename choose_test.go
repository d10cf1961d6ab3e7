package spalora_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/tasks/multiplechoice"
)

// TestChoose compares the choices of the front door with the logits of PEFT, one question at a time and all at once.
func TestChoose(t *testing.T) {
	dir := filepath.Join("testdata", "choice") // reference/choice_fixtures.py
	limit := 28
	m, err := spalora.Open(filepath.Join(dir, "adapter_final"), spalora.WithBaseFiles("MiniLM", embedded.MiniLM()),
		spalora.WithSettings(&multiplechoice.Settings{MaxLength: &limit}))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Task() != "multiple-choice" {
		t.Errorf("task %s", m.Task())
	}
	f, err := choice.Read(filepath.Join(dir, "test.jsonl"), choice.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var questions []spalora.ChoiceQuestion
	for q := range f.Values() {
		questions = append(questions, spalora.ChoiceQuestion{Context: q.Context, Question: q.Question, Choices: q.Endings})
	}
	list, err := m.ChooseAll(t.Context(), questions)
	if err != nil {
		t.Fatal(err)
	}
	var logits []float32
	for i, c := range list {
		logits = append(logits, c.Logits...)
		if c.Text != questions[i].Choices[c.Index] || c.Score != c.Scores[c.Index] || c.Score != slices.Max(c.Scores) {
			t.Errorf("question %d: %+v", i, c)
		}
	}
	want := golden.Open(t, filepath.Join(dir, "expected.safetensors")).Float32("final.logits")
	if d := golden.MaxRel(logits, want); !(d <= 2e-5) {
		t.Errorf("logits: off by %.2g of the largest", d)
	}
	one, err := m.Choose(t.Context(), questions[0])
	if err != nil || !slices.Equal(one[0].Logits, list[0].Logits) {
		t.Errorf("one question: %+v, %v; among others %+v", one, err, list[0])
	}
	for want, q := range map[string]spalora.ChoiceQuestion{
		"question 1 has 1 choices": {Context: "a", Choices: []string{"b"}},
		"has a blank choice":       {Question: "a", Choices: []string{"b", " "}},
		"has no text":              {Choices: []string{"b", "c"}},
	} {
		if _, err := m.Choose(t.Context(), q); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if _, err := m.Classify(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "call Choose") {
		t.Errorf("a call of another task: %v", err)
	}
}
