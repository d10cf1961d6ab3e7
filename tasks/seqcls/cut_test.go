package seqcls_test

import (
	"errors"
	"slices"
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

// TestCutLeft checks that texts lose their beginning if the tokenizer's settings say so.
func TestCutLeft(t *testing.T) {
	src, right := tasktest.Open(t, "../../testdata/bert/query_value/base")
	left, err := tokenize.Load(func(name string) ([]byte, error) {
		if name == "tokenizer_config.json" {
			return []byte(`{"tokenizer_class": "BertTokenizer", "truncation_side": "left"}`), nil
		}
		return src.File(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := models.OpenSequenceClassifier(src, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	labels, err := data.NewLabels(data.SingleLabel, []string{"no", "yes"})
	if err != nil {
		t.Fatal(err)
	}
	scores := func(tok *tokenize.Tokenizer, text string) []float32 {
		t.Helper()
		p, err := seqcls.NewPredictor(m, tok, seqcls.Config{CoreConfig: tasks.CoreConfig{MaxLength: 8}, Labels: labels})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		list, err := p.Classify(t.Context(), []tokenize.Input{{Text: text}})
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Scores
	}
	const begin, end = "a b c d e f", "u v w x y z"
	have, want, other := scores(left, begin+" "+end), scores(right, end), scores(right, begin)
	if !slices.Equal(have, want) || slices.Equal(want, other) {
		t.Errorf("scores %v; of the end %v, of the beginning %v", have, want, other)
	}
}

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
