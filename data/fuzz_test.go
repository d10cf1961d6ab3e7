package data

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
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

// checkTable holds what every table that was read must fulfil.
func checkTable(t *testing.T, content []byte, table *Table, err error) {
	t.Helper()
	if err != nil {
		var e *Error
		if !errors.As(err, &e) && !errors.Is(err, ErrOption) {
			t.Fatalf("the error %v is of no known kind", err)
		}
		return
	}
	last := 0
	for _, e := range table.Examples {
		if !utf8.ValidString(e.Text) || e.Line <= last || e.Line > len(content)+1 {
			t.Fatalf("row %+v after line %d", e, last)
		}
		last = e.Line
	}
	p, _, err := GuessProblem(table)
	if err != nil {
		return
	}
	l, err := FindLabels(p, LabelSource{}, table)
	if err != nil {
		return
	}
	back, err := DecodeLabels(l.Encode(), "labels.json")
	if err != nil || !slices.Equal(back.Names, l.Names) {
		t.Fatalf("labels %q come back as %v, %v", l.Names, back, err)
	}
	Warnings(l, table, nil, table)
	if rest, held, err := table.SplitOff(0.3, 1); err == nil && len(rest.Examples)+len(held.Examples) != len(table.Examples) {
		t.Fatal("a split lost rows")
	}
}

// FuzzCSV holds the reader to encoding/csv: the same records, or an error from
// both. Where the two differ on purpose (a lone CR ends a line; CRLF inside
// quotes is kept) only the laws of checkTable apply.
func FuzzCSV(f *testing.F) {
	seed(f, "*.csv", "text,label\n\"a\nb\"\"\",x\n", "a,b\"c\n", "\"a\"b,\n", "\"", "a,\n\n,b\n", "\xEF\xBB\xBFa,b", "a\rb\r\nc", "a\x00", "\"a\",\"\",\"")
	f.Fuzz(func(t *testing.T, content []byte) {
		table, err := ReadTextBytes(content, "f.csv", ReadOptions{NoHeader: true, TextColumn: "0", LabelColumn: "1"})
		checkTable(t, content, table, err)
		if strings.ContainsAny(string(content), "\r\x00") || !utf8.Valid(content) || foreign(content[:min(512, len(content))]) != "" {
			return
		}
		lines, err := newLineReader(strings.NewReader(string(content)), "f.csv", false)
		if err != nil {
			t.Fatal(err)
		}
		got := &recordReader{lines: lines, delimiter: []byte(","), quotes: true}
		want := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(content), "\uFEFF")))
		want.FieldsPerRecord = -1
		for {
			a, errA := got.next()
			b, errB := want.Read()
			if (errA == nil) != (errB == nil) || errors.Is(errA, io.EOF) != errors.Is(errB, io.EOF) {
				t.Fatalf("got %q, %v; encoding/csv has %q, %v", a, errA, b, errB)
			}
			if errA != nil {
				return
			}
			if !slices.EqualFunc(a, b, func(x []byte, y string) bool { return string(x) == y }) {
				t.Fatalf("got %q; encoding/csv has %q", a, b)
			}
			if line, _ := want.FieldPos(0); line != got.start {
				t.Fatalf("line %d; encoding/csv has %d", got.start, line)
			}
		}
	})
}

// FuzzUnquotedTSV holds the reader without quotes to splitting strings.
func FuzzUnquotedTSV(f *testing.F) {
	seed(f, "*.tsv", "a\t\"b\n\n\tc", "a\rb\r\nc\n\r", "\"\t\"\n")
	f.Fuzz(func(t *testing.T, content []byte) {
		o := ReadOptions{NoHeader: true, NoQuotes: true, TextColumn: "1", LabelColumn: "0", OptionalLabels: true}
		table, err := ReadTextBytes(content, "f.tsv", o)
		checkTable(t, content, table, err)
		if err != nil {
			return
		}
		var want []string
		text := strings.TrimPrefix(string(content), "\uFEFF")
		for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
			want = append(want, strings.Split(line, "\t")[1])
		}
		if len(want) != len(table.Examples) {
			t.Fatalf("%d rows, want %d", len(table.Examples), len(want))
		}
		for i, e := range table.Examples {
			if e.Text != want[i] {
				t.Fatalf("row %d is %q, want %q", i, e.Text, want[i])
			}
		}
	})
}

