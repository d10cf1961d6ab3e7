package multiplechoice_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/multiplechoice"
	"github.com/spalora/spalora/tokenize"
)

// smallPredictor returns a predictor on a small model of random weights that cuts questions to 12 tokens.
func smallPredictor(t *testing.T, truncation tokenize.Strategy) *multiplechoice.Predictor {
	t.Helper()
	src, tok := tasktest.Open(t, "../../testdata/bert/query_value/base")
	m, _, err := models.OpenMultipleChoice(src, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := multiplechoice.NewPredictor(m, tok, multiplechoice.Config{
		CoreConfig: tasks.CoreConfig{MaxLength: 12}, Truncation: truncation,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// The error about a question that cannot be cut to the limit names its line, not the choice's number.
func TestRowThatCannotBeCut(t *testing.T) {
	questions := choice.New("t.csv",
		choice.Question{Context: "a", Endings: []string{"a", "b", "c"}, Line: 2},
		choice.Question{Context: strings.Repeat("a ", 30), Endings: []string{"a", "b"}, Line: 7})
	_, _, err := smallPredictor(t, tokenize.OnlySecond).Predict(t.Context(), questions)
	var e *data.Error
	if !errors.As(err, &e) || e.File != "t.csv" || e.Line != 7 ||
		!strings.Contains(err.Error(), "only_second cannot shorten texts of") {
		t.Errorf("got %v, want an error of t.csv:7", err)
	}
}

// A question counts once, whichever of its choices are cut.
func TestCutQuestions(t *testing.T) {
	long := strings.Repeat("a ", 30)
	questions := choice.New("t.csv",
		choice.Question{Context: "a", Endings: []string{long, "b", long}, Line: 1},
		choice.Question{Context: "a", Endings: []string{"a", "b"}, Line: 2},
		choice.Question{Context: "a", Endings: []string{"a", long}, Line: 3},
		choice.Question{Context: "a", Endings: []string{long, "b"}, Line: 4})
	if _, n, err := smallPredictor(t, tokenize.LongestFirst).Predict(t.Context(), questions); err != nil || n != 3 {
		t.Errorf("%d questions are cut, want 3; %v", n, err)
	}
}
