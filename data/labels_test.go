package data

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
)

// rows makes a table of rows with these labels, at lines 1, 2 …
func rows(file string, labels ...Label) *Table {
	t := &Table{Name: file, Format: formatOf(file), Columns: Columns{Text: "text", Label: "label"}}
	for i, l := range labels {
		t.Examples = append(t.Examples, Example{Text: fmt.Sprint("text ", i), Label: l, Line: i + 1})
	}
	return t
}

// names makes a table of rows with these class names.
func names(file string, labels ...string) *Table {
	t := rows(file)
	for i, l := range labels {
		t.Examples = append(t.Examples, Example{Text: fmt.Sprint("text ", i), Label: name(l), Line: i + 1})
	}
	return t
}

func TestGuessProblem(t *testing.T) {
	none := Label{}
	tests := []struct {
		name  string
		table *Table
		want  Problem
	}{
		{"names", names("f.csv", "a", "b"), SingleLabel},
		{"integers in CSV", names("f.csv", "0", "1", "5"), SingleLabel},
		{"whole numbers in CSV", names("f.csv", "0.0", "1.0"), SingleLabel},
		{"fractions in CSV", names("f.csv", "5", "3.8"), Regression},
		{"fractions in TSV", names("f.tsv", "-1e-1", " .5 ", "+2."), Regression},
		{"fractions and NaN", names("f.csv", "nan", "3.8"), Regression},
		{"only NaN", names("f.csv", "nan", "NaN"), SingleLabel},
		{"a fraction and a name", names("f.csv", "0.5", "b"), SingleLabel},
		{"numbers only Go would read", names("f.csv", "0x1p-1", "1_0.5"), SingleLabel},
		{"infinity is a name", names("f.csv", "0.5", "inf"), SingleLabel},
		{"fractions as JSON strings", names("f.jsonl", "0.5", "1.5"), SingleLabel},
		{"indices", rows("f.jsonl", index(0), index(3)), SingleLabel},
		{"a float", rows("f.jsonl", index(0), num(1)), Regression},
		{"lists", rows("f.jsonl", list(), list(name("a"))), MultiLabel},
		{"rows without a label", rows("f.jsonl", none, num(1), none), Regression},
		{"indices and no labels", rows("f.jsonl", none, index(1)), SingleLabel},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, why, err := GuessProblem(tt.table)
			if err != nil || got != tt.want || why == "" {
				t.Errorf("got %v (%s), %v; want %v", got, why, err, tt.want)
			}
		})
	}
	for _, tt := range []struct {
		name  string
		table *Table
		want  string
	}{
		{"no label", rows("f.jsonl", none), "no row has a label"},
		{"name after index", rows("f.jsonl", index(1), name("b")), `f.jsonl:2: the label "b" is text, but line 1 has a number (1)`},
		{"float after name", rows("f.jsonl", name("b"), num(1.5)), `f.jsonl:2: the label 1.5 is a number, but line 1 has text ("b")`},
		{"list after name", rows("f.jsonl", name("b"), list(index(1), num(0.5))), `f.jsonl:2: the label [1, 0.5] is a list`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := GuessProblem(tt.table); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseProblem(t *testing.T) {
	for _, p := range []Problem{SingleLabel, MultiLabel, Regression} {
		if got, err := ParseProblem(p.String()); err != nil || got != p {
			t.Errorf("%v comes back as %v, %v", p, got, err)
		}
	}
	for in, want := range map[string]Problem{"single-label": SingleLabel, "Multi_Label": MultiLabel, "multi-label-classification": MultiLabel, "REGRESSION": Regression} {
		if got, err := ParseProblem(in); err != nil || got != want {
			t.Errorf("ParseProblem(%q) = %v, %v", in, got, err)
		}
	}
	if _, err := ParseProblem("ranking"); !errors.Is(err, ErrOption) {
		t.Errorf("ranking: %v", err)
	}
}

func TestFindLabels(t *testing.T) {
	abc := names("train.csv", "b", "a", "c", "a")
	generic := []string{"LABEL_0", "LABEL_1", "LABEL_2"}
	tests := []struct {
		name   string
		p      Problem
		src    LabelSource
		tables []*Table
		want   []string
	}{
		{"sorted", SingleLabel, LabelSource{}, []*Table{abc}, []string{"a", "b", "c"}},
		{"sorted by code point", SingleLabel, LabelSource{}, []*Table{names("f.csv", "é", "z", "10", "9", "\U0001F600", "\uFF5E", "Y")},
			[]string{"10", "9", "Y", "z", "é", "\uFF5E", "\U0001F600"}},
		{"no eval, no test", SingleLabel, LabelSource{}, []*Table{abc, nil, nil}, []string{"a", "b", "c"}},
		{"eval has fewer", SingleLabel, LabelSource{}, []*Table{abc, names("eval.csv", "c")}, []string{"a", "b", "c"}},
		{"given", SingleLabel, LabelSource{Fixed: []string{"c", "b", "a", "d"}}, []*Table{abc}, []string{"c", "b", "a", "d"}},
		{"given before config", SingleLabel, LabelSource{Fixed: []string{"c", "b", "a"}, Config: []string{"x", "y"}}, []*Table{abc}, []string{"c", "b", "a"}},
		{"adapter before config", SingleLabel, LabelSource{Saved: []string{"c", "a", "b"}, Config: []string{"a", "b", "c"}}, []*Table{abc}, []string{"c", "a", "b"}},
		{"config", SingleLabel, LabelSource{Config: []string{"c", "a", "b"}}, []*Table{abc}, []string{"c", "a", "b"}},
		{"generic config", SingleLabel, LabelSource{Config: generic}, []*Table{abc}, []string{"a", "b", "c"}},
		{"generic config, generic data", SingleLabel, LabelSource{Config: generic}, []*Table{names("f.csv", "LABEL_1", "LABEL_0")}, generic},
		{"generic config, indices", SingleLabel, LabelSource{Config: generic}, []*Table{rows("f.jsonl", index(0), index(1))}, generic},
		{"generic config, more indices", SingleLabel, LabelSource{Config: generic[:2]}, []*Table{rows("f.jsonl", index(0), index(2))}, generic},
		{"indices", SingleLabel, LabelSource{}, []*Table{rows("f.jsonl", index(0), index(2))}, generic},
		{"config, indices", SingleLabel, LabelSource{Config: []string{"no", "yes"}}, []*Table{rows("f.jsonl", index(1), index(0))}, []string{"no", "yes"}},
		{"case variants given", SingleLabel, LabelSource{Fixed: []string{"us", "US"}}, []*Table{names("f.csv", "us", "US")}, []string{"us", "US"}},
		{"multi-label names", MultiLabel, LabelSource{}, []*Table{rows("f.jsonl", list(name("b"), name("a")), list(), list(name("a")))}, []string{"a", "b"}},
		{"multi-label indices", MultiLabel, LabelSource{}, []*Table{rows("f.jsonl", list(index(2)), list(index(0), index(1)))}, generic},
		{"multi-label bits", MultiLabel, LabelSource{}, []*Table{rows("f.jsonl", list(index(0), index(1), index(1)), list(index(0), index(0), index(0)))}, generic},
		{"multi-label float bits", MultiLabel, LabelSource{}, []*Table{rows("f.jsonl", list(num(0), num(1), num(1)))}, generic},
		{"multi-label bits, given", MultiLabel, LabelSource{Fixed: []string{"x", "y"}}, []*Table{rows("f.jsonl", list(index(0), index(1)))}, []string{"x", "y"}},
		{"regression", Regression, LabelSource{Config: []string{"LABEL_0"}}, []*Table{names("f.csv", "1", "2.5")}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := FindLabels(tt.p, tt.src, tt.tables...)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(l.Names, tt.want) || l.Problem != tt.p {
				t.Errorf("got %q, want %q", l.Names, tt.want)
			}
		})
	}
}

func TestFindLabelsErrors(t *testing.T) {
	ab := names("train.csv", "a", "b")
	given := func(s ...string) LabelSource { return LabelSource{Fixed: s} }
	tests := []struct {
		name   string
		p      Problem
		src    LabelSource
		tables []*Table
		want   string
	}{
		{"only in eval", SingleLabel, LabelSource{}, []*Table{ab, names("eval.csv", "a", "c", "c")},
			`data: eval.csv:2: the label "c" is none of the 2 classes found in train.csv: "a", "b"; --labels gives others (and 1 row more like this)`},
		{"only in test", SingleLabel, LabelSource{}, []*Table{ab, nil, names("test.csv", "c")}, `data: test.csv:1: the label "c"`},
		{"not in config", SingleLabel, LabelSource{Config: []string{"no", "yes"}}, []*Table{ab}, `the label "a" is none of the 2 classes of config.json`},
		{"not in the adapter", SingleLabel, LabelSource{Saved: []string{"a"}}, []*Table{ab}, `data: train.csv:2: the label "b" is none of the 1 classes of the adapter`},
		{"not given", SingleLabel, given("a", "x"), []*Table{ab}, `the label "b" is none of the 2 classes given: "a", "x"`},
		{"another case", SingleLabel, given("A", "B"), []*Table{ab}, `(did you mean "A"?)`},
		{"spaces", SingleLabel, given("a", "b"), []*Table{names("f.csv", "a", " b")}, `f.csv:2: the label " b" is none of the 2 classes given (did you mean "b"?)`},
		{"float for an integer", SingleLabel, given("0", "1"), []*Table{names("f.csv", "0", "1.0")}, `f.csv:2: the label "1.0" is none of the 2 classes given (did you mean "1"?)`},
		{"text index", SingleLabel, given("no", "yes"), []*Table{names("f.csv", "1")}, `only an integer in JSON Lines is its index`},
		{"variants in the data", SingleLabel, LabelSource{}, []*Table{names("f.csv", "spam", "ham", "Spam ")}, `f.csv:3: the labels "spam" and "Spam " differ in spaces or case only`},
		{"index out of range", SingleLabel, given("a", "b"), []*Table{rows("f.jsonl", index(1), index(2))}, `f.jsonl:2: the class index 2 is not in 0 to 1 ("a", "b")`},
		{"negative index", SingleLabel, LabelSource{}, []*Table{rows("f.jsonl", index(1), index(-1))}, "f.jsonl:2: the class index -1 is not in 0 to 1"},
		{"index only in eval", SingleLabel, LabelSource{}, []*Table{rows("f.jsonl", index(1)), rows("e.jsonl", index(2))}, "e.jsonl:1: the class index 2"},
		{"huge index", SingleLabel, LabelSource{}, []*Table{rows("f.jsonl", index(1e12))}, "the class index 1000000000000 is too large"},
		{"float as class", SingleLabel, given("a"), []*Table{rows("f.jsonl", num(0.5))}, "--problem-type regression"},
		{"float as class, none known", SingleLabel, LabelSource{}, []*Table{rows("f.jsonl", num(0.5))}, "f.jsonl:1: the label 0.5 is neither the name nor the index of a class"},
		{"list as class", SingleLabel, given("a"), []*Table{rows("f.jsonl", list(name("a")))}, "--problem-type multi_label_classification"},
		{"no labels", SingleLabel, LabelSource{}, []*Table{rows("f.jsonl", Label{})}, "f.jsonl: no row has a label"},
		{"no data", SingleLabel, LabelSource{}, nil, "neither labels nor data"},
		{"given twice", SingleLabel, given("a", "a"), []*Table{ab}, `label "a" is given twice, as class 0 and 1`},
		{"given empty", SingleLabel, given("a", " "), []*Table{ab}, "label 1 of 2 is empty"},
		{"config twice", SingleLabel, LabelSource{Config: []string{"a", "a"}}, []*Table{ab}, "(id2label of config.json)"},
		{"against the adapter", SingleLabel, LabelSource{Fixed: []string{"b", "a"}, Saved: []string{"a", "b"}}, []*Table{ab}, "are not those of the adapter"},
		{"multi-label without separator", MultiLabel, LabelSource{}, []*Table{ab}, "--label-separator"},
		{"multi-label number", MultiLabel, given("a"), []*Table{rows("f.jsonl", index(0))}, "the label 0 is no list"},
		{"multi-label unknown name", MultiLabel, given("a"), []*Table{rows("f.jsonl", list(name("a"), name("b")))}, `the label "b" is none`},
		{"multi-label twice", MultiLabel, given("a"), []*Table{rows("f.jsonl", list(name("a"), name("a")))}, `has the class "a" twice`},
		{"multi-label index", MultiLabel, given("a"), []*Table{rows("f.jsonl", list(index(1)))}, "the class index 1 is not in 0 to 0"},
		{"multi-label fraction", MultiLabel, given("a", "b"), []*Table{rows("f.jsonl", list(num(0.5), num(1)))}, "no row of 2 times 0 or 1"},
		{"multi-label lengths", MultiLabel, given("a", "b"), []*Table{rows("f.jsonl", list(num(0), num(1)), list(num(1)))}, "f.jsonl:2: the label [1] is no row of 2 times 0 or 1"},
		{"multi-label unknown lengths", MultiLabel, LabelSource{}, []*Table{rows("f.jsonl", list(num(0), num(1)), list(num(1)))}, "is neither the name nor the index"},
		{"multi-label all empty", MultiLabel, LabelSource{}, []*Table{rows("f.jsonl", list(), list())}, "no row has a label"},
		{"regression name", Regression, LabelSource{}, []*Table{names("f.csv", "1.5", "good")}, `f.csv:2: the target "good" is not a number`},
		{"regression infinity", Regression, LabelSource{}, []*Table{names("f.csv", "inf")}, "is not a number"},
		{"regression list", Regression, LabelSource{}, []*Table{rows("f.jsonl", list(num(1)))}, "the target [1] is not a number"},
		{"regression too large", Regression, LabelSource{}, []*Table{names("f.csv", "1e300")}, "too large a number"},
		{"regression with classes", Regression, LabelSource{}, []*Table{names("f.csv", "1", "0x10")}, `"0x10" is not a number`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := FindLabels(tt.p, tt.src, tt.tables...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "data: ") {
				t.Errorf("got  %v %v\nwant %s", l, err, tt.want)
			}
			var e *Error
			if len(tt.src.Fixed) > 1 && strings.Contains(tt.name, "given ") && !errors.Is(err, ErrOption) {
				t.Errorf("%v is no option error", err)
			} else if strings.Contains(tt.want, ".csv:") && !errors.As(err, &e) {
				t.Errorf("%v is no *Error", err)
			}
		})
	}
	if _, err := NewLabels(Regression, []string{"a"}); err == nil {
		t.Error("classes for a regression are accepted")
	}
	if _, err := NewLabels(SingleLabel, nil); err == nil {
		t.Error("no classes are accepted")
	}
}

