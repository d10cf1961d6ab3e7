package text

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
)

// labelled makes a file of rows with these labels, at lines 1, 2 …
func labelled(file string, labels ...data.Label) *File {
	t := New(file)
	t.Format, t.Columns = data.FormatOf(file), Columns{Text: "text", Label: "label"}
	for i, l := range labels {
		t.Append(Example{Text: fmt.Sprint("text ", i), Label: l, Line: i + 1})
	}
	return t
}

// names makes a file of rows with these class names.
func names(file string, labels ...string) *File {
	t := labelled(file)
	for i, l := range labels {
		t.Append(Example{Text: fmt.Sprint("text ", i), Label: name(l), Line: i + 1})
	}
	return t
}

func TestGuessProblem(t *testing.T) {
	none := data.Label{}
	tests := []struct {
		name  string
		table *File
		want  data.Problem
	}{
		{"names", names("f.csv", "a", "b"), data.SingleLabel},
		{"integers in CSV", names("f.csv", "0", "1", "5"), data.SingleLabel},
		{"whole numbers in CSV", names("f.csv", "0.0", "1.0"), data.SingleLabel},
		{"fractions in CSV", names("f.csv", "5", "3.8"), data.Regression},
		{"fractions in TSV", names("f.tsv", "-1e-1", " .5 ", "+2."), data.Regression},
		{"fractions and NaN", names("f.csv", "nan", "3.8"), data.Regression},
		{"only NaN", names("f.csv", "nan", "NaN"), data.SingleLabel},
		{"a fraction and a name", names("f.csv", "0.5", "b"), data.SingleLabel},
		{"numbers only Go would read", names("f.csv", "0x1p-1", "1_0.5"), data.SingleLabel},
		{"infinity is a name", names("f.csv", "0.5", "inf"), data.SingleLabel},
		{"fractions as JSON strings", names("f.jsonl", "0.5", "1.5"), data.SingleLabel},
		{"indices", labelled("f.jsonl", index(0), index(3)), data.SingleLabel},
		{"a float", labelled("f.jsonl", index(0), num(1)), data.Regression},
		{"lists", labelled("f.jsonl", list(), list(name("a"))), data.MultiLabel},
		{"rows without a label", labelled("f.jsonl", none, num(1), none), data.Regression},
		{"indices and no labels", labelled("f.jsonl", none, index(1)), data.SingleLabel},
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
		table *File
		want  string
	}{
		{"no label", labelled("f.jsonl", none), "no row has a label"},
		{"name after index", labelled("f.jsonl", index(1), name("b")),
			`f.jsonl:2: the label "b" is text, but line 1 has a number (1)`},
		{"float after name", labelled("f.jsonl", name("b"), num(1.5)),
			`f.jsonl:2: the label 1.5 is a number, but line 1 has text ("b")`},
		{"list after name", labelled("f.jsonl", name("b"), list(index(1), num(0.5))),
			`f.jsonl:2: the label [1, 0.5] is a list`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, _, err := GuessProblem(tt.table); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFindLabels(t *testing.T) {
	abc := names("train.csv", "b", "a", "c", "a")
	generic := []string{"LABEL_0", "LABEL_1", "LABEL_2"}
	tests := []struct {
		name   string
		p      data.Problem
		src    data.LabelSource
		tables []*File
		want   []string
	}{
		{"sorted", data.SingleLabel, data.LabelSource{}, []*File{abc}, []string{"a", "b", "c"}},
		{"sorted by code point", data.SingleLabel, data.LabelSource{},
			[]*File{names("f.csv", "é", "z", "10", "9", "\U0001F600", "\uFF5E", "Y")},
			[]string{"10", "9", "Y", "z", "é", "\uFF5E", "\U0001F600"}},
		{"no eval, no test", data.SingleLabel, data.LabelSource{}, []*File{abc, nil, nil}, []string{"a", "b", "c"}},
		{"eval has fewer", data.SingleLabel, data.LabelSource{}, []*File{abc, names("eval.csv", "c")},
			[]string{"a", "b", "c"}},
		{"given", data.SingleLabel, data.LabelSource{Fixed: []string{"c", "b", "a", "d"}}, []*File{abc},
			[]string{"c", "b", "a", "d"}},
		{"given before config", data.SingleLabel,
			data.LabelSource{Fixed: []string{"c", "b", "a"}, Config: []string{"x", "y"}}, []*File{abc}, []string{"c", "b", "a"}},
		{"adapter before config", data.SingleLabel,
			data.LabelSource{Saved: []string{"c", "a", "b"}, Config: []string{"a", "b", "c"}}, []*File{abc},
			[]string{"c", "a", "b"}},
		{"config", data.SingleLabel, data.LabelSource{Config: []string{"c", "a", "b"}}, []*File{abc},
			[]string{"c", "a", "b"}},
		{"generic config", data.SingleLabel, data.LabelSource{Config: generic}, []*File{abc}, []string{"a", "b", "c"}},
		{"generic config, generic data", data.SingleLabel, data.LabelSource{Config: generic},
			[]*File{names("f.csv", "LABEL_1", "LABEL_0")}, generic},
		{"generic config, indices", data.SingleLabel, data.LabelSource{Config: generic},
			[]*File{labelled("f.jsonl", index(0), index(1))}, generic},
		{"generic config, more indices", data.SingleLabel, data.LabelSource{Config: generic[:2]},
			[]*File{labelled("f.jsonl", index(0), index(2))}, generic},
		{"indices", data.SingleLabel, data.LabelSource{}, []*File{labelled("f.jsonl", index(0), index(2))}, generic},
		{"config, indices", data.SingleLabel, data.LabelSource{Config: []string{"no", "yes"}},
			[]*File{labelled("f.jsonl", index(1), index(0))}, []string{"no", "yes"}},
		{"indices written as 1.0", data.SingleLabel, data.LabelSource{}, []*File{labelled("f.jsonl", num(0), num(2))},
			generic},
		{"names that are integers, written as 1.0", data.SingleLabel, data.LabelSource{Saved: []string{"1", "2", "3"}},
			[]*File{labelled("f.jsonl", num(1), index(3))}, []string{"1", "2", "3"}},
		{"case variants given", data.SingleLabel, data.LabelSource{Fixed: []string{"us", "US"}},
			[]*File{names("f.csv", "us", "US")}, []string{"us", "US"}},
		{"multi-label names", data.MultiLabel, data.LabelSource{},
			[]*File{labelled("f.jsonl", list(name("b"), name("a")), list(), list(name("a")))}, []string{"a", "b"}},
		{"multi-label indices", data.MultiLabel, data.LabelSource{},
			[]*File{labelled("f.jsonl", list(index(2)), list(index(0), index(1)))}, generic},
		{"multi-label bits", data.MultiLabel, data.LabelSource{},
			[]*File{labelled("f.jsonl", list(index(0), index(1), index(1)), list(index(0), index(0), index(0)))}, generic},
		{"multi-label float bits", data.MultiLabel, data.LabelSource{},
			[]*File{labelled("f.jsonl", list(num(0), num(1), num(1)))}, generic},
		{"multi-label bits, given", data.MultiLabel, data.LabelSource{Fixed: []string{"x", "y"}},
			[]*File{labelled("f.jsonl", list(index(0), index(1)))}, []string{"x", "y"}},
		{"regression", data.Regression, data.LabelSource{Config: []string{"LABEL_0"}}, []*File{names("f.csv", "1", "2.5")},
			nil},
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
	given := func(s ...string) data.LabelSource { return data.LabelSource{Fixed: s} }
	tests := []struct {
		name   string
		p      data.Problem
		src    data.LabelSource
		tables []*File
		want   string
	}{
		{"only in eval", data.SingleLabel, data.LabelSource{}, []*File{ab, names("eval.csv", "a", "c", "c")},
			"data: eval.csv:2: the label \"c\" is none of the 2 classes found in train.csv: \"a\", \"b\"; `labels` gives " +
				"others (and 1 row more like this)"},
		{"only in test", data.SingleLabel, data.LabelSource{}, []*File{ab, nil, names("test.csv", "c")},
			`data: test.csv:1: the label "c"`},
		{"not in config", data.SingleLabel, data.LabelSource{Config: []string{"no", "yes"}}, []*File{ab},
			`the label "a" is none of the 2 classes of config.json`},
		{"not in the adapter", data.SingleLabel, data.LabelSource{Saved: []string{"a"}}, []*File{ab},
			`data: train.csv:2: the label "b" is none of the 1 classes of the adapter`},
		{"not given", data.SingleLabel, given("a", "x"), []*File{ab},
			`the label "b" is none of the 2 classes given: "a", "x"`},
		{"another case", data.SingleLabel, given("A", "B"), []*File{ab}, `(did you mean "A"?)`},
		{"spaces", data.SingleLabel, given("a", "b"), []*File{names("f.csv", "a", " b")},
			`f.csv:2: the label " b" is none of the 2 classes given (did you mean "b"?)`},
		{"float for an integer", data.SingleLabel, given("0", "1"), []*File{names("f.csv", "0", "1.0")},
			`f.csv:2: the label "1.0" is none of the 2 classes given (did you mean "1"?)`},
		{"text index", data.SingleLabel, given("no", "yes"), []*File{names("f.csv", "1")},
			`only an integer in JSON Lines is its index`},
		{"variants in the data", data.SingleLabel, data.LabelSource{}, []*File{names("f.csv", "spam", "ham", "Spam ")},
			`f.csv:3: the labels "spam" and "Spam " differ in spaces or case only`},
		{"index out of range", data.SingleLabel, given("a", "b"), []*File{labelled("f.jsonl", index(1), index(2))},
			`f.jsonl:2: the class index 2 is not in 0 to 1 ("a", "b")`},
		{"negative index", data.SingleLabel, data.LabelSource{}, []*File{labelled("f.jsonl", index(1), index(-1))},
			"f.jsonl:2: the class index -1 is not in 0 to 1"},
		{"no class called so", data.SingleLabel, given("1", "2", "10"), []*File{labelled("f.jsonl", index(1), index(0))},
			`f.jsonl:2: the class index 0 is none of the 3 classes given: "1", "2", "10"; where these are integers, an ` +
				"integer is the name of a class, not its index"},
		{"name or index", data.SingleLabel, given("0", "10", "1", "other"), []*File{labelled("f.jsonl", index(0), index(1))},
			`f.jsonl:2: the class index 1 may be the class called "1" or the one with this index: write the names`},
		{"a name of two", data.SingleLabel, given("1", "1.0"), []*File{labelled("f.jsonl", index(1))},
			`the name of several classes: write it as text`},
		{"no class of a list called so", data.MultiLabel, given("1", "2", "3"),
			[]*File{labelled("f.jsonl", list(index(3)), list(index(0)))}, "f.jsonl:2: the class index 0 is none of"},
		{"index only in eval", data.SingleLabel, data.LabelSource{},
			[]*File{labelled("f.jsonl", index(1)), labelled("e.jsonl", index(2))}, "e.jsonl:1: the class index 2"},
		{"huge index", data.SingleLabel, data.LabelSource{}, []*File{labelled("f.jsonl", index(1e12))},
			"the class index 1000000000000 is too large"},
		{"float as class", data.SingleLabel, given("a"), []*File{labelled("f.jsonl", num(0.5))}, "`problem_type regression`"},
		{"float as class, none known", data.SingleLabel, data.LabelSource{}, []*File{labelled("f.jsonl", num(0.5))},
			"f.jsonl:1: the label 0.5 is neither the name nor the index of a class"},
		{"list as class", data.SingleLabel, given("a"), []*File{labelled("f.jsonl", list(name("a")))},
			"`problem_type multi_label_classification`"},
		{"no labels", data.SingleLabel, data.LabelSource{}, []*File{labelled("f.jsonl", data.Label{})},
			"f.jsonl: no row has a label"},
		{"no data", data.SingleLabel, data.LabelSource{}, nil, "neither labels nor data"},
		{"given twice", data.SingleLabel, given("a", "a"), []*File{ab}, `label "a" is given twice, as class 0 and 1`},
		{"given empty", data.SingleLabel, given("a", " "), []*File{ab}, "label 1 of 2 is empty"},
		{"config twice", data.SingleLabel, data.LabelSource{Config: []string{"a", "a"}}, []*File{ab},
			"(id2label of config.json)"},
		{"against the adapter", data.SingleLabel, data.LabelSource{Fixed: []string{"b", "a"}, Saved: []string{"a", "b"}},
			[]*File{ab}, "are not those of the adapter"},
		{"multi-label without separator", data.MultiLabel, data.LabelSource{}, []*File{ab}, "`label_separator`"},
		{"multi-label number", data.MultiLabel, given("a"), []*File{labelled("f.jsonl", index(0))},
			"the label 0 is not a list"},
		{"multi-label unknown name", data.MultiLabel, given("a"), []*File{labelled("f.jsonl", list(name("a"), name("b")))},
			`the label "b" is none`},
		{"multi-label twice", data.MultiLabel, given("a"), []*File{labelled("f.jsonl", list(name("a"), name("a")))},
			`has the class "a" twice`},
		{"multi-label index", data.MultiLabel, given("a"), []*File{labelled("f.jsonl", list(index(1)))},
			"the class index 1 is not in 0 to 0"},
		{"multi-label fraction", data.MultiLabel, given("a", "b"), []*File{labelled("f.jsonl", list(num(0.5), num(1)))},
			"not a row of 2 times 0 or 1"},
		{"multi-label lengths", data.MultiLabel, given("a", "b"),
			[]*File{labelled("f.jsonl", list(num(0), num(1)), list(num(1)))},
			"f.jsonl:2: the label [1] is not a row of 2 times 0 or 1"},
		{"multi-label unknown lengths", data.MultiLabel, data.LabelSource{},
			[]*File{labelled("f.jsonl", list(num(0), num(1)), list(num(1)))}, "is neither the name nor the index"},
		{"multi-label all empty", data.MultiLabel, data.LabelSource{}, []*File{labelled("f.jsonl", list(), list())},
			"no row has a label"},
		{"regression name", data.Regression, data.LabelSource{}, []*File{names("f.csv", "1.5", "good")},
			`f.csv:2: the target "good" is not a number`},
		{"regression infinity", data.Regression, data.LabelSource{}, []*File{names("f.csv", "inf")}, "is not a number"},
		{"regression list", data.Regression, data.LabelSource{}, []*File{labelled("f.jsonl", list(num(1)))},
			"the target [1] is not a number"},
		{"regression too large", data.Regression, data.LabelSource{}, []*File{names("f.csv", "1e300")}, "too large a number"},
		{"regression with classes", data.Regression, data.LabelSource{}, []*File{names("f.csv", "1", "0x10")},
			`"0x10" is not a number`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := FindLabels(tt.p, tt.src, tt.tables...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "data: ") {
				t.Errorf("got  %v %v\nwant %s", l, err, tt.want)
			}
			var e *data.Error
			if len(tt.src.Fixed) > 1 && strings.Contains(tt.name, "given ") && !errors.Is(err, data.ErrOption) {
				t.Errorf("%v is not an option error", err)
			} else if strings.Contains(tt.want, ".csv:") && !errors.As(err, &e) {
				t.Errorf("%v is no *Error", err)
			}
		})
	}
	if _, err := data.NewLabels(data.Regression, []string{"a"}); err == nil {
		t.Error("classes for a regression are accepted")
	}
	if _, err := data.NewLabels(data.SingleLabel, nil); err == nil {
		t.Error("no classes are accepted")
	}
}

func TestClassesRowsTargets(t *testing.T) {
	l, err := data.NewLabels(data.SingleLabel, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	table := labelled("f.jsonl", name("b"), index(0), data.Label{}, index(-1))
	table.Optional = true
	if got, err := table.Classes(l); err != nil || !slices.Equal(got, []int32{1, 0, batch.Ignore, batch.Ignore}) {
		t.Errorf("classes %v, %v", got, err)
	}

	m, err := data.NewLabels(data.MultiLabel, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := labelled("f.jsonl", list(name("b")), list(), list(index(1), index(0)), data.Label{}).Indicators(m)
	if err != nil || !slices.Equal(got[:6], []float32{0, 1, 0, 0, 1, 1}) || got[6] == got[6] || got[7] == got[7] {
		t.Errorf("rows %v, %v", got, err)
	}
	// All of two 0 or 1: a row of bits, when no other table says otherwise.
	if got, err := labelled("f.jsonl", list(index(0), index(1)), list(index(1), index(1))).Indicators(m); err != nil ||
		!slices.Equal(got, []float32{0, 1, 1, 1}) {
		t.Errorf("bits %v, %v", got, err)
	}
	// The lists of the training data decide for the others too.
	train, eval := labelled("t.jsonl", list(index(0)), list(index(0), index(1))),
		labelled("e.jsonl", list(index(0), index(1)))
	if m, err = FindLabels(data.MultiLabel, data.LabelSource{}, train, eval); err != nil {
		t.Fatal(err)
	}
	if got, err := eval.Indicators(m); err != nil || !slices.Equal(got, []float32{1, 1}) {
		t.Errorf("indices %v, %v", got, err)
	}

	table = labelled("f.csv", name("1.5"), name(" -2 "), name("NaN"), data.Label{}, index(3), num(0.25))
	got, err = table.Targets()
	if err != nil || len(got) != 6 || got[0] != 1.5 || got[1] != -2 || got[2] == got[2] || got[3] == got[3] ||
		got[4] != 3 || got[5] != 0.25 {
		t.Errorf("targets %v, %v", got, err)
	}
	if kept := table.WithTargets(data.Regression); kept.Len() != 4 || kept.Dropped != 2 || table.Dropped != 0 {
		t.Errorf("kept %d, dropped %d", kept.Len(), kept.Dropped)
	}
	if kept := table.WithTargets(data.SingleLabel); kept.Len() != 5 || kept.Dropped != 1 {
		t.Errorf("kept %d, dropped %d", kept.Len(), kept.Dropped)
	}
}

// TestYield lets labels of the data replace names of a configuration that yields, where they do not fit.
func TestYield(t *testing.T) {
	config := []string{"neg", "pos"}
	yields := data.LabelSource{Config: config, Yields: true}
	for _, tt := range []struct {
		name  string
		src   data.LabelSource
		files []*File
		want  []string // nil: an error
		from  string
	}{
		{"they fit", yields, []*File{names("f.csv", "pos", "pos")}, config, "of config.json"},
		{"they do not", yields, []*File{names("f.csv", "b", "pos", "a")}, []string{"a", "b", "pos"}, "found in f.csv"},
		{"indices beyond the names", yields, []*File{labelled("f.jsonl", index(0), index(2))},
			[]string{"LABEL_0", "LABEL_1", "LABEL_2"}, "found in f.jsonl"},
		{"only the evaluation data do not", yields, []*File{names("f.csv", "pos"), names("e.csv", "x")}, nil, ""},
		{"neither fits", yields, []*File{names("f.csv", "a"), names("e.csv", "pos")}, nil, ""},
		{"given", data.LabelSource{Config: config, Yields: true, Fixed: []string{"x"}}, []*File{names("f.csv", "a")}, nil,
			""},
		{"of an adapter", data.LabelSource{Config: config, Yields: true, Saved: []string{"x"}}, []*File{names("f.csv", "a")},
			nil, ""},
		{"no yielding", data.LabelSource{Config: config}, []*File{names("f.csv", "a")}, nil, ""},
	} {
		l, err := FindLabels(data.SingleLabel, tt.src, tt.files...)
		if tt.want == nil {
			if err == nil {
				t.Errorf("%s: no error, but %v", tt.name, l.Names)
			}
			continue
		}
		if err != nil || !slices.Equal(l.Names, tt.want) || l.From != tt.from ||
			slices.Equal(l.Replaced, config) != strings.HasPrefix(tt.from, "found") {
			t.Errorf("%s: %+v, %v; want %v %s", tt.name, l, err, tt.want, tt.from)
		}
	}
}

// An integer is the name of a class in every format if the names of all classes are integers, and else an index.
func TestIntegersAsNames(t *testing.T) {
	for _, tt := range []struct {
		name   string
		labels []string
		given  []int64
		want   []int32
	}{
		{"sorted as text", []string{"0", "1", "10", "11", "2"}, []int64{0, 1, 2, 10, 11}, []int32{0, 1, 4, 2, 3}},
		{"from 1 on", []string{"1", "2", "3"}, []int64{3, 1}, []int32{2, 0}},
		{"negative", []string{"-1", "0", "1"}, []int64{-1, 0, 1}, []int32{0, 1, 2}},
		{"with gaps, of pandas", []string{"1.0", "2.0", " 5"}, []int64{1, 5, 2}, []int32{0, 2, 1}},
		{"names", []string{"ham", "spam"}, []int64{1, 0}, []int32{1, 0}},
		{"names, some of integers that are their index", []string{"0", "1", "other"}, []int64{2, 1, 0}, []int32{2, 1, 0}},
		{"generic", []string{"LABEL_0", "LABEL_1"}, []int64{1, 0}, []int32{1, 0}},
	} {
		var labels, lists []data.Label
		for _, n := range tt.given {
			labels = append(labels, index(n))
			lists = append(lists, list(index(n)))
		}
		f := labelled("f.jsonl", labels...)
		l, err := FindLabels(data.SingleLabel, data.LabelSource{Saved: tt.labels}, f)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got, err := f.Classes(l); err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, got, err, tt.want)
		}
		f = labelled("f.jsonl", append(lists, list(labels[0], labels[1]))...)
		if l, err = FindLabels(data.MultiLabel, data.LabelSource{Saved: tt.labels}, f); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		got, err := f.Indicators(l)
		for i, c := range tt.want {
			if err != nil || got[i*len(tt.labels)+int(c)] != 1 {
				t.Errorf("%s, lists: %v, %v", tt.name, got, err)
			}
		}
	}
	f := labelled("f.jsonl", index(0), index(10), index(2))
	l, err := FindLabels(data.SingleLabel, data.LabelSource{}, names("t.csv", "0", "10", "2"), f)
	if err != nil {
		t.Fatal(err)
	}
	want := `f.jsonl:2: 1 row with an integer that is the name of a class, not its index: the classes are called ` +
		`"0", "10", "2"`
	if got := Warnings(l, nil, f, nil); len(got) != 1 || got[0].String() != want {
		t.Errorf("%v, want %s", got, want)
	}
	hidden, err := ReadBytes([]byte(`{"text":"a","label":-1}`), "f.jsonl", Options{OptionalLabels: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := hidden.Classes(l); err != nil || got[0] != batch.Ignore {
		t.Errorf("a hidden label is %v, %v", got, err)
	}
}
