package tagged

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// checkTokens holds what every table of tagged sentences that was read must fulfil.
func checkTokens(t *testing.T, content []byte, table *File, err error, o Options) {
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
	l, err := FindLabels(data.LabelSource{}, table)
	if err == nil {
		Warnings(l, table, nil, table)
	}
	if rest, held, err := table.SplitOff(0.3, 1); err == nil && rest.Len()+held.Len() != table.Len() {
		t.Fatal("a split lost sentences")
	}
}

// FuzzCoNLL holds the reader of CoNLL to splitting strings: words and tags of every line that has both.
func FuzzCoNLL(f *testing.F) {
	for _, s := range []string{"a O\nb B-X\n\nc O", "a\tO\r\n\r\n-DOCSTART- O\rb\tI-X", "# O\n#x O", "a X O\nb O", "a\t\n",
		"\xEF\xBB\xBFa b", "a  \tO", "a\u00a0b O", "1\ta\t_\tX\t_\t_\t_\t_\t_\t_\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, file := range []string{"f.conll", "f.conllu"} {
			for _, o := range []Options{{}, {OptionalLabels: true}, {NoLabels: true}, {TagsColumn: "1", TokensColumn: "0"},
				{Delimiter: '|', ReplaceInvalid: true}} {
				table, err := ReadBytes(content, file, o)
				checkTokens(t, content, table, err, o)
			}
		}
		table, err := ReadBytes(content, "f.conll", Options{Delimiter: ' ', TagsColumn: "1"})
		if err != nil {
			return
		}
		var want, got []string
		text := strings.TrimPrefix(string(content), "\uFEFF")
		for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
			row := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
			if sentenceID.MatchString(line) || otherComment.MatchString(line) {
				return // may be a comment
			}
			if len(row) > 0 && !strings.HasPrefix(line, "-DOCSTART-") {
				want = append(want, row[0], strings.TrimSpace(row[1]))
			}
		}
		for e := range table.Values() {
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
		`{"tokens":["a","b"],"tags":["O","B-X"]}`, `[{"tokens":["a"],"ner_tags":[3]},{"tokens":[],"ner_tags":[]}]`,
		`{"text":"a bc","spans":[{"start":0,"end":3,"label":"X"}]}`,
		`{"text":"a b","entities":[[0,1,"X"],[0,3,"Y"]]}`,
		`[{"userInput":{"text":"a b"},"labels":[{"slot":"s","valueSpan":{"endIndex":1}}]},{"userInput":{"text":""}}]`,
		`{"text":"\u0308\ud83d\ude00","label":[[0,1,"X"]]}`, `{"tokens":["a"]}`, `{"text":"a","spans":[[-1,9,"X"]]}`,
		`{"tokens":[" "],"tags":["I-X"]}`, "{\"tokens\":[\"a\"],\"tags\":[\"O\"]}\n{\"tok",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, o := range []Options{{}, {OptionalLabels: true}, {NoLabels: true}, {Strict: true}} {
			table, err := ReadBytes(content, "f.json", o)
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
		e := Sentence{Text: text, Words: SplitWords(text)}
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

// FuzzTable: every CSV of words that is read obeys the laws of checkTokens.
func FuzzTable(f *testing.F) {
	for _, s := range []string{
		"Sentence #,Word,POS,Tag\nSentence: 1,Ann,NNP,B-per\n,ran,VBD,O\nSentence: 2,\"\"\"\",``,O\n",
		"sentence_id,word,tag\n1,a,O\n1,b,\n2,c,O\n1,,O\n", "sent,token\nx,a\n", "sentence,word,tag,label\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, o := range []Options{{}, {OptionalLabels: true}, {NoLabels: true}, {NoQuotes: true, MaxSamples: 1}} {
			o.Format = data.CSV
			table, err := ReadBytes(content, "f.csv", o)
			checkTokens(t, content, table, err, o)
		}
	})
}