func TestClassesRowsTargets(t *testing.T) {
	l, err := NewLabels(SingleLabel, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	table := rows("f.jsonl", name("b"), index(0), Label{}, index(-1))
	table.optional = true
	if got, err := l.Classes(table); err != nil || !slices.Equal(got, []int32{1, 0, batch.Ignore, batch.Ignore}) {
		t.Errorf("classes %v, %v", got, err)
	}

	m, err := NewLabels(MultiLabel, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := m.Rows(rows("f.jsonl", list(name("b")), list(), list(index(1), index(0)), Label{}))
	if err != nil || !slices.Equal(got[:6], []float32{0, 1, 0, 0, 1, 1}) || got[6] == got[6] || got[7] == got[7] {
		t.Errorf("rows %v, %v", got, err)
	}
	// All of two 0 or 1: a row of bits, when no other table says otherwise.
	if got, err := m.Rows(rows("f.jsonl", list(index(0), index(1)), list(index(1), index(1)))); err != nil || !slices.Equal(got, []float32{0, 1, 1, 1}) {
		t.Errorf("bits %v, %v", got, err)
	}
	// The lists of the training data decide for the others too.
	train, eval := rows("t.jsonl", list(index(0)), list(index(0), index(1))), rows("e.jsonl", list(index(0), index(1)))
	if m, err = FindLabels(MultiLabel, LabelSource{}, train, eval); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Rows(eval); err != nil || !slices.Equal(got, []float32{1, 1}) {
		t.Errorf("indices %v, %v", got, err)
	}

	r, err := NewLabels(Regression, nil)
	if err != nil {
		t.Fatal(err)
	}
	table = rows("f.csv", name("1.5"), name(" -2 "), name("NaN"), Label{}, index(3), num(0.25))
	got, err = r.Targets(table)
	if err != nil || len(got) != 6 || got[0] != 1.5 || got[1] != -2 || got[2] == got[2] || got[3] == got[3] || got[4] != 3 || got[5] != 0.25 {
		t.Errorf("targets %v, %v", got, err)
	}
	if kept := table.WithTargets(Regression); len(kept.Examples) != 4 || kept.Dropped != 2 || table.Dropped != 0 {
		t.Errorf("kept %d, dropped %d", len(kept.Examples), kept.Dropped)
	}
	if kept := table.WithTargets(SingleLabel); len(kept.Examples) != 5 || kept.Dropped != 1 {
		t.Errorf("kept %d, dropped %d", len(kept.Examples), kept.Dropped)
	}
}

func TestLabelsFile(t *testing.T) {
	for _, l := range []struct {
		p     Problem
		names []string
		want  string
	}{
		{SingleLabel, []string{"ham", "<spam> & \"é\""}, "{\n  \"problem_type\": \"single_label_classification\",\n  \"labels\": [\n    \"ham\",\n    \"<spam> & \\\"é\\\"\"\n  ]\n}\n"},
		{MultiLabel, []string{"a"}, "{\n  \"problem_type\": \"multi_label_classification\",\n  \"labels\": [\n    \"a\"\n  ]\n}\n"},
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
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), "data: d/labels.json: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", content, err, want)
		}
	}
}
