package tagged

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// Sentence is one sentence or text with a tag for each of its words.
type Sentence struct {
	// Text is the sentence. The words of a row that is a list of words are joined by one space.
	Text string
	// Words are its words, in order; [SplitWords] finds those of raw texts.
	Words []Word
	// Tags has a tag for each word, none of them ""; nil if none are given.
	Tags []string
	// Split says that the row is a list of words: each is tokenised alone, as transformers' is_split_into_words does.
	Split bool
	Line  int // 1-based line at which the row begins in its file
}

// Code passes the fields of the sentence. Places of words are stored relative to the word before, which takes fewer
// bytes.
func (e Sentence) Code(c *data.Coder) Sentence {
	if !c.Hashes() {
		c.Int(&e.Line)
	}
	c.Text(&e.Text)
	kind := 0
	if e.Split {
		kind |= 1
	}
	if e.Tags != nil {
		kind |= 2
	}
	c.Int(&kind)
	e.Split = kind&1 != 0
	end := 0
	data.CodeList(c, &e.Words, func(w *Word) {
		if c.Hashes() {
			end = 0
		}
		from, to := w.From-end, w.To-end
		c.Int(&from)
		c.Int(&to)
		if word := (Word{end + from, end + to}); word != *w { // c has read it
			*w = word
		}
		end = w.To
	})
	if c.Hashes() {
		for _, tag := range e.Tags {
			c.Text(&tag)
		}
		return e
	}
	if data.CodeList(c, &e.Tags, c.Text); kind&2 != 0 && e.Tags == nil {
		e.Tags = []string{}
	}
	return e
}

// StartLine returns the line at which the sentence begins.
func (e Sentence) StartLine() int { return e.Line }

// Key identifies the words, and where they come from; ok is false if there are none.
func (e Sentence) Key() (key string, ok bool) {
	if !e.Split {
		return "\x00" + e.Text, len(e.Words) > 0
	}
	return strings.Join(e.WordTexts(), "\x00"), len(e.Words) > 0
}

func (e Sentence) labelled() bool { return e.Tags != nil }

// Raw returns a sentence of a raw text, with its words and without tags.
func Raw(text string, line int) Sentence {
	return Sentence{Text: text, Words: SplitWords(text), Line: line}
}

// Word returns the text of word i. For all words of a long text, [Sentence.WordTexts] is faster.
func (e Sentence) Word(i int) string {
	w := e.Words[i]
	from := codePoint(e.Text, w.From)
	return e.Text[from : from+codePoint(e.Text[from:], w.To-w.From)]
}

// WordTexts returns the texts of all words.
func (e Sentence) WordTexts() []string {
	out := make([]string, len(e.Words))
	at, from := 0, 0 // from is the byte at which code point at begins
	for i, w := range e.Words {
		from += codePoint(e.Text[from:], w.From-at)
		n := codePoint(e.Text[from:], w.To-w.From)
		out[i] = e.Text[from : from+n]
		at, from = w.To, from+n
	}
	return out
}

