package choice

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// Codah is the format of the CODAH files: tabs, no header, no quotes; a category, a prompt, two or more endings and the
// number of the right one. Rows may have different numbers of endings.
const Codah data.Format = "codah"

// Question is a question with several choices, of which one is right.
type Question struct {
	ID       string   // from the file, "" for none
	Context  string   // what the question is about, "" for none
	Question string   // asked, or the words that every ending continues; "" for none
	Endings  []string // the choices, at least two
	Label    int      // index of the right one; -1 if none is given
	Line     int      // 1-based line at which the row begins in its file
}

// Code passes the fields of the question.
func (q Question) Code(c *data.Coder) Question {
	if !c.Hashes() {
		c.Int(&q.Line)
		c.Text(&q.ID)
	}
	c.Text(&q.Context)
	c.Text(&q.Question)
	data.CodeList(c, &q.Endings, c.Text)
	c.Int(&q.Label)
	return q
}

// StartLine returns the line at which the question begins.
func (q Question) StartLine() int { return q.Line }

// Key identifies the question and its choices.
func (q Question) Key() (string, bool) {
	return strings.Join(append([]string{q.Context, q.Question}, q.Endings...), "\x00"), true
}

func (q Question) labelled() bool { return q.Label >= 0 }

// Pair returns the two texts that a model compares for choice i: the context, and the question with the ending after a
// space (transformers' run_swag makes the same inputs). Without a context they are the question and the ending.
func (q Question) Pair(i int) (first, second string) {
	switch {
	case q.Context == "":
		return q.Question, q.Endings[i]
	case q.Question == "":
		return q.Context, q.Endings[i]
	}
	return q.Context, q.Question + " " + q.Endings[i]
}

// File holds the questions of one file for multiple choice. No function of this package changes it after it was read,
// and it is safe for concurrent reading.
type File struct {
	data.File[Question]
	Columns Columns // which columns were used
}

// New returns a file of these questions. Messages call it name. Its format is JSON Lines.
func New(name string, questions ...Question) *File {
	return &File{File: data.NewFile(name, data.JSONLines, questions...)}
}

// Columns names the columns (JSON: keys) that choices were read from, "" for none. Without a header a column's name is
// its number, counted from 0.
type Columns struct {
	Context, Question string
	Choices           []string // one that holds a list, or one for each choice
	Label, ID         string
}

// Options say how a file of multiple-choice questions is read. The zero value reads labelled rows with well-known
// column names in the format of the ending of its name. An option that has no meaning for the format is an error.
type Options struct {
	// Format is "csv", "tsv", "jsonl" or "codah"; "" takes it from the file name, as text.Options does.
	Format data.Format
	// These are those of text.Options.
	Delimiter      rune
	NoHeader       bool
	NoQuotes       bool
	ReplaceInvalid bool
	MaxSamples     int
	Adapter        func(name string) error
	// ContextColumn, QuestionColumn, LabelColumn and IDColumn name columns (JSON: keys). Those not given are looked up
	// among well-known names, in any case. Contexts are sent1 (then sent2 is the question), context, article, passage,
	// premise, ctx or startphrase; questions are question, questions, question_stem, stem, query or goal; labels are
	// label, labels, answerKey, answer_key, answer or answers. If several fit, it is an error.
	ContextColumn, QuestionColumn, LabelColumn, IDColumn string
	// ChoicesColumns name the column with each choice, or (JSON) the one key with the list of them: strings, objects with
	// text and label, or an object of two such lists. Without it they are endings, choices or options, or columns that are
	// numbered from 0 or 1 or by letters: ending0, ending1 …; choice, option, answer, sol. QASC's files have them within
	// the question.
	ChoicesColumns []string
	// FirstIndex is the number that labels give to the first choice: 0 or 1. Labels may also be letters, texts of choices,
	// and names that the file gives to its choices.
	FirstIndex int
	// OptionalLabels accepts files and rows without labels, for prediction; the label -1, if no choice is called that, is
	// then none. NoLabels does not read labels at all.
	OptionalLabels, NoLabels bool
}

// Read reads a file of multiple-choice questions. Errors about the file are a [*data.Error], errors about o wrap
// [data.ErrOption]. A row with fewer than two choices or with a label that is none of its choices is an error.
func Read(path string, o Options) (*File, error) { return data.ReadPath(path, o, ReadFrom) }

// ReadBytes reads the content of a file from memory, like [Read].
func ReadBytes(content []byte, name string, o Options) (*File, error) {
	return ReadFrom(bytes.NewReader(content), name, o)
}

