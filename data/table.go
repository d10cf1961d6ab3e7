package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"math"
)

// Example is one row of a table: a text or a pair of texts, and a label.
type Example struct {
	Text    string
	Pair    string // second text, "" without HasPair
	HasPair bool
	Label   Label
	Line    int // 1-based line at which the row begins in its file
}

// Table is what was read from one file. It is not changed by any function of
// this package and is safe for concurrent reading.
type Table struct {
	Name     string    // of the file, for messages
	Format   Format    // how the file was read
	Columns  Columns   // which columns were used
	Examples []Example // in the order of the file
	Blank    int       // blank lines that were skipped
	Replaced int       // lines in which bytes that are not UTF-8 were replaced
	Dropped  int       // rows left out by [Table.WithTargets]
	optional bool      // rows need no label
}

// Columns names the columns that a table was read from, "" for none. Without a
// header a column's name is its number, counted from 0.
type Columns struct{ Text, Pair, Label string }

// ReadOptions say how a file is read. The zero value reads a labelled file with
// a header and well-known column names in the format of its file name ending.
// An option that has no meaning for the format is an error, not ignored.
type ReadOptions struct {
	// Format is "csv", "tsv", "jsonl" or "txt" (one text per line, no labels);
	// "" takes it from the file name: .csv, .tsv, .tab, .jsonl, .ndjson, .json
	// (one object per line), .txt. With a Delimiter other names mean CSV. A
	// stream named - (standard input) is jsonl if it begins with {, else txt.
	Format Format
	// Delimiter separates the fields of CSV (0 = comma) and TSV (0 = tab).
	Delimiter rune
	// NoHeader says that the first line of CSV or TSV is a row. The columns are
	// then given by number, counted from 0 as pandas does.
	NoHeader bool
	// NoQuotes says that quotes in CSV or TSV are part of the text. By default
	// they follow RFC 4180 in both, and a stray quote is an error.
	NoQuotes bool
	// TextColumn, PairColumn and LabelColumn name the columns (JSON: keys).
	// Those not given are looked up among well-known names, in any case: texts
	// are text (with text_pair), sentence1 and sentence2, premise and hypothesis,
	// question1 and question2, question and sentence, anchor and positive, sentence,
	// question, review, content, utterance, message or query; labels are label, else
	// labels, else category, class, target, intent or score. If several fit, it is an
	// error; a given TextColumn without a PairColumn reads single texts.
	TextColumn, PairColumn, LabelColumn string
	// Scores says that the labels are scores of pairs: a column score wins over label
	// then, and single texts have none that is not given.
	Scores bool
	// LabelSeparator makes a list of each label in CSV or TSV: with "|" the
	// field "a|b" is two labels and an empty field is none (multi-label).
	LabelSeparator string
	// OptionalLabels accepts files and rows without labels, for prediction. Where the
	// first rows of JSON Lines have none, the first one that has tells the key.
	OptionalLabels bool
	// NoLabels reads texts only, whatever other columns there are.
	NoLabels bool
	// ReplaceInvalid replaces bytes that are not UTF-8 by U+FFFD and counts the
	// lines, instead of failing.
	ReplaceInvalid bool
	// MaxSamples stops after so many rows; 0 reads all.
	MaxSamples int
}

// ReadText reads a file of texts or pairs of texts with labels. Errors about
// the file are an [*Error], errors about o wrap [ErrOption].
func ReadText(path string, o ReadOptions) (*Table, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadTextFrom(f, path, o)
}

// ReadTextFrom reads as [ReadText] does, from a stream. The name stands in
// messages, and its ending tells the format unless o does.
func ReadTextFrom(r io.Reader, name string, o ReadOptions) (*Table, error) {
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
	t := &Table{Name: name, Format: format, optional: o.OptionalLabels || o.NoLabels}
	switch format {
	case JSONLines:
		t.Blank, err = readObjects(lines, &tableRows{t: t, o: o})
	case PlainText:
		err = t.readPlain(lines, o)
	default:
		t.Blank, err = readRecords(lines, format, o, &tableRows{t: t, o: o})
	}
	if err != nil {
		return nil, err
	}
	t.Replaced = lines.replaced
	if len(t.Examples) == 0 {
		if lines.line == 0 {
			return nil, errorAt(name, 0, "the file is empty")
		}
		return nil, errorAt(name, 0, "the file has no rows%s", headerOnly(format, o))
	}
	return t, nil
}

