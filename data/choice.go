package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"slices"
)

// Codah is the format of the CODAH files: tabs, no header, no quotes; a category, a
// prompt, two or more endings and the number of the right one. Rows need not have
// equally many endings.
const Codah Format = "codah"

// Choice is a question with several choices, of which one is right.
type Choice struct {
	ID       string   // as the file has it, "" for none
	Context  string   // what the question is about, "" for none
	Question string   // asked, or the words that every ending goes on with; "" for none
	Endings  []string // the choices, at least two, none of them blank
	Label    int      // index of the right one; -1 if none is given
	Line     int      // 1-based line at which the row begins in its file
}

// Pair returns the two texts that a model compares for choice i: the context, and the
// question with the ending after a space (transformers' run_swag makes its inputs so).
// Without a context they are the question and the ending.
func (c *Choice) Pair(i int) (first, second string) {
	switch {
	case c.Context == "":
		return c.Question, c.Endings[i]
	case c.Question == "":
		return c.Context, c.Endings[i]
	}
	return c.Context, c.Question + " " + c.Endings[i]
}

// Choices is what was read from one file for multiple choice. It is not changed by any
// function of this package and is safe for concurrent reading.
type Choices struct {
	Name     string        // of the file, for messages
	Format   Format        // how the file was read
	Columns  ChoiceColumns // which columns were used
	List     []Choice      // in the order of the file
	Blank    int           // blank lines that were skipped
	Replaced int           // lines in which bytes that are not UTF-8 were replaced
}

// ChoiceColumns names the columns (JSON: keys) that choices were read from, "" for none.
// Without a header a column's name is its number, counted from 0.
type ChoiceColumns struct {
	Context, Question string
	Choices           []string // one that holds a list, or one for each choice
	Label, ID         string
}

// ChoiceOptions say how a file of multiple-choice questions is read. The zero value reads
// labelled rows with well-known column names in the format of the file name's ending. An
// option that has no meaning for the format is an error, not ignored.
type ChoiceOptions struct {
	// Format is "csv", "tsv", "jsonl" or "codah"; "" takes it from the file name, as
	// [ReadOptions] does. "jsonl" is an object in every line, and also one JSON list of
	// objects or one object, over as many lines as it likes.
	Format Format
	// Delimiter, NoHeader and NoQuotes are those of [ReadOptions].
	Delimiter rune
	NoHeader  bool
	NoQuotes  bool
	// ContextColumn, QuestionColumn, LabelColumn and IDColumn name columns (JSON: keys).
	// Those not given are looked up among well-known names, in any case. Contexts are sent1
	// (then sent2 is the question), context, article, passage, premise, ctx or startphrase;
	// questions are question, questions, question_stem, stem, query or goal; labels are
	// label, labels, answerKey, answer_key, answer or answers. If several fit, it is an error.
	ContextColumn, QuestionColumn, LabelColumn, IDColumn string
	// ChoicesColumns name the column with each choice, or (JSON) the one key with the list of
	// them: strings, objects with text and label, or an object of two such lists. Without it
	// they are endings, choices or options, or columns that are numbered from 0 or 1 or by
	// letters: ending0, ending1 …; choice, option, answer, sol. QASC's files have them within
	// the question.
	ChoicesColumns []string
	// FirstIndex is the number that labels give to the first choice: 0 or 1. Labels may also
	// be letters, texts of choices, and names that the file gives to its choices.
	FirstIndex int
	// OptionalLabels accepts files and rows without labels, for prediction; the label -1,
	// if no choice is called that, then stands for none. NoLabels does not read labels at all.
	OptionalLabels, NoLabels bool
	// ReplaceInvalid replaces bytes that are not UTF-8 by U+FFFD and counts the lines,
	// instead of failing.
	ReplaceInvalid bool
	// MaxSamples stops after so many questions; 0 reads all.
	MaxSamples int
}

// ReadChoices reads a file of multiple-choice questions. Errors about the file are an
// [*Error], errors about o wrap [ErrOption]. A row with fewer than two choices, with a
// blank one or with a label that is none of its choices is an error.
func ReadChoices(path string, o ChoiceOptions) (*Choices, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadChoicesFrom(f, path, o)
}

// ReadChoicesBytes reads as [ReadChoices] does, from memory.
func ReadChoicesBytes(content []byte, name string, o ChoiceOptions) (*Choices, error) {
	return ReadChoicesFrom(bytes.NewReader(content), name, o)
}

// ReadChoicesFrom reads as [ReadChoices] does, from a stream. The name stands in messages,
// and its ending tells the format unless o does.
func ReadChoicesFrom(r io.Reader, name string, o ChoiceOptions) (*Choices, error) {
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
	c := &Choices{Name: name, Format: format}
	rows := &choiceRows{c: c, o: o}
	switch format {
	case JSONLines:
		c.Blank, err = readJSON(lines, rows)
	case Codah:
		c.Blank, err = readRecords(lines, TSV, ReadOptions{NoHeader: true, NoQuotes: true}, codahRows{rows})
	default:
		c.Blank, err = readRecords(lines, format, o.reading(), rows)
	}
	if err == nil {
		err = rows.decide()
	}
	if err != nil {
		return nil, err
	}
	c.Replaced = lines.replaced
	if o.MaxSamples > 0 && len(c.List) > o.MaxSamples { // one row may have held several questions
		c.List = c.List[:o.MaxSamples:o.MaxSamples]
	}
	if len(c.List) == 0 {
		if lines.line == 0 {
			return nil, errorAt(name, 0, "the file is empty")
		}
		return nil, errorAt(name, 0, "the file has no questions%s", headerOnly(format, o.reading()))
	}
	return c, nil
}

