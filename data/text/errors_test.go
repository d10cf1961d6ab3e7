package text

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/spalora/spalora/data"
)

// TestBadContent holds the message for every kind of broken file: each names
// the file, the line, what was found, and what to do.
func TestBadContent(t *testing.T) {
	numbers := Options{NoHeader: true}
	tests := []struct {
		name, file, content string
		options             Options
		line                int
		want                string // part of the message
	}{
		// The whole file.
		{"empty", "f.csv", "", Options{}, 0, "the file is empty"},
		{"empty JSON", "f.jsonl", "", Options{}, 0, "the file is empty"},
		{"only a byte order mark", "f.csv", "\xEF\xBB\xBF", Options{}, 0, "the file is empty"},
		{"only blank lines", "f.csv", "\n\r\n\n", Options{}, 0, "the file has no rows"},
		{"only blank JSON lines", "f.jsonl", "\n \t\n", Options{}, 0, "the file has no rows"},
		{"header only", "f.csv", "text,label\n", Options{}, 0,
			"the file has no rows below its header (if the first line is a row, use `no_header`)"},
		// Encodings.
		{"NaN", "f.jsonl", `{"text":"a","label":NaN}`, Options{}, 1,
			"byte 21: not JSON: it has no NaN or Infinity, which Python writes; write null"},
		{"UTF-32 with mark", "f.csv", "\xFF\xFE\x00\x00t\x00\x00\x00", Options{}, 0, "UTF-32 (byte order mark)"},
		{"UTF-16 with mark", "f.csv", "\xFF\xFEt\x00e\x00x\x00", Options{}, 0, "UTF-16 (byte order mark)"},
		{"UTF-16BE with mark", "f.csv", "\xFE\xFF\x00t\x00e", Options{}, 0, "UTF-16 (byte order mark)"},
		{"UTF-16 without mark", "f.csv", "t\x00e\x00x\x00t\x00,\x00", Options{}, 0, "looks like UTF-16"},
		{"UTF-16BE without mark", "f.jsonl", "\x00{\x00\"\x00t\x00e", Options{}, 0, "looks like UTF-16"},
		{"Latin-1", "f.csv", "text,label\na,x\ncaf\xE9,x\n", Options{}, 3,
			"byte 4 of the line (offset 18 of the file) is 0xE9, which is not UTF-8"},
		{"Latin-1 in quotes", "f.csv", "text,label\n\"a\nb\xFC\",x\n", Options{}, 3,
			"byte 2 of the line (offset 15 of the file) is 0xFC"},
		{"after a mark", "f.csv", "\xEF\xBB\xBFtext\xFF", Options{}, 1, "byte 5 of the line (offset 7 of the file) is 0xFF"},
		{"encoded surrogate", "f.jsonl", "{\"text\":\"\xED\xA0\x80\",\"label\":1}", Options{}, 1, "byte 10 of the line"},
		{"cut character", "f.csv", "text,label\na,\xC3", Options{}, 2, "is 0xC3"},
		{"NUL", "f.csv", "text,label\na\x00,x\n", Options{}, 2, "byte 2 of the line (offset 12 of the file) is NUL"},
		{"NUL, even with replacing", "f.csv", "text,label\na\x00,x\n", Options{ReplaceInvalid: true}, 2, "is NUL"},
		{"gzip", "f.csv", "\x1F\x8B\x08\x00", Options{}, 0, "compressed with gzip; unpack it"},
		{"bzip2", "f.csv", "BZh91AY", Options{}, 0, "compressed with bzip2"},
		{"xz", "f.csv", "\xFD7zXZ\x00", Options{}, 0, "compressed with xz"},
		{"zstd", "f.csv", "\x28\xB5\x2F\xFD", Options{}, 0, "compressed with zstd"},
		{"zip or Excel", "f.csv", "PK\x03\x04", Options{}, 0, "zip archive or a spreadsheet"},
		{"Parquet", "f.csv", "PAR1\x15", Options{}, 0, "Parquet"},
		{"Arrow", "f.csv", "ARROW1\x00", Options{}, 0, "Arrow"},
		// Quotes.
		{"quote inside", "f.csv", "text,label\na,x\nhe said \"no\",x\n", Options{}, 3, "field 1 has a quote inside"},
		{"quote inside TSV", "f.tsv", "text\tlabel\na 5\" disk\tx\n", Options{}, 2, "`no_quotes`"},
		{"space before a quote", "f.csv", "text,label\na, \"x\"\n", Options{}, 2, "field 2 has a quote inside"},
		{"text after a quote", "f.csv", "text,label\n\"a\" b,x\n", Options{}, 2,
			`field 1 ("a") continues after its closing quote with " b,x"`},
		{"text after a quote, lines later", "f.csv", "text,label\n\"a,x\nb,y\n\"c,z\n", Options{}, 2,
			"continues after its closing quote in line 4"},
		{"never closed", "f.csv", "text,label\na,x\n\"b,y\nc,z\n", Options{}, 3,
			"field 1 opens a quote that is not closed before the end of the file"},
		{"never closed, last byte", "f.csv", "text,label\na,\"", Options{}, 2, "field 2 opens a quote"},
		{"never closed in the header", "f.csv", "\"text,label\na,x\n", Options{}, 1, "field 1 opens a quote"},
		// Columns.
		{"no text column", "f.csv", "title,label\na,x\n", Options{}, 1,
			"say which with `text_column`; there is \"title\", \"label\" (if the first line is a row, use `no_header`)"},
		{"no label column", "f.csv", "text,title\na,x\n", Options{}, 1, "say which with `label_column`"},
		{"half a pair", "f.csv", "sentence1,label\na,x\n", Options{}, 1, "say which with `text_column`"},
		{"two texts", "f.csv", "review,sentence,label\na,b,x\n", Options{}, 1, `the text may be "sentence" or "review"`},
		{"two labels", "f.csv", "text,class,category\na,b,x\n", Options{}, 1, `the label may be "category" or "class"`},
		{"three labels, optional", "f.csv", "text,class,score,category\na,b,1,x\n", Options{OptionalLabels: true}, 1,
			"the label may be \"category\" or \"class\" or \"score\"; say which with `label_column` (or `no_labels`)"},
		{"two labels of pairs", "f.csv", "sentence1,sentence2,class,category\na,b,1,x\n",
			Options{OptionalLabels: true, Scores: true}, 1,
			"the label may be \"category\" or \"class\"; say which with `label_column`"},
		{"two labels that come late", "f.jsonl", "{\"text\":\"a\"}\n{\"text\":\"b\",\"class\":\"x\",\"score\":1}",
			Options{OptionalLabels: true}, 2, `the label may be "class" or "score"`},
		{"column missing", "f.csv", "text,label\na,x\n", Options{TextColumn: "body"}, 1,
			"`text_column`: there is no column \"body\"; there is \"text\", \"label\""},
		{"column in another case", "f.csv", "Text,label\na,x\n", Options{TextColumn: "text"}, 1, `did you mean "Text"?`},
		{"pair column missing", "f.csv", "text,label\na,x\n", Options{PairColumn: "b"}, 1, "`text_pair_column`"},
		{"label column missing", "f.csv", "text,label\na,x\n", Options{LabelColumn: "label "}, 1, `did you mean "label"?`},
		{"label column missing where optional", "f.csv", "text,label\na,x\n", Options{LabelColumn: "y", OptionalLabels: true},
			1, `there is no column "y"`},
		{"key missing", "f.jsonl", `{"text":"a","label":1}`, Options{TextColumn: "body"}, 1,
			`there is no key "body"; there is "text", "label"`},
		{"number with a header", "f.csv", "text,label\na,x\n", Options{TextColumn: "0"}, 1,
			"columns go by number only with `no_header`"},
		{"header twice", "f.csv", "text,label,text\na,x,b\n", Options{}, 1,
			`the column "text" is there twice (0 and 2, counted from 0)`},
		{"header repeated", "f.csv", "text,label\na,x\ntext,label\n", Options{}, 3, "repeats the header of line 1"},
		{"TSV given as CSV", "f.csv", "text\tlabel\na\tx\n", Options{}, 1, "another delimiter? try `delimiter '\\t'`"},
		{"semicolons given as CSV", "f.csv", "text;label\na;x\n", Options{}, 1, "`delimiter ';'`"},
		{"CSV given as TSV", "f.tsv", "text,label\na,x\n", Options{}, 1, "`delimiter ','`"},
		{"no header, no columns", "f.csv", "a,x\nb,y\n", numbers, 1, `by number from 0: 0 = "a", 1 = "x"`},
		{"no header, no label", "f.csv", "a,x\nb,y\n", Options{NoHeader: true, TextColumn: "0"}, 1,
			"which column is the label with `label_column`"},
		{"no header, counted from 1", "f.csv", "a,x\nb,y\n", Options{NoHeader: true, TextColumn: "1", LabelColumn: "2"}, 1,
			"`label_column 2`: without a header the columns go by number, 0 to 1"},
		{"no header, but a name", "f.csv", "a,x\nb,y\n", Options{NoHeader: true, TextColumn: "text", LabelColumn: "1"}, 1,
			"`text_column text`"},
		{"many columns", "f.csv", strings.Repeat("c,", 30) + "d\n", Options{}, 1, "… (31 in all)"},
		// Rows.
		{"fewer fields", "f.csv", "text,label\na,x\nb\n", Options{}, 3,
			`the row has 1 field, but the header has 2 ("text", "label")`},
		{"more fields", "f.csv", "text,label\na,x\nb,c,y\n", Options{}, 3, "has 3 fields, but the header has 2"},
		{"more fields, remedy", "f.csv", "text,label\nb,c,y\n", Options{}, 2, "needs double quotes"},
		{"more fields, no quotes", "f.csv", "text,label\n\"b,c\",y\n", Options{NoQuotes: true}, 2,
			"with `no_quotes` no text can hold the delimiter"},
		{"more fields, no header", "f.csv", "a,x\nb,c,y\n", Options{NoHeader: true, TextColumn: "0", LabelColumn: "1"}, 2,
			"but the first row has 2"},
		{"another delimiter in a row", "f.csv", "text,label\na;x\n", Options{}, 2, "other delimiters"},
		{"empty label", "f.csv", "text,label\na,x\nb,\n", Options{}, 3, `the label (column "label") is empty`},
		{"label of spaces", "f.csv", "text,label\na, \n", Options{}, 2, "is empty"},
		{"empty part of a label", "f.csv", "text,label\na,x||y\n", Options{LabelSeparator: "|"}, 2,
			`the label "x||y" has an empty part`},
		// JSON.
		{"trailing comma", "f.jsonl", `{"text":"a","label":1,}`, Options{}, 1, "byte 23: not JSON"},
		{"key twice", "f.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"a\",\"label\":1,\"text\":\"b\"}", Options{}, 2,
			`the key "text" is there twice`},
		{"pretty printed later", "f.json", "{\"text\":\"a\",\"label\":1}\n{\n\"text\":\"a\",\n\"label\":1}\n", Options{}, 2,
			"one whole object in every line"},
		{"a list of strings", "f.json", "[\"a\"]", Options{}, 1, "the row is a string, not an object"},
		{"row is a string", "f.jsonl", `"a"`, Options{}, 1, "the row is a string, not an object"},
		{"row is a list", "f.jsonl", "{\"text\":\"a\",\"label\":1}\n[1]", Options{}, 2, "the row is a list, not an object"},
		{"row is a number", "f.jsonl", `3`, Options{}, 1, "the row is a number"},
		{"row is true", "f.jsonl", `true`, Options{}, 1, "the row is true"},
		{"row is null", "f.jsonl", `null`, Options{}, 1, "the row is null"},
		{"truncated", "f.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\",\"la", Options{}, 2,
			"the last line ends in the middle of a row"},
		{"truncated after a value", "f.jsonl", `{"text":"a","label":1`, Options{}, 1,
			"the last line ends in the middle of a row"},
		{"truncated after a brace", "f.jsonl", `{`, Options{}, 1, "the last line ends in the middle of a row"},
		{"truncated in a word", "f.jsonl", `{"text":"a","label":tru`, Options{}, 1,
			"the last line ends in the middle of a row"},
		{"two rows in a line", "f.jsonl", `{"text":"a","label":1} {"text":"b","label":1}`, Options{}, 1, "byte 24: "},
		{"text after the row", "f.jsonl", `{"text":"a","label":1},`, Options{}, 1, `"," follows the object`},
		{"single quotes", "f.jsonl", `{'text':'a'}`, Options{}, 1, "byte 2: not JSON"},
		{"NaN", "f.jsonl", `{"text":"a","label":NaN}`, Options{}, 1, "not JSON"},
		{"number with a zero before", "f.jsonl", `{"text":"a","label":01}`, Options{}, 1, "not JSON"},
		{"wrong bracket", "f.jsonl", `{"text":"a","label":1]`, Options{}, 1, "not JSON"},
		{"control character", "f.jsonl", "{\"text\":\"a\tb\",\"label\":1}", Options{}, 1, "not JSON"},
		{"half a surrogate pair", "f.jsonl", `{"text":"\ud83d","label":1}`, Options{}, 1,
			`byte 10: \ud83d is half of a surrogate pair`},
		{"low surrogate", "f.jsonl", `{"text":"\\\ude00","label":1}`, Options{}, 1, `\ude00 is half`},
		{"high surrogate twice", "f.jsonl", `{"text":"\ud83d\ud83d\ude00","label":1}`, Options{}, 1, "byte 10: "},
		{"surrogate in a key", "f.jsonl", `{"\ud83d":1}`, Options{}, 1, "half of a surrogate pair"},
		{"deep nesting", "f.jsonl", `{"text":` + strings.Repeat("[", 100000), Options{}, 1, "max depth"},
		{"no text in a row", "f.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"label\":1}", Options{}, 2, `the row has no "text"`},
		{"no label in a row", "f.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b\"}", Options{}, 2,
			`the row has no "label"`},
		{"text is a number", "f.jsonl", `{"text":5,"label":1}`, Options{}, 1, `"text" is "5", not a string`},
		{"text is null", "f.jsonl", `{"text":null,"label":1}`, Options{}, 1, `"text" is "null", not a string`},
		{"pair in a later row", "f.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"a\",\"text_pair\":\"b\",\"label\":1}",
			Options{}, 2, "either every row is a pair or none is"},
		{"pair not in a later row", "f.jsonl",
			"{\"text\":\"a\",\"text_pair\":\"b\",\"label\":1}\n{\"text\":\"a\",\"label\":1}", Options{}, 2,
			`the row has no "text_pair" (the first row is a pair)`},
		{"label is null", "f.jsonl", `{"text":"a","label":null}`, Options{}, 1, `"label": the label is "null"`},
		{"label is empty", "f.jsonl", `{"text":"a","label":" "}`, Options{}, 1, "the label is empty"},
		{"label is an object", "f.jsonl", `{"text":"a","label":{"a":1}}`, Options{}, 1, "give a class name"},
		{"label is a list of lists", "f.jsonl", `{"text":"a","label":[[1]]}`, Options{}, 1, "element 1"},
		{"label is a mixed list", "f.jsonl", `{"text":"a","label":["x",1]}`, Options{}, 1,
			"the list mixes names and numbers"},
		{"label is too large", "f.jsonl", `{"text":"a","label":99999999999999999999}`, Options{}, 1, "too large an integer"},
		{"label is too large a number", "f.jsonl", `{"text":"a","label":1e999}`, Options{}, 1, "too large a number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, err := ReadBytes([]byte(tt.content), tt.file, tt.options)
			if err == nil {
				t.Fatalf("no error, but %+v", slices.Collect(table.Values()))
			}
			var e *data.Error
			if !errors.As(err, &e) || errors.Is(err, data.ErrOption) {
				t.Fatalf("not an error about the file: %v", err)
			}
			if e.File != tt.file || e.Line != tt.line {
				t.Errorf("at %s:%d, want %s:%d", e.File, e.Line, tt.file, tt.line)
			}
			if s := err.Error(); !strings.HasPrefix(s, "data: "+tt.file+":") || !strings.Contains(s, tt.want) ||
				strings.ContainsAny(s, "\n\r") {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestBadOptions(t *testing.T) {
	tests := []struct {
		name, file string
		options    Options
		want       string
	}{
		{"format", "f.csv", Options{Format: "xls"}, `format "xls" is none of csv, tsv, jsonl, txt`},
		{"unknown ending, JSON", "f", Options{}, "it looks like `format jsonl`"},
		{"negative limit", "f.csv", Options{MaxSamples: -1}, "negative: -1"},
		{"same columns", "f.csv", Options{TextColumn: "a", LabelColumn: "a"}, "the same"},
		{"same pair", "f.csv", Options{TextColumn: "a", PairColumn: "a"}, "the same"},
		{"pair is label", "f.csv", Options{PairColumn: "a", LabelColumn: "a"}, "the same"},
		{"delimiter is a quote", "f.csv", Options{Delimiter: '"'}, "cannot be a delimiter"},
		{"delimiter is a newline", "f.csv", Options{Delimiter: '\n'}, "cannot be a delimiter"},
		{"delimiter for JSON", "f.jsonl", Options{Delimiter: ';'},
			"`delimiter` is for CSV and TSV files; f.jsonl is read as jsonl"},
		{"no header for JSON", "f.jsonl", Options{NoHeader: true}, "`no_header` is for"},
		{"no quotes for JSON", "f.jsonl", Options{NoQuotes: true}, "`no_quotes` is for"},
		{"separator for JSON", "f.jsonl", Options{LabelSeparator: "|"}, "`label_separator` is for"},
		{"columns in plain text", "f.txt", Options{TextColumn: "a", OptionalLabels: true}, "has no columns"},
		{"labels in plain text", "f.txt", Options{}, "has no labels"},
		{"label column without labels", "f.csv", Options{LabelColumn: "a", NoLabels: true}, "no labels are read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadBytes([]byte("{\"a\":1}\n"), tt.file, tt.options)
			if !errors.Is(err, data.ErrOption) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an option error with %q", err, tt.want)
			}
		})
	}
	for content, want := range map[string]string{"a\tb\n": "tsv", "a,b\n": "csv", "a b\n": "txt"} {
		_, err := ReadBytes([]byte(content), "f.dat", Options{})
		if !errors.Is(err, data.ErrOption) || !strings.Contains(err.Error(), "`format "+want) {
			t.Errorf("%q: %v, want `format %s`", content, err, want)
		}
	}
}

func TestBadFiles(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "no.csv")
	for path, want := range map[string]string{
		missing: "there is no such file",
		dir:     "this is a directory",
	} {
		_, err := Read(path, Options{})
		var e *data.Error
		if !errors.As(err, &e) || e.File != path || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := Read(missing, Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v does not wrap os.ErrNotExist", err)
	}
	if _, err := Read("", Options{}); !errors.Is(err, data.ErrOption) {
		t.Errorf("empty name: %v, want an option error", err)
	}
}

// A stream that fails in the middle must not look like its end.
func TestReadFault(t *testing.T) {
	broken := errors.New("broken disk")
	for _, file := range []string{"f.csv", "f.tsv", "f.jsonl", "f.txt"} {
		for _, content := range []string{"", "text,label\n", "text\tlabel\n\"a\n", `{"text":"a","label":1}` + "\n", "text"} {
			r := io.MultiReader(strings.NewReader(content), iotest.ErrReader(broken))
			_, err := ReadFrom(r, file, Options{OptionalLabels: true})
			var e *data.Error
			if !errors.As(err, &e) {
				t.Errorf("%s, %q: %v, want an *Error", file, content, err)
			}
			if content == "" && !errors.Is(err, broken) {
				t.Errorf("%s: %v does not wrap the cause", file, err)
			}
		}
	}
}
