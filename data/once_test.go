package data_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/data/text"
)

// TestSplitOffReportsOnce splits files in which every counter counted something: held has none of it.
func TestSplitOffReportsOnce(t *testing.T) {
	texts := text.New("f.csv", make([]text.Example, 20)...)
	texts.Blank, texts.Replaced, texts.Dropped = 1, 2, 3
	texts.Rejected = data.Tally{N: 2, Line: 1}
	texts.Joined = data.Joined{Tally: data.Tally{N: 1, Line: 2}, Last: 3}
	rows := "\n" + strings.Repeat(`{"text":"ab cd","spans":[[0,1,"X"],[0,3,"Y"],[3,4,"X"]]}`+"\n", 3) +
		strings.Repeat("{\"text\":\"\xff\",\"spans\":[]}\n", 3) +
		`{"text":"😀 ab","spans":[{"start":3,"end":5,"label":"X","text":"ab"}]}` + "\n" + // units of UTF-16
		`{"text":"ab cd","spans":[{"start":0,"end":2,"label":"X","text":"cd"}]}` + "\n" // elsewhere
	tags, err := tagged.ReadBytes([]byte(rows), "f.jsonl", tagged.Options{ReplaceInvalid: true})
	if err == nil {
		tags, err = tags.Repair(tagged.IOB1)
	}
	if err != nil {
		t.Fatal(err)
	}
	questions := question.New("f.json")
	for c, n := range []int{2, 1, 3, 1, 2, 2} {
		for range n {
			questions.Append(question.Question{Context: strings.Repeat("c", c+1)})
		}
	}
	questions.Blank, questions.Replaced = 1, 2
	questions.Counts = question.Counts{Misplaced: 6, InBytes: 1, InUTF16: 2, Unplaced: 3, Dropped: 4}
	choices := choice.New("f.jsonl", make([]choice.Question, 10)...)
	choices.Blank, choices.Replaced = 1, 2
	documents := document.New("f.txt", document.Text, document.Document{Text: "one\ntwo\nthree\nfour"})
	documents.Blank, documents.Replaced, documents.Unread = 1, 2, 3
	for _, whole := range []any{texts, tags, questions, choices, documents} {
		parts := reflect.ValueOf(whole).MethodByName("SplitOff").Call(
			[]reflect.Value{reflect.ValueOf(0.3), reflect.ValueOf(uint64(1))})
		if !parts[2].IsNil() {
			t.Fatal(parts[2])
		}
		checkCounts(t, reflect.ValueOf(whole).Elem(), parts[0].Elem(), parts[1].Elem())
	}
}

// checkCounts compares the int fields of a file with those of its parts.
func checkCounts(t *testing.T, all, rest, held reflect.Value) {
	t.Helper()
	for i := range all.NumField() {
		field := all.Type().Field(i)
		switch {
		case field.Name == "Joined" || field.Name == "Rejected":
			if n := all.Field(i).Interface(); rest.Field(i).Interface() != n || !held.Field(i).IsZero() {
				t.Errorf("%v: %s is %v, of held %v", all.Type(), field.Name, rest.Field(i), held.Field(i))
			}
		case field.Anonymous:
			checkCounts(t, all.Field(i), rest.Field(i), held.Field(i))
		case field.Type == reflect.TypeFor[int]():
			n := all.Field(i).Int()
			if n == 0 {
				t.Errorf("%v: the test does not count %s", all.Type(), field.Name)
			}
			if rest.Field(i).Int() != n || held.Field(i).Int() != 0 {
				t.Errorf("%v: %s is %d, of the rest %d, of held %d",
					all.Type(), field.Name, n, rest.Field(i).Int(), held.Field(i).Int())
			}
		}
	}
}