// codePoint returns the byte at which code point n of s begins, len(s) behind the last.
func codePoint(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// File holds the tagged sentences of one file. No function of this package changes it after it was read, and it is safe
// for concurrent reading.
type File struct {
	data.File[Sentence]
	Columns Columns // which columns were used
	// Indices says that the tags were numbers in JSON: tag "3" is class 3 until [File.WithNames] gives it a name.
	Indices bool
	Spans   bool // the tags were made, in the scheme IOB2, of spans of characters

	// Offsets says what the offsets of the spans count, if not code points from 0 with the end exclusive, such as "count
	// units of UTF-16"; "" if they do. It is found out of all spans of the file: of the texts that they say they have, or
	// of the borders of words.
	Offsets string

	Converted   int // spans whose offsets were converted to code points, see Offsets
	Relocated   int // spans that were moved to the only place that has the text that they say they have
	Moved       int // spans that were moved to the borders of words
	Overlapping int // spans that were left out because they share a word with another
	Repaired    int // tags changed by [File.Repair]

	apart data.Tally // sentences with the name of one before, not right before

	// first row of each
	convertedLine, relocatedLine, movedLine, overlapLine, repairedLine int
}

// New returns a file of these sentences. Messages call it name. Its format is plain text.
func New(name string, sentences ...Sentence) *File {
	return &File{File: data.NewFile(name, data.PlainText, sentences...)}
}

// Columns names the columns (JSON: keys) that tagged sentences were read from, "" for none. In CoNLL a column's name is
// its number, counted from 0. Tags may also be a list of spans.
type Columns struct{ Tokens, Text, Tags, Sentence string }

// The formats of tagged sentences, beside JSONLines and PlainText.
const (
	CoNLL  data.Format = "conll"  // a word with its tag in every line, a blank line between sentences
	CoNLLU data.Format = "conllu" // CoNLL-U of Universal Dependencies
)

// Options say how a file of tagged sentences is read. The zero value reads tagged sentences in the format of the ending
// of the file name. An option that has no meaning for the format is an error.
type Options struct {
	// Format is "conll", "conllu", "csv", "tsv", "jsonl" or "txt" (a raw text in every line, no tags); "" takes it from
	// the file name: .conll, .bio, .iob, .iob2, .iobes, .conllu, .jsonl, .ndjson, .json, .txt. .csv and .tsv are CSV and
	// TSV with a word in every row, if their header has a column for the sentence. With a Delimiter other names mean
	// CoNLL. A stream named - (standard input) is jsonl if it begins with an object or a list of objects, else txt.
	Format data.Format
	// Delimiter separates the columns of CoNLL (0: tabs if the first row has one, else runs of spaces) and CSV.
	Delimiter rune
	// NoQuotes takes quotes in CSV and TSV as part of the text.
	NoQuotes bool
	// SentenceColumn names the column of CSV and TSV that says to which sentence a word belongs, in each of its rows or in
	// that of its first word (default: the one that is there of sentence #, sentence_id, sentence_idx, sentence, sent_id
	// and similar names). Words and tags are looked up, in any case, as word, token, words, tokens, form or text, and as
	// tag, ner_tag, ner, label, entity, tags, ner_tags or labels, else pos, pos_tag, upos or xpos.
	SentenceColumn string
	// TokensColumn and TagsColumn are numbers, from 0, for CoNLL (default: the first and the last column) and CoNLL-U,
	// which knows its columns by name in any case as well (default: FORM and UPOS). For CSV they are names of columns, for
	// JSON keys: there words and tags are looked up, in any case, as tokens, else words; and tags, else ner_tags, else the
	// one that is there of labels, pos_tags, upos, chunk_tags.
	TokensColumn, TagsColumn string
	// TextColumn is the key of JSON rows that are texts with spans of characters (default: text, else sentence);
	// TagsColumn is then that of the spans (default: spans, else entities, else the one that is there of labels, label,
	// ents).
	TextColumn string
	// OptionalLabels accepts files and rows without tags, for prediction.
	OptionalLabels bool
	// NoLabels reads sentences only, whatever tags there are.
	NoLabels bool
	// Strict refuses spans that are not on the borders of words, share a word with another one, or have offsets that were
	// converted or do not fit their text, instead of counting them.
	Strict bool
	// ReplaceInvalid replaces bytes that are not UTF-8 by U+FFFD and counts the lines, instead of failing.
	ReplaceInvalid bool
	// MaxSamples stops after this number of sentences; 0 reads all.
	MaxSamples int
	// Adapter, if not nil, makes rows name the adapter that serves them, see [data.Layout].
	Adapter func(name string) error
}

// Read reads a file of tagged sentences. Errors about the file are a [*data.Error], errors about o wrap
// [data.ErrOption].
func Read(path string, o Options) (*File, error) { return data.ReadPath(path, o, ReadFrom) }

// ReadBytes reads the content of a file from memory, like [Read].
func ReadBytes(content []byte, name string, o Options) (*File, error) {
	return ReadFrom(bytes.NewReader(content), name, o)
}

// ReadFrom reads the content of a file from a stream, like [Read]. Messages call the stream name, and the ending of the
// name decides the format unless o does.
func ReadFrom(r io.Reader, name string, o Options) (*File, error) {
	rows := &rows{f: New(name), o: o}
	return data.ReadRows(rows.f, r, data.Reading{
		Layout: data.Layout{Format: o.Format, ReplaceInvalid: o.ReplaceInvalid, MaxSamples: o.MaxSamples,
			Adapter: o.Adapter},
		Formats: []data.Format{CoNLL, CoNLLU, data.CSV, data.TSV, data.JSONLines, data.PlainText}, Noun: "sentences",
		Check: o.check, Detect: o.detect, Fits: o.fits, Rows: rows, Other: rows.other,
		End: rows.placeAll,
	})
}

// other reads a format that is not JSON. Every line of plain text is a text, empty lines too, so that line n of the
// file is example n-1.
func (r *rows) other(lines *data.Lines, f data.Format) error {
	words := conllReader{f: r.f, o: r.o, lines: lines}
	switch f {
	case CoNLL, CoNLLU:
		return words.read()
	case data.CSV, data.TSV:
		return (&tableReader{conllReader: words}).read()
	}
	return data.ReadLines(lines, r.Enough, func(text string, line int) { r.f.Append(Raw(text, line)) })
}

// OfWords returns the sentence that a list of words makes, joined by one space, without tags.
func OfWords(words []string, line int) Sentence {
	e := Sentence{Words: make([]Word, len(words)), Split: true, Line: line}
	var text []byte
	at := 0
	for i, w := range words {
		if i > 0 {
			text = append(text, ' ')
			at++
		}
		text = append(text, w...)
		n := utf8.RuneCountInString(w)
		e.Words[i] = Word{at, at + n}
		at += n
	}
	e.Text = string(text)
	return e
}

// Limit returns the first n sentences; n <= 0 returns all.
func (f *File) Limit(n int) *File { return data.Limit(f, n) }

// WithoutTags returns the sentences without their tags.
func (f *File) WithoutTags() *File {
	return data.Map(f, func(e Sentence) Sentence {
		e.Tags = nil
		return e
	})
}

// Labelled returns the number of sentences that have tags.
func (f *File) Labelled() int { return f.Count(Sentence.labelled) }
