package seqcls_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/internal/tasktest"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tasks/seqcls"
	"github.com/spalora/spalora/tokenize"
)

// The error about a row that cannot be cut to the limit names its line, not the text's number.
func TestRowThatCannotBeCut(t *testing.T) {
	rows := text.New("t.csv",
		text.Example{Text: "a", Pair: "b", HasPair: true, Line: 2}, text.Example{Text: "b", Line: 3},
		text.Example{Text: strings.Repeat("a ", 30), Pair: "b", HasPair: true, Line: 7})
	labels, err := data.NewLabels(data.Regression, nil)
	if err != nil {
		t.Fatal(err)
	}
	src, tok := tasktest.Open(t, "../../testdata/bert/query_value/base")
	m, _, err := models.OpenSequenceClassifier(src, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	p, err := seqcls.NewPredictor(m, tok, seqcls.Config{
		CoreConfig: tasks.CoreConfig{MaxLength: 12}, Labels: labels, Truncation: tokenize.OnlySecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, _, err = p.Predict(t.Context(), rows)
	var e *data.Error
	if !errors.As(err, &e) || e.File != "t.csv" || e.Line != 7 ||
		!strings.Contains(err.Error(), "only_second cannot shorten texts of") {
		t.Errorf("got %v, want an error of t.csv:7", err)
	}
}