// ReadTextBytes reads as [ReadText] does, from memory.
func ReadTextBytes(content []byte, name string, o ReadOptions) (*Table, error) {
	return ReadTextFrom(bytes.NewReader(content), name, o)
}

func headerOnly(f Format, o ReadOptions) string {
	if f.delimited() && !o.NoHeader {
		return " below its header (if the first line is a row, say --no-header)"
	}
	return ""
}

// full reports whether the table has as many rows as were asked for.
func (t *Table) full(o ReadOptions) bool {
	return o.MaxSamples > 0 && len(t.Examples) >= o.MaxSamples
}

// readPlain takes every line as a text, empty lines too, so that line n of the
// file is example n-1.
func (t *Table) readPlain(lines *lineReader, o ReadOptions) error {
	for !t.full(o) {
		line, _, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		t.Examples = append(t.Examples, Example{Text: string(line), Line: lines.line})
	}
	return nil
}

// Labelled returns the number of rows that have a label.
func (t *Table) Labelled() int {
	n := 0
	for i := range t.Examples {
		if t.Examples[i].Label.Kind != NoLabel {
			n++
		}
	}
	return n
}

// Limit returns a table of the first n rows; n <= 0 returns all.
func (t *Table) Limit(n int) *Table {
	c := *t
	if n > 0 && n < len(t.Examples) {
		c.Examples = t.Examples[:n:n]
	}
	return &c
}

// Hash returns the SHA-256 of the rows in hexadecimal: texts, pairs and labels
// in order, not the bytes of the file. Two tables with the same hash train
// alike, whatever their format, line ends or other columns.
func (t *Table) Hash() string {
	h := sha256.New()
	for i := range t.Examples {
		e := &t.Examples[i]
		hashString(h, e.Text)
		if e.HasPair {
			h.Write([]byte{1})
			hashString(h, e.Pair)
		} else {
			h.Write([]byte{0})
		}
		hashLabel(h, e.Label)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hashString(h hash.Hash, s string) {
	hashNumber(h, uint64(len(s)))
	io.WriteString(h, s)
}

func hashNumber(h hash.Hash, v uint64) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], v)
	h.Write(n[:])
}

func hashLabel(h hash.Hash, l Label) {
	h.Write([]byte{byte(l.Kind)})
	switch l.Kind {
	case NameLabel:
		hashString(h, l.Name)
	case IndexLabel:
		hashNumber(h, uint64(l.Index))
	case NumberLabel:
		hashNumber(h, math.Float64bits(l.Number))
	case ListLabel:
		hashNumber(h, uint64(len(l.List)))
		for _, e := range l.List {
			hashLabel(h, e)
		}
	}
}

// CheckPairs returns an error if some of the tables of a run hold pairs of
// texts and others single texts. nil tables are skipped.
func CheckPairs(tables ...*Table) error {
	var first *Table
	what := map[bool]string{true: "pairs of texts", false: "single texts"}
	for _, t := range tables {
		if t == nil || len(t.Examples) == 0 {
			continue
		}
		if first == nil {
			first = t
		}
		if pair := t.Examples[0].HasPair; pair != first.Examples[0].HasPair {
			return errorAt(t.Name, t.Examples[0].Line, "the rows are %s, but those of %s are %s: name the columns alike, or see --text-column and --text-pair-column",
				what[pair], first.Name, what[!pair])
		}
	}
	return nil
}

// CheckScores returns an error if some pairs of a table have a score and others have none.
func (t *Table) CheckScores() error {
	var with, without *Example
	for i := range t.Examples {
		e := &t.Examples[i]
		switch {
		case !e.HasPair:
		case e.Label.Kind == NoLabel && without == nil:
			without = e
		case e.Label.Kind != NoLabel && with == nil:
			with = e
		}
	}
	if with == nil || without == nil {
		return nil
	}
	return errorAt(t.Name, without.Line, "the pair has no score, but that of line %d has: either all have one or none has", with.Line)
}
