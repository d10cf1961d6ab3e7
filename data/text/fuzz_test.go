package text

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// seed adds the fixtures and the broken contents of the tables to a corpus.
func seed(f *testing.F, pattern string, more ...string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds %s: %v", pattern, err)
	}
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	for _, s := range more {
		f.Add([]byte(s))
	}
}

// checkFile holds what every file that was read must fulfil.
func checkFile(t *testing.T, content []byte, table *File, err error) {
	t.Helper()
	if err != nil {
		var e *data.Error
		if !errors.As(err, &e) && !errors.Is(err, data.ErrOption) {
			t.Fatalf("the error %v is of no known kind", err)
		}
		return
	}
	last := 0
	for e := range table.Values() {
		if !utf8.ValidString(e.Text) || e.Line <= last || e.Line > len(content)+1 {
			t.Fatalf("row %+v after line %d", e, last)
		}
		last = e.Line
	}
	p, _, err := GuessProblem(table)
	if err != nil {
		return
	}
	l, err := FindLabels(p, data.LabelSource{}, table)
	if err != nil {
		return
	}
	back, err := data.DecodeLabels(l.Encode(), "labels.json")
	if err != nil || !slices.Equal(back.Names, l.Names) {
		t.Fatalf("labels %q come back as %v, %v", l.Names, back, err)
	}
	Warnings(l, table, nil, table)
	if rest, held, err := table.SplitOff(0.3, 1); err == nil && rest.Len()+held.Len() != table.Len() {
		t.Fatal("a split lost rows")
	}
}

// FuzzCSV: every file that is read obeys the laws of checkFile.
func FuzzCSV(f *testing.F) {
	seed(f, "*.csv", "text,label\n\"a\nb\"\"\",x\n", "a,b\"c\n", "\"a\"b,\n", "\"", "a,\n\n,b\n", "\xEF\xBB\xBFa,b",
		"a\rb\r\nc", "a\x00", "\"a\",\"\",\"")
	f.Fuzz(func(t *testing.T, content []byte) {
		table, err := ReadBytes(content, "f.csv", Options{NoHeader: true, TextColumn: "0", LabelColumn: "1"})
		checkFile(t, content, table, err)
	})
}

// FuzzUnquotedTSV holds the reader without quotes to splitting strings.
func FuzzUnquotedTSV(f *testing.F) {
	seed(f, "*.tsv", "a\t\"b\n\n\tc", "a\rb\r\nc\n\r", "\"\t\"\n")
	f.Fuzz(func(t *testing.T, content []byte) {
		o := Options{NoHeader: true, NoQuotes: true, TextColumn: "1", LabelColumn: "0", OptionalLabels: true}
		table, err := ReadBytes(content, "f.tsv", o)
		checkFile(t, content, table, err)
		if err != nil {
			return
		}
		var want []string
		text := strings.TrimPrefix(string(content), "\uFEFF")
		for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
			want = append(want, strings.Split(line, "\t")[1])
		}
		if len(want) != table.Len() {
			t.Fatalf("%d rows, want %d", table.Len(), len(want))
		}
		for i, e := range table.All() {
			if e.Text != want[i] {
				t.Fatalf("row %d is %q, want %q", i, e.Text, want[i])
			}
		}
	})
}

// FuzzJSONLines: every file that is read obeys the laws of checkFile.
func FuzzJSONLines(f *testing.F) {
	seed(f, "*.jsonl", `{"text":"a","label":["x","y"]}`, `{"text":"a","label":[0,1]}`+"\n"+`{"text":"b","label":[1,1]}`,
		`{"text":"\ud83d\ude00","text_pair":"","label":1.5}`,
		`{"text":"a","label":1,}`, `{"text":"a","text":"b"}`, `{"te`, `[1]`, `{"text":"\ud800"}`, "{}\n{}",
		`{"text":"a","label":null}`, `{"a":{"b":[{}]}} `)
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, o := range []Options{{}, {OptionalLabels: true}, {NoLabels: true}} {
			table, err := ReadBytes(content, "f.jsonl", o)
			checkFile(t, content, table, err)
		}
	})
}
