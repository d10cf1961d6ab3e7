package metrics

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data/question"
)

// squadFixture is what reference/squad_fixture.py writes.
type squadFixture struct {
	Cases []struct {
		Version   int
		Questions []struct {
			Answers    []string
			Prediction string
			NoAnswer   *float64 `json:"no_answer"`
		}
		Expected map[string]float64
	}
	Normalised []struct {
		Text  string
		Words []string
	}
}

func loadSQuAD(t *testing.T) squadFixture {
	t.Helper()
	file, err := os.Open("testdata/squad.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var f squadFixture
	if err := json.NewDecoder(z).Decode(&f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 1000 || len(f.Normalised) < 500 {
		t.Fatalf("the fixture has %d cases and %d texts", len(f.Cases), len(f.Normalised))
	}
	return f
}

func TestSQuADEqualsOfficialScript(t *testing.T) {
	for n, c := range loadSQuAD(t).Cases {
		predictions := map[string]string{}
		var noAnswer map[string]float64
		var questions []question.Question
		for i, q := range c.Questions {
			id := fmt.Sprint(i)
			predictions[id] = q.Prediction
			if q.NoAnswer != nil {
				if noAnswer == nil {
					noAnswer = map[string]float64{}
				}
				noAnswer[id] = *q.NoAnswer
			}
			e := question.Question{ID: id, Labelled: true, Impossible: len(q.Answers) == 0}
			for _, a := range q.Answers {
				e.Answers = append(e.Answers, question.Answer{Text: a})
			}
			questions = append(questions, e)
		}
		s, err := SQuAD(predictions, slices.Values(questions), noAnswer)
		if err != nil {
			t.Fatalf("case %d: %v", n, err)
		}
		got := map[string]float64{"exact": s.Exact, "f1": s.F1, "total": float64(s.Total)}
		if c.Version == 2 && s.HasAnsTotal > 0 {
			got["HasAns_exact"], got["HasAns_f1"], got["HasAns_total"] = s.HasAnsExact, s.HasAnsF1, float64(s.HasAnsTotal)
		}
		if s.NoAnsTotal > 0 {
			got["NoAns_exact"], got["NoAns_f1"], got["NoAns_total"] = s.NoAnsExact, s.NoAnsF1, float64(s.NoAnsTotal)
		}
		if s.Thresholds {
			got["best_exact"], got["best_exact_thresh"] = s.BestExact, s.BestExactThresh
			got["best_f1"], got["best_f1_thresh"] = s.BestF1, s.BestF1Thresh
		}
		if len(got) != len(c.Expected) || s.Missing != 0 {
			t.Errorf("case %d: %v, want %v", n, got, c.Expected)
		}
		for name, want := range c.Expected {
			if !(math.Abs(got[name]-want) <= 1e-9) {
				t.Errorf("case %d: %s = %v, want %v (%+v)", n, name, got[name], want, c.Questions)
			}
		}
	}
}

func TestSQuADWordsEqualPython(t *testing.T) {
	for _, c := range loadSQuAD(t).Normalised {
		if got := squadWords(c.Text); !slices.Equal(got, c.Words) {
			t.Errorf("%+q\n got %+q\nwant %+q", c.Text, got, c.Words)
		}
	}
}

func TestSQuADMissingAndUnlabelled(t *testing.T) {
	questions := []question.Question{
		{ID: "1", Labelled: true, Answers: []question.Answer{{Text: "x"}}},
		{ID: "2", Labelled: true, Answers: []question.Answer{{Text: "y"}}},
		{ID: "3"},
	}
	s, err := SQuAD(map[string]string{"1": "x", "3": "z"}, slices.Values(questions), nil)
	if err != nil || s.Total != 2 || s.Missing != 1 || s.Exact != 50 || s.F1 != 50 {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := SQuAD(nil, slices.Values(questions[2:]), nil); !errors.Is(err, ErrNoTargets) {
		t.Errorf("got %v, want ErrNoTargets", err)
	}
	for want, noAnswer := range map[string]map[string]float64{
		`question "2" has no answer is missing`: {"1": 0},
		`question "1" has no answer is NaN`:     {"1": math.NaN(), "2": 0},
		`question "2" has no answer is +Inf`:    {"1": 0, "2": math.Inf(1)},
	} {
		if _, err := SQuAD(nil, slices.Values(questions), noAnswer); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func FuzzSQuADWords(f *testing.F) {
	for _, s := range []string{"The cat, an 'a'.", "ΑΣ’Β İ", "a\x1fthe\u0301", "\xff the"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words := squadWords(s)
		if again := squadWords(strings.Join(words, " ")); len(again) > len(words) {
			t.Fatalf("%q: %q becomes %q", s, words, again)
		}
		for _, w := range words {
			if w == "" || strings.ContainsAny(w, " .,\n") || w == "the" {
				t.Fatalf("%q: word %q", s, w)
			}
		}
	})
}