// FuzzJSONLines holds the rows that are read to encoding/json, and the values
// of an accepted row to those of a lenient reader.
func FuzzJSONLines(f *testing.F) {
	seed(f, "*.jsonl", `{"text":"a","label":["x","y"]}`, `{"text":"a","label":[0,1]}`+"\n"+`{"text":"b","label":[1,1]}`, `{"text":"\ud83d\ude00","text_pair":"","label":1.5}`,
		`{"text":"a","label":1,}`, `{"text":"a","text":"b"}`, `{"te`, `[1]`, `{"text":"\ud800"}`, "{}\n{}", `{"text":"a","label":null}`, `{"a":{"b":[{}]}} `)
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, o := range []ReadOptions{{}, {OptionalLabels: true}, {NoLabels: true}} {
			table, err := ReadTextBytes(content, "f.jsonl", o)
			checkTable(t, content, table, err)
		}
		row, keys, err := parseObject(content)
		if err != nil || !utf8.Valid(content) {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(content, &want); err != nil {
			t.Fatalf("%q is taken, but %v", content, err)
		}
		if !reflect.DeepEqual(row, want) || len(keys) != len(want) {
			t.Fatalf("%q: got %q, want %q", content, row, want)
		}
	})
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

// FuzzDocuments: every list that is read obeys the laws of documents, and reading
// what it says again gives the same hash.
func FuzzDocuments(f *testing.F) {
	for _, s := range []string{
		"a\r\nb", `{"text":"a"}`, `{"prompt":"a","completion":"b"}`, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
		`{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b","name":"x"}]}`, `{"messages":[{"from":"a","value":"b"}]}`,
		"prompt,completion\na,\"b\"\n", "text\n\"a\nb\"\n", `{"messages":[[]]}`, `{"messages":[null]}`, `{"conversations":[{}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, file := range []string{"f.txt", "f.jsonl", "f.csv"} {
			d, err := ReadDocumentsBytes(content, file, DocumentOptions{})
			if err != nil {
				var e *Error
				if !errors.As(err, &e) && !errors.Is(err, ErrOption) {
					t.Fatalf("the error %v is of no known kind", err)
				}
				continue
			}
			last := 0
			again := *d
			again.List = nil
			for _, e := range d.List {
				if e.Line <= last || e.Line > len(content)+1 || e.Given > len(e.Messages) || !utf8.ValidString(e.Text+e.Prompt+e.Completion) {
					t.Fatalf("document %+v after line %d", e, last)
				}
				last = e.Line
				if (d.Kind == ChatDocument) != (len(e.Messages) > 0) {
					t.Fatalf("%v: %+v", d.Kind, e)
				}
				again.List = append(again.List, e)
			}
			if again.Hash() != d.Hash() {
				t.Fatal("equal documents, two hashes")
			}
			DocumentWarnings(d, nil, d)
			if rest, held, err := d.SplitOff(0.3, 1); err == nil && len(rest.List)+len(held.List) < len(d.List) {
				t.Fatal("a split lost documents")
			}
		}
	})
}

// FuzzReadChoices reads anything as a file of questions: no panic, and every question that is read is whole.
func FuzzReadChoices(f *testing.F) {
	for _, s := range []string{
		`{"context":"c","choices":["a","b"],"label":1}`, `{"sent1":"c","sent2":"q","ending0":"a","ending1":"b","label":1}`, "o\tc\ta\tb\t0\n", "[{\"ctx\":\"c\",\"endings\":[\"a\",\"b\"],\"label\":\"1\"}]",
		`{"question":{"stem":"q","choices":[{"text":"a","label":"A"},{"text":"b","label":"B"}]},"answerKey":"B"}`, `{"question":"q","choices":{"text":["a","b"],"label":["1","2"]},"answerKey":"2"}`,
		"{\n\"answers\":[\"B\"],\"options\":[[\"a\",\"b\"]],\"questions\":[\"q\"],\"article\":\"c\"}", "context,ending0,ending1,label\nc,a,b,1\n", "context,answerA,answerB,label\nc,a,,\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, o := range []ChoiceOptions{{Format: JSONLines}, {Format: CSV}, {Format: Codah}, {Format: JSONLines, OptionalLabels: true}} {
			c, err := ReadChoicesBytes(content, "f", o)
			if err != nil {
				var e *Error
				if !errors.As(err, &e) && !errors.Is(err, ErrOption) {
					t.Fatalf("the error %v is of no known kind", err)
				}
				continue
			}
			last := 1
			for _, e := range c.List {
				if e.Line < last || e.Line > len(content)+1 || len(e.Endings) < 2 || e.Label < -1 || e.Label >= len(e.Endings) || e.Label < 0 && !o.OptionalLabels {
					t.Fatalf("question %+v after line %d", e, last)
				}
				last = e.Line
				for i := range e.Endings {
					if first, second := e.Pair(i); blank(e.Endings[i]) || !utf8.ValidString(first+second+e.ID) {
						t.Fatalf("question %+v", e)
					}
				}
			}
			ChoiceWarnings(c, nil, c)
			if rest, held, err := c.SplitOff(0.3, 1); err == nil && len(rest.List)+len(held.List) != len(c.List) {
				t.Fatal("a split lost questions")
			}
		}
	})
}

// checkTokens holds what every table of tagged sentences that was read must fulfil.
func checkTokens(t *testing.T, content []byte, table *TokenTable, err error, o TokenOptions) {
	t.Helper()
	if err != nil {
		var e *Error
		if !errors.As(err, &e) && !errors.Is(err, ErrOption) {
			t.Fatalf("the error %v is of no known kind", err)
		}
		return
	}
	last := 0
	for _, e := range table.Examples {
		if !utf8.ValidString(e.Text) || e.Line < last || e.Line > len(content)+1 {
			t.Fatalf("sentence %+v after line %d", e, last)
		}
		last = e.Line
		if e.Tags == nil && !o.OptionalLabels && !o.NoLabels || e.Tags != nil && len(e.Tags) != len(e.Words) {
			t.Fatalf("%d tags for %d words: %+v", len(e.Tags), len(e.Words), e)
		}
		at := 0
		for i, w := range e.Words {
			if w.From < at || w.To < w.From || w.To > utf8.RuneCountInString(e.Text) || !e.Split && w.From == w.To {
				t.Fatalf("words %v of %q", e.Words, e.Text)
			}
			if at = w.To; e.Split && i > 0 && w.From != e.Words[i-1].To+1 {
				t.Fatalf("words %v of %q", e.Words, e.Text)
			}
		}
		if e.Split && strings.Join(e.WordTexts(), " ") != e.Text {
			t.Fatalf("words %q of %q", e.WordTexts(), e.Text)
		}
		for _, tag := range e.Tags {
			if tag == "" {
				t.Fatalf("an empty tag: %+v", e)
			}
		}
	}
	scheme, err := GuessScheme(table)
	if err == nil {
		if table, err = table.Repair(scheme); err != nil {
			t.Fatalf("the tags are not of the scheme %s that was guessed: %v", scheme, err)
		}
	}
	l, err := FindTags(LabelSource{}, table)
	if err == nil {
		TokenWarnings(l, table, nil, table)
	}
	if rest, held, err := table.SplitOff(0.3, 1); err == nil && len(rest.Examples)+len(held.Examples) != len(table.Examples) {
		t.Fatal("a split lost sentences")
	}
}

// FuzzCoNLL holds the reader of CoNLL to splitting strings: words and tags of every line that has both.
func FuzzCoNLL(f *testing.F) {
	for _, s := range []string{"a O\nb B-X\n\nc O", "a\tO\r\n\r\n-DOCSTART- O\rb\tI-X", "# O\n#x O", "a X O\nb O", "a\t\n", "\xEF\xBB\xBFa b", "a  \tO", "a\u00a0b O", "1\ta\t_\tX\t_\t_\t_\t_\t_\t_\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, file := range []string{"f.conll", "f.conllu"} {
			for _, o := range []TokenOptions{{}, {OptionalLabels: true}, {NoLabels: true}, {TagsColumn: "1", TokensColumn: "0"}, {Delimiter: '|', ReplaceInvalid: true}} {
				table, err := ReadTokensBytes(content, file, o)
				checkTokens(t, content, table, err, o)
			}
		}
		table, err := ReadTokensBytes(content, "f.conll", TokenOptions{Delimiter: ' ', TagsColumn: "1"})
		if err != nil {
			return
		}
		var want, got []string
		text := strings.TrimPrefix(string(content), "\uFEFF")
		for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
			row := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
			if len(row) > 0 && !strings.HasPrefix(line, "-DOCSTART-") {
				want = append(want, row[0], strings.TrimSpace(row[1]))
			}
		}
		for _, e := range table.Examples {
			for i, w := range e.WordTexts() {
				got = append(got, w, e.Tags[i])
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// FuzzTokenRows: every list of tagged sentences that is read from JSON obeys the laws of checkTokens.
func FuzzTokenRows(f *testing.F) {
	for _, s := range []string{
		`{"tokens":["a","b"],"tags":["O","B-X"]}`, `[{"tokens":["a"],"ner_tags":[3]},{"tokens":[],"ner_tags":[]}]`, `{"text":"a bc","spans":[{"start":0,"end":3,"label":"X"}]}`,
		`{"text":"a b","entities":[[0,1,"X"],[0,3,"Y"]]}`, `[{"userInput":{"text":"a b"},"labels":[{"slot":"s","valueSpan":{"endIndex":1}}]},{"userInput":{"text":""}}]`,
		`{"text":"\u0308\ud83d\ude00","label":[[0,1,"X"]]}`, `{"tokens":["a"]}`, `{"text":"a","spans":[[-1,9,"X"]]}`, `{"tokens":[" "],"tags":["I-X"]}`, "{\"tokens\":[\"a\"],\"tags\":[\"O\"]}\n{\"tok",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, o := range []TokenOptions{{}, {OptionalLabels: true}, {NoLabels: true}, {Strict: true}} {
			table, err := ReadTokensBytes(content, "f.json", o)
			checkTokens(t, content, table, err, o)
		}
	})
}

// FuzzSplitWords: words are in order, no visible character is lost, and words split into themselves.
func FuzzSplitWords(f *testing.F) {
	for _, s := range []string{"It's 13:00pm", "我要book", "e\u0301\u200dx \u200d", "❤\ufe0f", "\xff a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e := TokenExample{Text: text, Words: SplitWords(text)}
		inside := map[int]bool{}
		for i, w := range e.Words {
			if w.From >= w.To || i > 0 && w.From < e.Words[i-1].To {
				t.Fatalf("%q: words %v", text, e.Words)
			}
			for at := w.From; at < w.To; at++ {
				inside[at] = true
			}
			if again := SplitWords(e.Word(i)); len(again) != 1 || again[0] != (Word{0, w.To - w.From}) {
				t.Fatalf("%q: the word %q is split into %v", text, e.Word(i), again)
			}
		}
		for i, r := range []rune(text) {
			if unicode.IsGraphic(r) && !unicode.IsSpace(r) && !inside[i] {
				t.Fatalf("%q: %q is in no word", text, r)
			}
		}
	})
}
