package text

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

func TestWarnings(t *testing.T) {
	wide := Options{OptionalLabels: true, ReplaceInvalid: true}
	distinct := "text,label\n"
	for i := range 21 {
		distinct += fmt.Sprintf("text %d,label %d\n", i, i)
	}
	tests := []struct {
		name              string
		problem           data.Problem
		src               data.LabelSource
		train, eval, test string // content of CSV files, "" = none
		want              []string
	}{
		{"nothing", data.SingleLabel, data.LabelSource{}, "text,label\na,x\nb,y\n", "text,label\nc,x\nd,y\n", "", nil},
		{"texts", data.SingleLabel, data.LabelSource{}, "text,label\na,x\n,x\n \t,y\na,x\na,x\na,y\n", "", "", []string{
			"train.csv:3: 2 rows with an empty text",
			"train.csv:5: 2 rows with the texts and label of a row before",
			"train.csv:7: 1 row with the texts of a row before but another label",
		}},
		{"empty pair", data.SingleLabel, data.LabelSource{}, "text,text_pair,label\na,b,x\na,c,x\na,,y\n", "", "",
			[]string{"train.csv:4: 1 row with an empty text"}},
		{"unlabelled", data.SingleLabel, data.LabelSource{}, "text,label\na,x\nb,y\n", "text,label\nc,x\nd,\ne,y\n", "",
			[]string{"eval.csv:3: 1 row without a label"}},
		{"replaced", data.SingleLabel, data.LabelSource{}, "text,label\na\xff,x\nb,y\n", "", "",
			[]string{"train.csv: 1 line with bytes that are not UTF-8, which were replaced"}},
		{"overlap", data.SingleLabel, data.LabelSource{}, "text,label\na,x\nb,y\n", "text,label\nb,x\nc,y\n",
			"text,label\na,y\nb,x\n", []string{
				"eval.csv:2: 1 row with texts that are also in train.csv",
				"test.csv:2: 2 rows with texts that are also in train.csv",
			}},
		{"overlap of eval and test", data.SingleLabel, data.LabelSource{}, "text,label\na,x\nb,y\n",
			"text,label\nc,x\nd,y\n", "text,label\na,y\nc,x\nd,x\ne,y\n", []string{
				"test.csv:2: 1 row with texts that are also in train.csv",
				"test.csv:3: 2 rows with texts that are also in eval.csv",
			}},
		{"negatives", data.SingleLabel, data.LabelSource{},
			"anchor,positive,Negative_1,negative_2,label\na,b,c,d,x\ne,f,g,h,y\n", "", "",
			[]string{`train.csv: the column "Negative_1" is not read: only "anchor" and "positive" are`}},
		{"one class", data.SingleLabel, data.LabelSource{}, "text,label\na,x\nb,x\n", "", "",
			[]string{`train.csv: every row has the class "x"`}},
		{"unused classes", data.SingleLabel, data.LabelSource{Fixed: []string{"v", "w", "x", "y"}}, "text,label\na,x\nb,y\n",
			"text,label\nc,v\nd,x\n", "", []string{`train.csv: 2 of 4 classes have no row: "v", "w"`}},
		{"a class for each row", data.SingleLabel, data.LabelSource{}, distinct, "", "",
			[]string{"train.csv: each of the 21 rows has a class of its own: is the label column (label) right?"}},
		{"constant targets", data.Regression, data.LabelSource{}, "text,label\na,1.5\nb,1.5\nc,nan\n",
			"text,label\nd,1.0\ne,2\n", "", []string{
				"train.csv:4: 1 row whose target is NaN",
				"train.csv: every row has the target 1.5",
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tables []*File
			for i, content := range []string{tt.train, tt.eval, tt.test} {
				tables = append(tables, nil)
				if content != "" {
					tables[i] = read(t, []string{"train.csv", "eval.csv", "test.csv"}[i], content, wide)
				}
			}
			l, err := FindLabels(tt.problem, tt.src, tables...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range Warnings(l, tables[0], tables[1], tables[2]) {
				got = append(got, w.String())
				if w.Count == 0 {
					t.Errorf("%v has no count", w)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestWarningsWithoutLabels(t *testing.T) {
	table := read(t, "f.txt", "a\n\nb\n", Options{NoLabels: true})
	got := Warnings(nil, nil, nil, table)
	if len(got) != 1 || got[0].String() != "f.txt:2: 1 row with an empty text" {
		t.Errorf("got %v", got)
	}
}

func TestWarningsDroppedAndMultiLabel(t *testing.T) {
	train := labelled("t.jsonl", list(name("a")), list(), data.Label{})
	train = train.WithTargets(data.MultiLabel)
	l, err := FindLabels(data.MultiLabel, data.LabelSource{Fixed: []string{"a", "b"}}, train)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range Warnings(l, train, nil, nil) {
		got = append(got, w.String())
	}
	want := []string{"t.jsonl: 1 row without a target, which were left out", `t.jsonl: 1 of 2 classes have no row: "b"`}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// Classes that were written as 1.0 look like the targets of a regression.
func TestWarningsWholeTargets(t *testing.T) {
	l, err := data.NewLabels(data.Regression, nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = "every target is a whole number written with a fraction, as 1.0"
	for _, tt := range []struct {
		labels []data.Label
		warned bool
	}{
		{[]data.Label{num(0), num(2)}, true},
		{[]data.Label{num(0), index(2), {}}, true},
		{[]data.Label{num(0), num(2.5)}, false},
		{[]data.Label{index(0), index(2)}, false},
		{[]data.Label{name("1"), name("2")}, false},
	} {
		got := slices.ContainsFunc(Warnings(l, labelled("t.jsonl", tt.labels...), nil, nil), func(w data.Warning) bool {
			return strings.HasPrefix(w.Message, want)
		})
		if got != tt.warned {
			t.Errorf("%v: %v, want %v", tt.labels, got, tt.warned)
		}
	}
}
