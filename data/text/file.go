package text

import (
	"bytes"
	"io"

	"github.com/spalora/spalora/data"
)

// Example is one row of a file: a text or a pair of texts, and a label.
type Example struct {
	Text    string
	Pair    string // second text, "" without HasPair
	HasPair bool
	Label   data.Label
	Line    int // 1-based line at which the row begins in its file
}

// Code passes the fields of the example.
func (e Example) Code(c *data.Coder) Example {
	if !c.Hashes() {
		c.Int(&e.Line)
	}
	c.Text(&e.Text)
	if c.Bool(&e.HasPair); e.HasPair {
		c.Text(&e.Pair)
	}
	c.Label(&e.Label)
	return e
}

// StartLine returns the line at which the example begins.
func (e Example) StartLine() int { return e.Line }

// Key identifies the texts.
func (e Example) Key() (string, bool) {
	if e.HasPair {
		return e.Text + "\x00" + e.Pair + "\x00", true
	}
	return e.Text, true
}

// LabelOf returns the label of the example.
func (e Example) LabelOf() data.Label { return e.Label }

// File holds the texts or pairs of texts of one file. No function of this package changes it after it was read, and it
// is safe for concurrent reading.
type File struct {
	data.LabelledFile[Example]
	Columns Columns // which columns were used

	negatives string // a column of texts that do not belong to those of the rows, "" for none: it is not read
}

// Columns names the columns that a file was read from, "" for none. Without a header a column's name is its number,
// counted from 0.
type Columns struct{ Text, Pair, Label string }

// New returns a file of these rows. Messages call it name. Its format is plain text.
func New(name string, rows ...Example) *File {
	f := &File{}
	f.File = data.NewFile(name, data.PlainText, rows...)
	return f
}

// Options say how a file is read. The zero value reads a labelled file with a header and well-known column names in the
// format of the ending of its name. An option that has no meaning for the format is an error.
type Options struct {
	// Format is "csv", "tsv", "jsonl" or "txt" (one text per line, no labels); "" takes it from the file name: .csv, .tsv,
	// .tab, .jsonl, .ndjson, .json, .txt. With a Delimiter other names mean CSV. A stream named - (standard input) is
	// jsonl if it begins with an object or a list of objects, else txt.
	Format data.Format
	// Delimiter separates the fields of CSV (0 = comma) and TSV (0 = tab).
	Delimiter rune
	// NoHeader says that the first line of CSV or TSV is a row. The columns are then given by number, counted from 0 as
	// pandas does.
	NoHeader bool
	// NoQuotes says that quotes in CSV or TSV are part of the text. By default they follow RFC 4180 in both, and a stray
	// quote is an error.
	NoQuotes bool
	// TextColumn, PairColumn and LabelColumn name the columns (JSON: keys). Those not given are looked up among well-known
	// names, in any case: texts are text (with text_pair), sentence1 and sentence2, premise and hypothesis, question1 and
	// question2, question and sentence, anchor and positive, sentence, question, review, content, utterance, message or
	// query; labels are label, else labels, else category, class, target, intent or score. If several fit, it is an error;
	// a given TextColumn without a PairColumn reads single texts.
	TextColumn, PairColumn, LabelColumn string
	// Scores says that the labels are scores of pairs: a column score wins over label then, and single texts have a score
	// only if LabelColumn names it.
	Scores bool
	// LabelSeparator makes a list of each label in CSV or TSV: with "|" the field "a|b" is two labels and an empty field
	// is none (multi-label).
	LabelSeparator string
	// OptionalLabels accepts files and rows without labels, for prediction. If the first rows of JSON Lines have none, the
	// first row that has a label decides which key it is.
	OptionalLabels bool
	// NoLabels reads texts only, whatever other columns there are.
	NoLabels bool
	// ReplaceInvalid replaces bytes that are not UTF-8 by U+FFFD and counts the lines, instead of failing.
	ReplaceInvalid bool
	// MaxSamples stops after this number of rows; 0 reads all.
	MaxSamples int
	// Adapter, if not nil, makes rows name the adapter that serves them, see [data.Layout].
	Adapter func(name string) error
}

