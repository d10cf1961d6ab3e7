package pair

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spalora/spalora/data"
)

// checkError compares an error about a file, or about options (line -1), with its line and a part of its message.
func checkError(t *testing.T, err error, line int, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, want %q", err, want)
	}
	var e *data.Error
	switch {
	case line < 0 && !errors.Is(err, data.ErrOption):
		t.Errorf("%v is not about an option", err)
	case line >= 0 && (!errors.As(err, &e) || e.Line != line):
		t.Errorf("%v is not about line %d", err, line)
	}
}

func TestBadContent(t *testing.T) {
	enSV := Options{SourceLang: "en", TargetLang: "sv"}
	for _, tt := range []struct {
		name, file, content string
		options             Options
		line                int // -1 for an option
		want                string
	}{
		{"empty", "f.jsonl", "", Options{}, 0, "the file is empty"},
		{"empty, named as compressed", "f.jsonl.gz", "", Options{}, 0, "f.jsonl.gz: the file is empty"},
		{"header only", "f.csv", "source,target\n", Options{}, 0, "no rows below its header"},
		{"unknown ending", "f.dat.x1", "a\tb\n", Options{}, -1, "it looks like `format tsv`"},
		{"Latin-1", "f.tsv", "source\ttarget\na\tb\nc\tcaf\xE9\n", Options{}, 3, "byte 6 of the line"},
		{"NUL", "f.en", "a\x00b\n", Options{OptionalLabels: true}, 1, "is NUL"},
		{"UTF-16", "f.en", "a\x00b\x00\n\x00", Options{OptionalLabels: true}, 0, "looks like UTF-16"},
		{"truncated", "f.jsonl", `{"source":"a","target":"b"}` + "\n" + `{"source":"a","tar`, Options{}, 2,
			"the last line ends in the middle of a row"},
		{"duplicate key", "f.jsonl", `{"source":"a","source":"b"}`, Options{}, 1, `the key "source" is there twice`},
		{"lone surrogate", "f.jsonl", `{"source":"\ud800","target":"b"}`, Options{}, 1, "half of a surrogate pair"},
		{"quote inside", "f.tsv", "source\ttarget\na \"b\" c\td\n", Options{}, 2, "`no_quotes`"},
		{"fields", "f.csv", "source,target\na,b,c\n", Options{}, 2, "the row has 3 fields, but the header has 2"},
		{"header twice", "f.csv", "source,target\na,b\nsource,target\n", Options{}, 3, "repeats the header"},
		{"column twice", "f.csv", "source,target,target\na,b,c\n", Options{}, 1, `the column "target" is there twice`},

		{"no known names", "f.csv", "en,sv\na,b\n", Options{}, 1, "say which with `source_column` and `target_column`, or " +
			"with `source_lang` and `target_lang` if they are named after their languages; there is \"en\", \"sv\""},
		{"languages of other names", "f.csv", "en,sv\na,b\n", Options{SourceLang: "de", TargetLang: "sv"}, 1,
			"(no column is called de)"},
		{"one language twice", "f.csv", "en,sv\na,b\n", Options{SourceLang: "en", TargetLang: "en_XX"}, 1, "say which"},
		{"several sources", "f.jsonl", `{"document":"a","text":"b","summary":"c"}`, Options{}, 1,
			"the source may be \"document\" or \"text\"; say which with `source_column`"},
		{"a source and a translation", "f.jsonl", `{"text":"a","summary":"b","translation":{}}`, Options{}, 1,
			`the source may be "text" or "translation"`},
		{"several targets", "f.jsonl", `{"source":"a","target":"b","references":["c"]}`, Options{}, 1,
			"the target may be \"target\" or \"references\"; say which with `target_column`"},
		{"several targets of one of several sources", "f.jsonl", `{"article":"a","highlights":"b","abstract":"c"}`,
			Options{}, 1,
			"the target may be \"highlights\" or \"abstract\""},
		{"several targets in a later row", "f.jsonl", `{"source":"a"}` + "\n" + `{"source":"a","target":"b","reference":"c"}`,
			Options{OptionalLabels: true}, 2, "the target may be \"target\" or \"reference\""},
		{"TSV named as CSV", "f.csv", "source\ttarget\na\tb\n", Options{}, 1, "another delimiter? try `delimiter '\\t'`"},
		{"no target", "f.csv", "source,label\na,b\n", Options{}, 1, "no columns have names that are known"},
		{"no target of a named source", "f.csv", "mr,ref\na,b\n", Options{SourceColumn: "mr", TargetLang: "sv"}, 1,
			"say which column is the target with `target_column` (no column is called sv)"},
		{"no source of a named target", "f.csv", "mr,ref\na,b\n", Options{TargetColumn: "ref"}, 1,
			"say which column is the source with `source_column`"},
		{"misspelt", "f.csv", "MR,ref\na,b\n", Options{SourceColumn: "mr", TargetColumn: "ref"}, 1, `did you mean "MR"?`},
		{"without a header", "f.csv", "a,b\n", Options{NoHeader: true}, 1, "by number from 0: 0 = \"a\", 1 = \"b\""},

		{"row without a source", "f.jsonl", `{"source":"a","target":"b"}` + "\n" + `{"target":"b"}`, Options{}, 2,
			`the row has no "source"`},
		{"row without a target", "f.jsonl", `{"source":"a","target":"b"}` + "\n" + `{"source":"b"}`, Options{}, 2,
			`the row has no "target"`},
		{"null", "f.jsonl", `{"source":"a","target":null}`, Options{}, 1, `"target" is "null", not a string or a list`},
		{"null source", "f.jsonl", `{"source":null,"target":"b"}`, Options{OptionalLabels: true}, 1,
			`"source" is "null", not`},
		{"a number", "f.jsonl", `{"source":1,"target":"b"}`, Options{}, 1,
			`"source" is "1", not a string or a list of strings`},
		{"a list with a number", "f.jsonl", `{"source":"a","target":["b",1]}`, Options{}, 1,
			`element 2 of "target" is "1", not a string`},
		{"no targets", "f.jsonl", `{"source":"a","target":[]}`, Options{}, 1, `"target" is an empty list`},
		{"rows within", "f.json", `{"data":[{"source":"a","target":"b"}]}`, Options{}, 1, `if the rows are the list "data"`},

		{"two languages, which not said", "f.jsonl", `{"translation":{"en":"a","sv":"b"}}`, Options{}, 1,
			"\"translation\": it has texts for \"en\", \"sv\": say which is the source with `source_lang` and which the " +
				"target with `target_lang`"},
		{"two languages, one said", "f.jsonl", `{"translation":{"en":"a","sv":"b"}}`, Options{SourceLang: "en"}, 1,
			"say which is the source with `source_lang`"},
		{"another source language", "f.jsonl", `{"translation":{"en":"a","sv":"b"}}`,
			Options{SourceLang: "de", TargetLang: "sv"}, 1,
			"`source_lang`: there is no text for \"de\"; there is \"en\", \"sv\""},
		{"another target language", "f.jsonl", `{"translation":{"en":"a","sv":"b"}}`,
			Options{SourceLang: "en", TargetLang: "de"}, 1, "`target_lang`: there is no text for \"de\""},
		{"the same language", "f.jsonl", `{"translation":{"en":"a","sv":"b"}}`,
			Options{SourceLang: "en", TargetLang: "en_XX"}, 1, "name the same text (\"en\")"},
		{"a language is missing later", "f.jsonl",
			`{"translation":{"en":"a","sv":"b"}}` + "\n" + `{"translation":{"en":"a"}}`,
			enSV, 2, `"translation": it has no "sv"`},
		{"no translation later", "f.jsonl", `{"translation":{"en":"a","sv":"b"}}` + "\n" + `{"en":"a","sv":"b"}`, enSV, 2,
			`the row has no "translation"`},
		{"a language twice", "f.jsonl", `{"translation":{"en":"a","en":"b","sv":"c"}}`, enSV, 1,
			`the key "en" is there twice`},
		{"a translation that is a text", "f.jsonl", `{"translation":"a"}`, enSV, 1,
			`"translation" is "\"a\"", not an object with a text for each language`},
		{"a language that is a number", "f.jsonl", `{"translation":{"en":1,"sv":"c"}}`, enSV, 1,
			`"translation": "en" is "1", not a string`},

		{"plain text to train on", "f.txt", "a\n", Options{}, -1, "has no targets: give the file of the targets too"},
		{"columns of plain text", "f.en", "a\n", Options{OptionalLabels: true, SourceColumn: "a"}, -1, "has no columns"},
		{"a header of plain text", "f.en", "a\n", Options{OptionalLabels: true, NoHeader: true}, -1,
			"`no_header` is for CSV"},
		{"the same column", "f.csv", "a,b\n", Options{SourceColumn: "a", TargetColumn: "a"}, -1, "are the same (\"a\")"},
		{"a target that is not read", "f.csv", "a,b\n", Options{NoLabels: true, TargetColumn: "b"}, -1,
			"no targets are read"},
		{"negative limit", "f.csv", "a,b\n", Options{MaxSamples: -1}, -1, "negative"},
		{"unknown format", "f.csv", "a,b\n", Options{Format: "xml"}, -1, `format "xml" is none of csv, tsv, jsonl, txt`},
		{"JSON named after a language", "f.en", `{"source":"a"}`, Options{OptionalLabels: true}, -1,
			"it looks like `format jsonl`"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadBytes([]byte(tt.content), tt.file, tt.options)
			checkError(t, err, tt.line, tt.want)
		})
	}
}