// ReadFrom reads the content of a file from a stream, like [Read]. Messages call the stream name, and the ending of the
// name decides the format unless o does.
func ReadFrom(r io.Reader, name string, o Options) (*File, error) {
	rows := &rows{f: New(name), o: o}
	layout := data.Layout{Format: o.Format, Delimiter: o.Delimiter, NoHeader: o.NoHeader, NoQuotes: o.NoQuotes,
		ReplaceInvalid: o.ReplaceInvalid, MaxSamples: o.MaxSamples, Adapter: o.Adapter}
	f, err := data.ReadRows(rows.f, r, data.Reading{
		Layout: layout, Formats: []data.Format{data.CSV, data.TSV, data.JSONLines, Codah}, Noun: "questions",
		Check: o.check, Fits: o.fits, Rows: rows, Other: rows.codah,
	})
	if err == nil {
		f, err = rows.decide()
	}
	if err != nil {
		return nil, err
	}
	return f.Limit(o.MaxSamples), nil // one row may have held several questions
}

// check returns an error if the options contradict each other.
func (o Options) check() error {
	if o.FirstIndex != 0 && o.FirstIndex != 1 {
		return data.OptionErrorf("the number of the first choice is %d; want 0 or 1", o.FirstIndex)
	}
	if o.NoLabels && o.LabelColumn != "" {
		return data.OptionErrorf("a label column is given where no labels are read")
	}
	seen := map[string]string{}
	for _, f := range append(o.named(), o.namedChoices()...) {
		if f.name == "" {
			if f.option == choicesOption {
				return data.OptionErrorf("a name of `%s` is empty", choicesOption)
			}
			continue
		}
		if before, twice := seen[f.name]; twice {
			return data.OptionErrorf("%q is given by `%s` and by `%s`: every column has one part", f.name, before, f.option)
		}
		seen[f.name] = f.option
	}
	return nil
}

// choicesOption is the option that may name several columns.
const choicesOption = "choices_column"

// columnOption is a column that an option names.
type columnOption struct{ name, option string }

func (o Options) named() []columnOption {
	return []columnOption{
		{o.ContextColumn, "context_column"}, {o.QuestionColumn, "question_column"},
		{o.LabelColumn, "label_column"}, {o.IDColumn, "id_column"},
	}
}

func (o Options) namedChoices() []columnOption {
	var list []columnOption
	for _, name := range o.ChoicesColumns {
		list = append(list, columnOption{name, choicesOption})
	}
	return list
}

// fits returns an error if an option has no meaning for the format.
func (o Options) fits(f data.Format, name string) error {
	switch f {
	case data.PlainText:
		return data.OptionErrorf("%s is read as plain text, which has no choices (use `format csv`, tsv, jsonl or codah "+
			"if it has)", name)
	case Codah:
		if o.Delimiter != 0 || o.NoHeader || o.NoQuotes {
			return data.OptionErrorf("`format codah` describes the whole file; leave out `delimiter`, `no_header` and " +
				"`no_quotes`")
		}
		columns := append(o.named(), o.namedChoices()...)
		if i := slices.IndexFunc(columns, func(c columnOption) bool { return c.name != "" }); i >= 0 {
			return data.OptionErrorf("`format codah` says what each column is; leave out `%s`", columns[i].option)
		}
		return nil
	}
	return nil
}

// Limit returns the first n questions; n <= 0 returns all.
func (f *File) Limit(n int) *File { return data.Limit(f, n) }

// Labelled returns the number of questions whose answer is given.
func (f *File) Labelled() int { return f.Count(Question.labelled) }

// Chance returns the accuracy of guessing: the mean of 1 / choices over the questions whose answer is given, 0 if there
// are none.
func (f *File) Chance() float64 {
	sum, n := 0.0, 0
	for q := range f.Values() {
		if q.Label >= 0 {
			sum += 1 / float64(len(q.Endings))
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// SplitOff divides the questions into two files: held gets about fraction of them, rest keeps the others, both in the
// order of f. All questions about one context go to the same side. The choice depends on seed and the order of the
// contexts only, the same on every machine. What was counted when the file was read stays with rest, so that it is
// reported once. It returns an error if fraction is not between 0 and 1 or a part would be empty.
func (f *File) SplitOff(fraction float64, seed uint64) (rest, held *File, err error) {
	return data.SplitGroups(f, func(i int, q Question) string {
		if q.Context == "" {
			return "\x00" + strconv.Itoa(i) // no text has a NUL
		}
		return q.Context
	}, "question", "about context", fraction, seed)
}