// check returns an error if the options contradict each other.
func (o Options) check() error {
	if o.TextColumn != "" && (o.TextColumn == o.PairColumn || o.TextColumn == o.LabelColumn) ||
		o.PairColumn != "" && o.PairColumn == o.LabelColumn {
		return data.OptionErrorf("two of the text, text pair and label columns are the same (%q, %q, %q)",
			o.TextColumn, o.PairColumn, o.LabelColumn)
	}
	if o.NoLabels && (o.LabelColumn != "" || o.LabelSeparator != "") {
		return data.OptionErrorf("a label column is given where no labels are read")
	}
	return nil
}

// fits returns an error if an option has no meaning for the format.
func (o Options) fits(f data.Format, name string) error {
	switch {
	case !f.Delimited() && o.LabelSeparator != "":
		return data.OnlyDelimited("label_separator", f, name)
	case f != data.PlainText:
		return nil
	case o.TextColumn != "" || o.PairColumn != "" || o.LabelColumn != "":
		return data.OptionErrorf("%s is read as plain text, which has no columns (use `format csv`, tsv or jsonl if it has)",
			name)
	case !o.OptionalLabels && !o.NoLabels:
		return data.OptionErrorf("%s is read as plain text, which has no labels (use `format csv`, tsv or jsonl if it has)",
			name)
	}
	return nil
}

// Read reads a file of texts or pairs of texts with labels. Errors about the file are a [*data.Error], errors about o
// wrap [data.ErrOption].
func Read(path string, o Options) (*File, error) { return data.ReadPath(path, o, ReadFrom) }

// ReadBytes reads the content of a file from memory, like [Read].
func ReadBytes(content []byte, name string, o Options) (*File, error) {
	return ReadFrom(bytes.NewReader(content), name, o)
}

// ReadFrom reads the content of a file from a stream, like [Read]. Messages call the stream name, and the ending of the
// name decides the format unless o does.
func ReadFrom(r io.Reader, name string, o Options) (*File, error) {
	f := New(name)
	f.Optional = o.OptionalLabels || o.NoLabels
	rows := &rows{f: f, o: o}
	layout := data.Layout{Format: o.Format, Delimiter: o.Delimiter, NoHeader: o.NoHeader, NoQuotes: o.NoQuotes,
		ReplaceInvalid: o.ReplaceInvalid, MaxSamples: o.MaxSamples, Adapter: o.Adapter}
	return data.ReadRows(f, r, data.Reading{
		Layout: layout, Formats: data.Formats(), Noun: "rows", Check: o.check, Fits: o.fits, Rows: rows, Other: rows.plain,
	})
}

// Limit returns the first n rows; n <= 0 returns all.
func (f *File) Limit(n int) *File { return data.Limit(f, n) }

// WithoutLabels returns the rows without their labels.
func (f *File) WithoutLabels() *File {
	return data.Map(f, func(e Example) Example {
		e.Label = data.Label{}
		return e
	})
}

// HasPairs reports whether some of the rows are pairs of texts.
func (f *File) HasPairs() bool { return f.Count(func(e Example) bool { return e.HasPair }) > 0 }

// CheckPairs returns an error if some of the files of a run hold pairs of texts and others single texts. nil files are
// skipped.
func CheckPairs(files ...*File) error {
	var first *File
	what := map[bool]string{true: "pairs of texts", false: "single texts"}
	for _, f := range files {
		if f == nil || f.Len() == 0 {
			continue
		}
		if first == nil {
			first = f
		}
		e := f.At(0)
		if e.HasPair != first.At(0).HasPair {
			return data.Errorf(f.Name, e.Line,
				"the rows are %s, but those of %s are %s: name the columns alike, or see `text_column` and `text_pair_column`",
				what[e.HasPair], first.Name, what[!e.HasPair])
		}
	}
	return nil
}

// CheckScores returns an error if some pairs of a file have a score and others have none.
func (f *File) CheckScores() error {
	var with, without *Example
	for e := range f.Values() {
		switch {
		case !e.HasPair:
		case e.Label.Kind == data.NoLabel && without == nil:
			without = &e
		case e.Label.Kind != data.NoLabel && with == nil:
			with = &e
		}
	}
	if with == nil || without == nil {
		return nil
	}
	return data.Errorf(f.Name, without.Line,
		"the pair has no score, but that of line %d has: either all have one or none has", with.Line)
}
