package spalora_test

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/spalora/spalora"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/tasks/qa"
)

// TestAnswer trains on two questions about a context and asks them, by one goroutine and by several.
func TestAnswer(t *testing.T) {
	const context = "we will send money . 😀 the film is very good . they lost it again and again , always and never ."
	base := filepath.Join("testdata", "bert", "query_value", "base")
	var rows []question.Question
	for _, x := range []struct{ question, answer string }{
		{"is the film good ?", "good"}, {"will they pay ?", "send money"},
	} {
		a := question.Answer{Text: x.answer, Start: len([]rune(context[:strings.Index(context, x.answer)]))}
		rows = append(rows, question.Question{
			ID: x.answer, Question: x.question, Context: context, Labelled: true, Answers: []question.Answer{a},
		})
	}
	out := filepath.Join(t.TempDir(), "out")
	_, err := spalora.Finetune(t.Context(), &spalora.QuestionAnswering{
		Run: spalora.Run{
			Model: base, OutputDir: out, MaxSteps: 30, BatchSize: 2, LearningRate: new(0.01), Dropout: new(float32(0)),
		},
		Train: question.New("rows", rows...),
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := spalora.Open(out, spalora.WithBase(base))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	first, err := m.Answer(t.Context(), "is the film good ?", context)
	if err != nil || first.Text != "good" || first.Start != 40 || first.End != 44 || len(first.NBest) != 20 {
		t.Fatalf("%+v, %v", first, err)
	}
	all, err := m.AnswerAll(t.Context(), []spalora.Question{{Question: "will they pay ?", Context: context},
		{Question: "is the film good ?", Context: context}})
	if err != nil || len(all) != 2 || all[0].Text != "send money" || all[1].Text != first.Text {
		t.Errorf("%+v, %v", all, err)
	}
	var calls sync.WaitGroup
	for range 4 {
		calls.Go(func() {
			if a, err := m.Answer(t.Context(), "is the film good ?", context); err != nil || !reflect.DeepEqual(a, first) {
				t.Errorf("%+v, %v, want %+v", a, err, first)
			}
		})
	}
	calls.Wait()
	if _, err := m.Classify(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "call Answer or AnswerAll") {
		t.Errorf("error %v", err)
	}
	open := func(a qa.Answering) (spalora.Answer, error) {
		m, err := spalora.Open(out, spalora.WithBase(base), spalora.WithSettings(&qa.Settings{Answering: a}))
		if err != nil {
			return spalora.Answer{}, err
		}
		defer m.Close()
		return m.Answer(t.Context(), "is the film good ?", context)
	}
	none, err := open(qa.Answering{Version2WithNegative: new(true), NullScoreDiffThreshold: new(-100.0), NBestSize: 3})
	if err != nil || !none.Null() || none.Text != "" || none.End != -1 || none.NullDiff == 0 {
		t.Errorf("%+v, %v", none, err)
	}
	for _, bad := range []qa.Answering{
		{NullScoreDiffThreshold: new(1.0)}, {DocStride: new(-1)}, {MaxLength: new(41)}, {MaxLength: new(-1)},
		{Version2WithNegative: new(false), NullScoreDiffThreshold: new(1.0)},
	} {
		if _, err := open(bad); !errors.Is(err, spalora.ErrSettings) {
			t.Errorf("%+v: error %v", bad, err)
		}
	}
}