func TestBadParallel(t *testing.T) {
	for _, tt := range []struct {
		name, source, left, target, right string
		options                           Options
		line                              int
		want                              string
	}{
		{"fewer targets", "t.en", "a\nb\nc\n", "t.sv", "x\ny\n", Options{}, 0, "t.en: the file has 3 lines, but "},
		{"fewer targets, both counts", "t.en", "a\nb\nc\n", "t.sv", "x\ny\n", Options{}, 0,
			"t.sv has 2: line n of one must be the target of line n of the other"},
		{"fewer sources", "t.en.gz", "a\n", "t.sv.gz", "x\ny\nz\n", Options{}, 0, "t.sv.gz has 3: line n"},
		{"a lone CR", "t.en", "a\rb\nc\n", "t.sv", "x\ny\n", Options{}, 0, "t.en, a lone CR ends 1 line"},
		{"no sources", "t.en", "", "t.sv", "x\n", Options{}, 0, "the file has 0 lines, but"},
		{"nothing", "t.en", "", "t.sv", "", Options{}, 0, "the file is empty"},
		{"gaps only", "t.en", "a\n\n", "t.sv", "\nx\n", Options{}, 0, "no line has text both here and in "},
		{"Latin-1 in the sources", "t.en", "a\ncaf\xE9\n", "t.sv", "x\ny\n", Options{}, 2, "t.en:2: byte 4"},
		{"Latin-1 behind the last target", "t.en", "a\nb\ncaf\xE9\n", "t.sv", "x\n", Options{}, 3, "t.en:3: byte 4"},
		{"Latin-1 in the targets", "t.en", "a\nb\n", "t.sv", "x\ncaf\xE9\n", Options{}, 2, "t.sv:2: byte 4"},
		{"UTF-16 in the targets", "t.en", "a\nb\n", "t.sv", "\xFF\xFEx\x00", Options{}, 0, "t.sv: the file is UTF-16"},
		{"a table", "t.csv", "a\n", "t.sv", "x\n", Options{}, -1, "t.csv is named as csv, which has columns for both"},
		{"another format", "t.en", "a\n", "t.sv", "x\n", Options{Format: data.TSV}, -1, "not as tsv: give one file"},
		{"no targets to read", "t.en", "a\n", "t.sv", "x\n", Options{NoLabels: true}, -1, "where no targets are read"},
		{"columns", "t.en", "a\n", "t.sv", "x\n", Options{SourceColumn: "a"}, -1, "has no columns"},
		{"adapters", "t.en", "a\n", "t.sv", "x\n", Options{Adapter: func(string) error { return nil }}, -1,
			"cannot name an adapter"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			paths := write(t, tt.source, tt.left, tt.target, tt.right)
			_, err := ReadParallel(paths[0], paths[1], tt.options)
			checkError(t, err, tt.line, tt.want)
		})
	}
	path := write(t, "t.en", "a\n")[0]
	_, err := ReadParallel(path, path, Options{})
	checkError(t, err, -1, "are the same file")
	none := filepath.Join(t.TempDir(), "none")
	for _, names := range [][2]string{{path, none}, {none, path}} {
		_, err := ReadParallel(names[0], names[1], Options{})
		checkError(t, err, 0, "none: there is no such file")
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v is not os.ErrNotExist", err)
		}
	}
}