// reading returns the options that tables of labelled texts share.
func (o ChoiceOptions) reading() ReadOptions {
	return ReadOptions{
		Format: o.Format, Delimiter: o.Delimiter, NoHeader: o.NoHeader, NoQuotes: o.NoQuotes,
		ReplaceInvalid: o.ReplaceInvalid, MaxSamples: o.MaxSamples, NoLabels: true,
	}
}

// format returns the format to read, as [ReadOptions] does; standard input may be a JSON list too.
func (o ChoiceOptions) format(lines *lineReader) (Format, error) {
	if head, _ := lines.r.Peek(512); o.Format == "" && lines.name == "-" && bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("[")) {
		return JSONLines, nil
	}
	return o.reading().format(lines)
}

// check refuses options that contradict each other.
func (o ChoiceOptions) check() error {
	shared := o.reading()
	switch o.Format {
	case "", CSV, TSV, JSONLines:
	case Codah:
		shared.Format = ""
	default:
		return optionError("format %q is none of csv, tsv, jsonl, codah", string(o.Format))
	}
	if err := shared.check(); err != nil {
		return err
	}
	if o.FirstIndex != 0 && o.FirstIndex != 1 {
		return optionError("the number of the first choice is %d; want 0 or 1", o.FirstIndex)
	}
	if o.NoLabels && o.LabelColumn != "" {
		return optionError("a label column is given where no labels are read")
	}
	seen := map[string]string{}
	for _, f := range append(o.named(), o.namedChoices()...) {
		if f.name == "" {
			if f.flag == choicesFlag {
				return optionError("a name of %s is empty", choicesFlag)
			}
			continue
		}
		if before, twice := seen[f.name]; twice {
			return optionError("%q is given by %s and by %s: every column has one part", f.name, before, f.flag)
		}
		seen[f.name] = f.flag
	}
	return nil
}

const choicesFlag = "--choices-column"

// columnFlag is a column that an option names.
type columnFlag struct{ name, flag string }

func (o ChoiceOptions) named() []columnFlag {
	return []columnFlag{
		{o.ContextColumn, "--context-column"}, {o.QuestionColumn, "--question-column"}, {o.LabelColumn, "--label-column"}, {o.IDColumn, "--id-column"},
	}
}

func (o ChoiceOptions) namedChoices() []columnFlag {
	var list []columnFlag
	for _, name := range o.ChoicesColumns {
		list = append(list, columnFlag{name, choicesFlag})
	}
	return list
}

// fits refuses options that have no meaning for the format.
func (o ChoiceOptions) fits(f Format, name string) error {
	switch f {
	case PlainText:
		return optionError("%s is read as plain text, which has no choices (say --format csv, tsv, jsonl or codah if it has)", name)
	case Codah:
		if o.Delimiter != 0 || o.NoHeader || o.NoQuotes {
			return optionError("--format codah says all of a file; leave out --delimiter, --no-header and --no-quotes")
		}
		columns := append(o.named(), o.namedChoices()...)
		if i := slices.IndexFunc(columns, func(c columnFlag) bool { return c.name != "" }); i >= 0 {
			return optionError("--format codah says what each column is; leave out %s", columns[i].flag)
		}
		return nil
	}
	return o.reading().fits(f, name)
}

// full reports whether there are as many questions as were asked for.
func (c *Choices) full(o ChoiceOptions) bool {
	return o.MaxSamples > 0 && len(c.List) >= o.MaxSamples
}

// Labelled returns the number of questions whose answer is given.
func (c *Choices) Labelled() int {
	n := 0
	for i := range c.List {
		if c.List[i].Label >= 0 {
			n++
		}
	}
	return n
}

// Chance returns the accuracy that guessing has: the mean of 1 / choices over the questions
// whose answer is given, 0 if there are none.
func (c *Choices) Chance() float64 {
	sum, n := 0.0, 0
	for i := range c.List {
		if c.List[i].Label >= 0 {
			sum += 1 / float64(len(c.List[i].Endings))
			n++
		}
	}
	return sum / float64(max(n, 1))
}

// Limit returns the first n questions; n <= 0 returns all.
func (c *Choices) Limit(n int) *Choices {
	first := *c
	if n > 0 && n < len(c.List) {
		first.List = c.List[:n:n]
	}
	return &first
}

// Hash returns the SHA-256 of the questions in hexadecimal: contexts, questions, choices and
// labels in order, not the bytes of the file. Two files with the same hash train alike.
func (c *Choices) Hash() string {
	h := sha256.New()
	var n [8]byte
	number := func(v int) {
		binary.LittleEndian.PutUint64(n[:], uint64(v))
		h.Write(n[:])
	}
	for i := range c.List {
		e := &c.List[i]
		hashString(h, e.Context)
		hashString(h, e.Question)
		number(len(e.Endings))
		for _, s := range e.Endings {
			hashString(h, s)
		}
		number(e.Label)
	}
	return hex.EncodeToString(h.Sum(nil))
}
