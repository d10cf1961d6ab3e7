package data_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/choice"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/data/text"
)

// readers read tables of every kind of example, with or without quotes, and return the number of rows and what was odd.
var readers = map[string]func(file, content string, noQuotes bool) (int, []data.Warning, error){
	"text,label": func(file, content string, noQuotes bool) (int, []data.Warning, error) {
		return result(text.ReadBytes([]byte(content), file, text.Options{NoQuotes: noQuotes}))
	},
	"context,ending0,ending1,label": func(file, content string, noQuotes bool) (int, []data.Warning, error) {
		return result(choice.ReadBytes([]byte(content), file, choice.Options{NoQuotes: noQuotes}))
	},
	"prompt,completion": func(file, content string, noQuotes bool) (int, []data.Warning, error) {
		return result(document.ReadBytes([]byte(content), file, document.Options{NoQuotes: noQuotes}))
	},
	"sentence_id,word,tag": func(file, content string, noQuotes bool) (int, []data.Warning, error) {
		return result(tagged.ReadBytes([]byte(content), file, tagged.Options{NoQuotes: noQuotes}))
	},
}

// result returns what the tests look at.
func result[F interface {
	Len() int
	ReadWarnings() []data.Warning
}](f F, err error) (int, []data.Warning, error) {
	if err != nil {
		return 0, nil, err
	}
	return f.Len(), f.ReadWarnings(), nil
}

// An unpaired quote that swallows rows is refused in TSV and pointed out in CSV, for every kind of table.
func TestQuotesThatSwallowRows(t *testing.T) {
	for header, read := range readers {
		rest := ",0\n"
		if strings.HasPrefix(header, "context") {
			rest = ",a,b,0\n"
		}
		swallowed := header + "\n0" + rest + `"starts here, so` + rest + "in the middle" + rest + `last row"` + rest
		tabs := strings.ReplaceAll(strings.ReplaceAll(swallowed, ", so", ""), ",", "\t")
		if strings.HasPrefix(header, "sentence_id") { // the quote is in the column of words
			swallowed = header + "\n0,a,O\n1,\"b,O\n1,c,O\n1,d\",O\n"
			tabs = strings.ReplaceAll(swallowed, ",", "\t")
		}
		_, _, err := read("f.tsv", tabs, false)
		var e *data.Error
		if !errors.As(err, &e) || e.Line != 3 || !strings.Contains(err.Error(), "one row of 3 lines") ||
			!strings.Contains(err.Error(), "`no_quotes`") {
			t.Errorf("%s: TSV: %v", header, err)
		}
		n, odd, err := read("f.csv", swallowed, false)
		if err != nil || len(odd) != 1 || odd[0].Line != 3 || odd[0].Count != 1 ||
			!strings.Contains(odd[0].Message, "(lines 3 to 5)") {
			t.Errorf("%s: CSV: %d rows, %v, %v", header, n, odd, err)
		}
		if _, odd, err = read("f.tsv", tabs, true); err != nil || len(odd) > 0 {
			t.Errorf("%s: TSV without quotes: %v, %v", header, odd, err)
		}
	}
}

// Texts of several lines are read in CSV, and in TSV if they have no tabs, without a word.
func TestQuotedLines(t *testing.T) {
	for _, tt := range []struct {
		name, file, content string
		odd                 bool
	}{
		{"a letter", "f.csv", "text,label\n\"Dear Ann,\nthe card came, thank you.\n\nBob\",x\n", false},
		{"a comma in each line", "f.csv", "text,label\n\"Hello, Bob\nsee you, Ann\",x\n", false},
		{"a list", "f.csv", "text,label\n\"one\ntwo\nthree\",x\n", false},
		{"two rows of two columns", "f.csv", "text,label\n\"one,x\ntwo\",y\n", true},
		{"another delimiter", "f.csv", "text;label\n\"one;x\ntwo;y\nthree\";x\n", true},
		{"lines of TSV", "f.tsv", "text\tlabel\n\"one\ntwo\"\tx\n", false},
		{"lines of TSV, one with tabs", "f.tsv", "text\tlabel\n\"one\ttwo\tthree\nfour\"\tx\n", false},
		{"a tab within a line of TSV", "f.tsv", "text\tlabel\n\"one\ttwo\"\tx\n", false},
	} {
		o := text.Options{}
		if strings.Contains(tt.content, ";") {
			o.Delimiter = ';'
		}
		f, err := text.ReadBytes([]byte(tt.content), tt.file, o)
		if err != nil || f.Len() != 1 || (len(f.ReadWarnings()) > 0) != tt.odd {
			t.Errorf("%s: %+v, %v", tt.name, f, err)
		}
	}
	_, err := text.ReadBytes([]byte("label\ttext\na\t\"one\nb\t two\"\n"), "f.tsv", text.Options{})
	if err == nil || !strings.Contains(err.Error(), "`no_quotes`") {
		t.Errorf("a text that begins with a space: %v", err)
	}
	_, err = text.ReadBytes([]byte("text\tlabel\n\"a\tx\nb\"\ty\n"), "f.csv", text.Options{Delimiter: '\t'})
	if err == nil || !strings.Contains(err.Error(), "`no_quotes`") {
		t.Errorf("tabs in CSV: %v", err)
	}
	// One column, read without labels: nothing tells a row of three lines from three rows.
	f, err := text.ReadBytes([]byte("text\n\"a\nb\"\n"), "f.csv", text.Options{NoLabels: true})
	if err != nil || f.Len() != 1 || len(f.ReadWarnings()) > 0 {
		t.Errorf("one column: %v", err)
	}
}
