package pair

import (
	"bytes"
	"io"

	"github.com/spalora/spalora/data"
)

// Pair is one row of a file: a source text and what a model should make of it.
type Pair struct {
	Source  string
	Targets []string // the references, in the order of the file, nil if the row has none; training learns the first
	Line    int      // 1-based line at which the row begins in its file
}

// Code passes the fields of the pair.
func (p Pair) Code(c *data.Coder) Pair {
	if !c.Hashes() {
		c.Int(&p.Line)
	}
	c.Text(&p.Source)
	data.CodeList(c, &p.Targets, c.Text)
	return p
}

// StartLine returns the line at which the pair begins.
func (p Pair) StartLine() int { return p.Line }

// Key identifies the source.
func (p Pair) Key() (string, bool) { return p.Source, true }

func (p Pair) labelled() bool { return len(p.Targets) > 0 }

// File holds the pairs of one file. No function of this package changes it after it was read, and it is safe for
// concurrent reading.
type File struct {
	data.File[Pair]
	Columns Columns    // which columns were used
	Gaps    data.Tally // lines of parallel files that are empty on one side, which were left out

	unread data.Unread
}

// Columns names the columns (JSON: keys) that pairs were read from, "" for none. Without a header a column's name is
// its number, counted from 0. Languages is the key of an object that has a text for each language; Source and Target
// are the keys of that object then.
type Columns struct{ Languages, Source, Target string }

// New returns a file of these pairs. Messages call it name. Its format is JSON Lines.
func New(name string, pairs ...Pair) *File {
	return &File{File: data.NewFile(name, data.JSONLines, pairs...)}
}

// Options say how a file of pairs is read. The zero value reads a file with a header and well-known column names, all
// of whose rows have a target, in the format of the ending of its name. An option that has no meaning for the format is
// an error.
type Options struct {
	// Format is "csv", "tsv", "jsonl" or "txt" (a source in every line, no targets); "" takes it from the file name, as
	// text.Options does. Names that end in a language (test.en, test.de_DE) are those of plain text, too.
	Format data.Format
	// These are those of text.Options.
	Delimiter      rune
	NoHeader       bool
	NoQuotes       bool
	ReplaceInvalid bool
	// MaxSamples stops after this number of rows; 0 reads all. Groups are rows, see GroupSources.
	MaxSamples int
	Adapter    func(name string) error
	// SourceColumn and TargetColumn name the columns (JSON: keys). Without them the columns that SourceLang and TargetLang
	// name are taken, or else the first of these that are there, in any case: source with target; or document, article,
	// text, dialogue, input_text or src with summary, highlights, abstract, target_text or tgt as data sets combine them;
	// or translation, an object with a text for each language (JSON Lines only). If several of the latter fit, it is an
	// error. A target may also be called targets, reference or references beside source.
	SourceColumn, TargetColumn string
	// SourceLang and TargetLang are the languages of sources and targets. They name columns, or the keys of the object
	// translation; of en_XX, where there is no such name, the part before the mark counts (en). Without such names they
	// say nothing about the file.
	SourceLang, TargetLang string
	// GroupSources makes one row of those with the same source, with all their targets, at the place of the first, see
	// [File.GroupSources].
	GroupSources bool
	// OptionalLabels accepts files and rows without targets, for prediction; an empty field of CSV or TSV is no target
	// then, and neither is an empty line of a parallel file. If the first rows of JSON Lines have no target, the first row
	// that has one decides which key it is.
	OptionalLabels bool
	// NoLabels reads sources only, whatever other columns there are.
	NoLabels bool
}

// Read reads a file of pairs. Errors about the file are a [*data.Error], errors about o wrap [data.ErrOption].
//
// In JSON a target is a string or a list of strings. A source that is a list of strings, the sentences of a text, is
// those strings with a space between any two.
func Read(path string, o Options) (*File, error) { return data.ReadPath(path, o, ReadFrom) }

// ReadBytes reads the content of a file from memory, like [Read].
func ReadBytes(content []byte, name string, o Options) (*File, error) {
	return ReadFrom(bytes.NewReader(content), name, o)
}

// ReadFrom reads the content of a file from a stream, like [Read]. Messages call the stream name, and the ending of the
// name decides the format unless o does.
func ReadFrom(r io.Reader, name string, o Options) (*File, error) {
	rows := &rows{f: New(name), o: o}
	return rows.read(r, rows.plain)
}

// check returns an error if the options contradict each other.
func (o Options) check() error {
	if o.SourceColumn != "" && o.SourceColumn == o.TargetColumn {
		return data.OptionErrorf("`source_column` and `target_column` are the same (%q)", o.SourceColumn)
	}
	if o.NoLabels && o.TargetColumn != "" {
		return data.OptionErrorf("a target column is given where no targets are read")
	}
	return nil
}

// fits returns an error if an option has no meaning for the format.
func (o Options) fits(f data.Format, name string) error {
	if f == data.PlainText && o.SourceColumn+o.TargetColumn != "" {
		return data.OptionErrorf("%s is read as plain text, which has no columns (use `format csv`, tsv or jsonl if it has)",
			name)
	}
	return nil
}

// optional reports whether rows need no target.
func (o Options) optional() bool { return o.OptionalLabels || o.NoLabels }

// Limit returns the first n pairs; n <= 0 returns all.
func (f *File) Limit(n int) *File { return data.Limit(f, n) }

// Labelled returns the number of pairs that have a target.
func (f *File) Labelled() int { return f.Count(Pair.labelled) }

// WithTargets returns the pairs that have a target.
func (f *File) WithTargets() *File { return data.Filter(f, Pair.labelled) }

// GroupSources returns a copy of f in which the pairs with the same source, served by the same adapter, are one pair
// with the targets of all, in their order, at the place and line of the first. Scores then compare what a model makes
// of a source with all its references; training learns the first only, so group the rows to evaluate or test on.
func (f *File) GroupSources() *File {
	return data.Merge(f, func(p Pair) string { return p.Source }, func(p *Pair, later Pair) {
		p.Targets = append(p.Targets, later.Targets...)
	})
}

// SplitOff divides the pairs into two files: held gets about fraction of them, rest keeps the others, both in the order
// of f. All pairs with one source go to the same side, so that no source of held was trained on. The choice depends on
// seed and the order of the sources only, the same on every machine. What was counted when the file was read stays with
// rest, so that it is reported once. It returns an error if fraction is not between 0 and 1 or a part would be empty.
func (f *File) SplitOff(fraction float64, seed uint64) (rest, held *File, err error) {
	source := func(_ int, p Pair) string { return p.Source }
	if rest, held, err = data.SplitGroups(f, source, "pair", "of source", fraction, seed); err == nil {
		held.Gaps, held.unread = data.Tally{}, data.Unread{}
	}
	return rest, held, err
}
