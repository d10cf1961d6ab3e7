package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"unicode/utf8"
)

// TokenExample is one sentence or text with a tag for each of its words.
type TokenExample struct {
	// Text is the sentence; of rows that came as words, these joined by one space.
	Text string
	// Words are its words, in order; those of raw texts as [SplitWords] finds them.
	Words []Word
	// Tags has a tag for each word, none of them ""; nil if none are given.
	Tags []string
	// Split says that the row came as words: each is tokenised alone, as
	// transformers' is_split_into_words does.
	Split bool
	Line  int // 1-based line at which the row begins in its file
}

// Word returns the text of word i. For all words of a long text, [TokenExample.WordTexts] is faster.
func (e TokenExample) Word(i int) string {
	w := e.Words[i]
	from := codePoint(e.Text, w.From)
	return e.Text[from : from+codePoint(e.Text[from:], w.To-w.From)]
}

// WordTexts returns the texts of all words.
func (e TokenExample) WordTexts() []string {
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

// TokenTable is what was read from one file of tagged sentences. It is not changed by
// any function of this package and is safe for concurrent reading.
type TokenTable struct {
	Name     string         // of the file, for messages
	Format   Format         // how the file was read
	Columns  TokenColumns   // which columns were used
	Examples []TokenExample // in the order of the file
	// Indices says that the tags were numbers in JSON: tag "3" is class 3 until
	// [TokenTable.WithNames] gives it a name.
	Indices bool
	Spans   bool // the tags were made, in the scheme IOB2, of spans of characters

	Blank       int // blank lines of JSON Lines that were skipped
	Replaced    int // lines in which bytes that are not UTF-8 were replaced
	Moved       int // spans that were moved to the borders of words
	Overlapping int // spans that were left out, as they share a word with another
	Repaired    int // tags changed by [TokenTable.Repair]

	movedLine, overlapLine, repairedLine int // first row of each
}

// TokenColumns names the columns (JSON: keys) that tagged sentences were read from, ""
// for none. Of CoNLL, a column's name is its number, counted from 0. Tags may be a list
// of spans too.
type TokenColumns struct{ Tokens, Text, Tags string }

// The formats of tagged sentences, beside JSONLines and PlainText.
const (
	CoNLL  Format = "conll"  // a word with its tag in every line, a blank line between sentences
	CoNLLU Format = "conllu" // CoNLL-U of Universal Dependencies
)

// TokenOptions say how a file of tagged sentences is read. The zero value reads tagged
// sentences in the format of the file name's ending. An option that has no meaning for
// the format is an error, not ignored.
type TokenOptions struct {
	// Format is "conll", "conllu", "jsonl" (an object in every line, or one list of
	// objects) or "txt" (a raw text in every line, no tags); "" takes it from the file
	// name: .conll, .bio, .iob, .iob2, .iobes, .conllu, .jsonl, .ndjson, .json, .txt. With
	// a Delimiter other names mean CoNLL. A stream named - (standard input) is jsonl if it
	// begins with { or [, else txt.
	Format Format
	// Delimiter separates the columns of CoNLL. 0: tabs if the first row has one, else
	// runs of spaces.
	Delimiter rune
	// TokensColumn and TagsColumn are numbers, from 0, for CoNLL (default: the first and
	// the last column) and CoNLL-U, which knows its columns by name in any case as well
	// (default: FORM and UPOS). For JSON they are keys: words and tags are looked up, in
	// any case, as tokens, else words; and tags, else ner_tags, else the one that is
	// there of labels, pos_tags, upos, chunk_tags.
	TokensColumn, TagsColumn string
	// TextColumn is the key of JSON rows that are texts with spans of characters
	// (default: text, else sentence); TagsColumn is then that of the spans (default:
	// spans, else entities, else the one that is there of labels, label).
	TextColumn string
	// OptionalLabels accepts files and rows without tags, for prediction.
	OptionalLabels bool
	// NoLabels reads sentences only, whatever tags there are.
	NoLabels bool
	// Strict refuses spans that are not on the borders of words or share a word with
	// another one, instead of counting them.
	Strict bool
	// ReplaceInvalid replaces bytes that are not UTF-8 by U+FFFD and counts the lines,
	// instead of failing.
	ReplaceInvalid bool
	// MaxSamples stops after so many sentences; 0 reads all.
	MaxSamples int
}

// ReadTokens reads a file of tagged sentences. Errors about the file are an [*Error],
// errors about o wrap [ErrOption].
func ReadTokens(path string, o TokenOptions) (*TokenTable, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadTokensFrom(f, path, o)
}

// ReadTokensBytes reads as [ReadTokens] does, from memory.
func ReadTokensBytes(content []byte, name string, o TokenOptions) (*TokenTable, error) {
	return ReadTokensFrom(bytes.NewReader(content), name, o)
}

// ReadTokensFrom reads as [ReadTokens] does, from a stream. The name stands in messages,
// and its ending tells the format unless o does.
func ReadTokensFrom(r io.Reader, name string, o TokenOptions) (*TokenTable, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	lines, err := newLineReader(r, name, o.ReplaceInvalid)
	if err != nil {
		return nil, err
	}
	format, err := o.format(lines)
	if err != nil {
		return nil, err
	}
	if err := o.fits(format, name); err != nil {
		return nil, err
	}
	t := &TokenTable{Name: name, Format: format}
	switch format {
	case CoNLL, CoNLLU:
		err = (&conllReader{t: t, o: o, lines: lines}).read()
	case JSONLines:
		t.Blank, err = readJSON(lines, &tokenRows{t: t, o: o})
	default:
		err = t.readPlain(lines, o)
	}
	if err != nil {
		return nil, err
	}
	t.Replaced = lines.replaced
	if len(t.Examples) == 0 {
		if lines.line == 0 {
			return nil, errorAt(name, 0, "the file is empty")
		}
		return nil, errorAt(name, 0, "the file has no sentences")
	}
	return t, nil
}

// full reports whether there are as many sentences as were asked for.
func (t *TokenTable) full(o TokenOptions) bool {
	return o.MaxSamples > 0 && len(t.Examples) >= o.MaxSamples
}

// readPlain takes every line as a text, empty lines too, so that line n of the file is
// example n-1.
func (t *TokenTable) readPlain(lines *lineReader, o TokenOptions) error {
	for !t.full(o) {
		line, _, err := lines.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		text := string(line)
		t.Examples = append(t.Examples, TokenExample{Text: text, Words: SplitWords(text), Line: lines.line})
	}
	return nil
}

// joinWords returns an example of words that came apart.
func joinWords(words []string, line int) TokenExample {
	e := TokenExample{Words: make([]Word, len(words)), Split: true, Line: line}
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

// Labelled returns the number of sentences that have tags.
func (t *TokenTable) Labelled() int {
	n := 0
	for i := range t.Examples {
		if t.Examples[i].Tags != nil {
			n++
		}
	}
	return n
}

// Limit returns a table of the first n sentences; n <= 0 returns all.
func (t *TokenTable) Limit(n int) *TokenTable {
	c := *t
	if n > 0 && n < len(t.Examples) {
		c.Examples = t.Examples[:n:n]
	}
	return &c
}

// Hash returns the SHA-256 of the sentences in hexadecimal: texts, words and tags in
// order, not the bytes of the file. Two tables with the same hash train alike, whatever
// their format, line ends or other columns.
func (t *TokenTable) Hash() string {
	h := sha256.New()
	for i := range t.Examples {
		e := &t.Examples[i]
		hashString(h, e.Text)
		var kind uint64
		if e.Split {
			kind |= 1
		}
		if e.Tags != nil {
			kind |= 2
		}
		hashNumber(h, kind)
		hashNumber(h, uint64(len(e.Words)))
		for _, w := range e.Words {
			hashNumber(h, uint64(w.From))
			hashNumber(h, uint64(w.To))
		}
		for _, tag := range e.Tags {
			hashString(h, tag)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
