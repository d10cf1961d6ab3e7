package data

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParseProblem(t *testing.T) {
	for _, p := range []Problem{SingleLabel, MultiLabel, Regression} {
		if got, err := ParseProblem(p.String()); err != nil || got != p {
			t.Errorf("%v comes back as %v, %v", p, got, err)
		}
	}
	for in, want := range map[string]Problem{"single-label": SingleLabel, "Multi_Label": MultiLabel,
		"multi-label-classification": MultiLabel, "REGRESSION": Regression} {
		if got, err := ParseProblem(in); err != nil || got != want {
			t.Errorf("ParseProblem(%q) = %v, %v", in, got, err)
		}
	}
	if _, err := ParseProblem("ranking"); !errors.Is(err, ErrOption) {
		t.Errorf("ranking: %v", err)
	}
}

func TestLabelsFile(t *testing.T) {
	for _, l := range []struct {
		p     Problem
		names []string
		want  string
	}{
		{SingleLabel, []string{"ham", "<spam> & \"é\""},
			"{\n  \"problem_type\": \"single_label_classification\",\n  \"labels\": [\n    \"ham\",\n    \"<spam> & " +
				"\\\"é\\\"\"\n  ]\n}\n"},
		{MultiLabel, []string{"a"}, "{\n  \"problem_type\": \"multi_label_classification\",\n  \"labels\": [\n    \"a\"\n " +
			" ]\n}\n"},
		{Regression, nil, "{\n  \"problem_type\": \"regression\",\n  \"labels\": []\n}\n"},
	} {
		labels, err := NewLabels(l.p, l.names)
		if err != nil {
			t.Fatal(err)
		}
		content := labels.Encode()
		if string(content) != l.want {
			t.Errorf("got %s, want %s", content, l.want)
		}
		back, err := DecodeLabels(content, "labels.json")
		if err != nil || back.Problem != l.p || !slices.Equal(back.Names, l.names) {
			t.Errorf("comes back as %+v, %v", back, err)
		}
	}
	for content, want := range map[string]string{
		"":                 "not a labels.json file",
		"[]":               "the row is a list",
		"{":                "unexpected EOF",
		`{"labels":["a"]}`: `it needs "problem_type" and "labels"`,
		`{"problem_type":"regression","labels":null}`:                       `it needs "problem_type" and "labels"`,
		`{"problem_type":"regression","labels":["a"]}`:                      "regression has no classes",
		`{"problem_type":"regression","labels":[],"more":1}`:                `unknown key "more"`,
		`{"problem_type":"regression","labels":[],"labels":[]}`:             "there twice",
		`{"problem_type":"regression","labels":[]} x`:                       "follows the object",
		`{"problem_type":"single_label_classification","labels":[]}`:        "needs labels",
		`{"problem_type":"single_label_classification","labels":[1]}`:       "not a labels.json file",
		`{"problem_type":"single_label_classification","labels":["a","a"]}`: "given twice",
		`{"problem_type":"ranking","labels":["a"]}`:                         `unknown problem_type: "ranking"`,
		`{"Problem_Type":"regression","labels":[]}`:                         `unknown key "Problem_Type"`,
	} {
		_, err := DecodeLabels([]byte(content), "d/labels.json")
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "data: d/labels.json: ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", content, err, want)
		}
	}
}

// FuzzLabelsFile: what is accepted must come back from its own encoding.
func FuzzLabelsFile(f *testing.F) {
	f.Add([]byte(`{"problem_type":"single_label_classification","labels":["a","b"]}`))
	f.Add([]byte(`{"problem_type":"regression","labels":[]}`))
	f.Add([]byte(`{"problem_type":"multi_label_classification","labels":["\u00e9",null]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		l, err := DecodeLabels(content, "labels.json")
		if err != nil {
			return
		}
		back, err := DecodeLabels(l.Encode(), "labels.json")
		if err != nil || back.Problem != l.Problem || !slices.Equal(back.Names, l.Names) {
			t.Fatalf("%+v comes back as %+v, %v", l, back, err)
		}
	})
}
