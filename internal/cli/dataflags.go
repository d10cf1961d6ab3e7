package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/document"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/tokenize"
)

// FormatFlags are the flags that say in which format data files are.
type FormatFlags struct {
	Format, Delimiter  string
	NoHeader, NoQuotes bool
	ReplaceInvalid     bool
}

// Add defines the flags. txt says what a file of plain text is.
func (f *FormatFlags) Add(fs *pflag.FlagSet, txt string) {
	f.addFormat(fs, "csv, tsv, jsonl or txt"+txt)
}

// addFormat defines the flags where other formats are read.
func (f *FormatFlags) addFormat(fs *pflag.FlagSet, formats string) {
	fs.StringVar(&f.Format, "format", "", formats+"; default: from the file's name")
	fs.StringVar(&f.Delimiter, "delimiter", "", "`character` between columns of CSV, \\t for a tab")
	fs.BoolVar(&f.NoHeader, "no-header", false, "the first line of CSV or TSV is a row, not names")
	fs.BoolVar(&f.NoQuotes, "no-quotes", false, "quotes in CSV or TSV are part of the text")
	fs.BoolVar(&f.ReplaceInvalid, "replace-invalid", false, "replace what is not UTF-8 by U+FFFD and count it, instead of stopping")
}

// delimiter returns the delimiter that the flag names, 0 for none.
func (f *FormatFlags) delimiter() (rune, error) {
	if f.Delimiter == "" {
		return 0, nil
	}
	r, err := data.ParseDelimiter(f.Delimiter)
	return r, UsageError(err)
}

// DataFlags are the flags that say how files of labelled texts are read.
type DataFlags struct {
	FormatFlags
	Text, Pair, Label string
	LabelSeparator    string
}

// Add defines the flags.
func (d *DataFlags) Add(fs *pflag.FlagSet) {
	d.AddTexts(fs)
	fs.StringVar(&d.Label, "label-column", "", "`name` of the column with the label")
	fs.StringVar(&d.LabelSeparator, "label-separator", "", "`character` between several labels in one CSV field (multi-label)")
}

// AddTexts defines the flags of files whose labels are not read.
func (d *DataFlags) AddTexts(fs *pflag.FlagSet) {
	fs.StringVar(&d.Text, "text-column", "", "`name` of the column with the text (with --no-header its number, from 0); default: text, sentence and other usual names")
	fs.StringVar(&d.Pair, "text-pair-column", "", "`name` of the column with the second text of a pair")
	d.FormatFlags.Add(fs, "")
}

// DataFlagNames lists the flags of [DataFlags.Add].
func DataFlagNames() []string { return FlagNames(new(DataFlags).Add) }

// FlagNames lists the flags that a function defines, sorted.
func FlagNames(add func(fs *pflag.FlagSet)) []string {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	add(fs)
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// Options returns how the flags want files to be read.
func (d *DataFlags) Options() (text.Options, error) {
	delimiter, err := d.delimiter()
	return text.Options{
		Format: data.Format(d.Format), Delimiter: delimiter, NoHeader: d.NoHeader, NoQuotes: d.NoQuotes,
		TextColumn: d.Text, PairColumn: d.Pair, LabelColumn: d.Label,
		LabelSeparator: d.LabelSeparator, ReplaceInvalid: d.ReplaceInvalid,
	}, err
}

// DocumentFlags are the flags that say how files for language models are read.
type DocumentFlags struct {
	FormatFlags
	Text, Prompt, Completion, Messages string
}

// Add defines the flags.
func (d *DocumentFlags) Add(fs *pflag.FlagSet) {
	const number = " (with --no-header its number, from 0)"
	fs.StringVar(&d.Text, "text-column", "", "`name` of the column with texts, all of which is learned"+number+"; default: text, if there is one")
	fs.StringVar(&d.Prompt, "prompt-column", "", "`name` of the column with prompts, which are given; default: prompt, instruction or question")
	fs.StringVar(&d.Completion, "completion-column", "", "`name` of the column with what is learned to follow; default: completion, response, output or answer")
	fs.StringVar(&d.Messages, "messages-column", "", "`name` of the column with chats, lists of {\"role\": …, \"content\": …} (JSON Lines); default: messages or conversations")
	d.FormatFlags.Add(fs, " (the whole file is one text)")
}

// DocumentFlagNames lists the flags of [DocumentFlags.Add].
func DocumentFlagNames() []string { return FlagNames(new(DocumentFlags).Add) }

// Options returns how the flags want files to be read.
func (d *DocumentFlags) Options() (document.Options, error) {
	delimiter, err := d.delimiter()
	return document.Options{
		Format: data.Format(d.Format), Delimiter: delimiter, NoHeader: d.NoHeader, NoQuotes: d.NoQuotes,
		TextColumn: d.Text, PromptColumn: d.Prompt, CompletionColumn: d.Completion, MessagesColumn: d.Messages,
		ReplaceInvalid: d.ReplaceInvalid,
	}, err
}

// ReadTable reads a file, or standard input for "-".
func ReadTable(path string, in io.Reader, o text.Options) (*text.File, error) {
	t, err := readFile(path, in, o, text.Read, text.ReadFrom)
	if err == nil && path == "-" {
		t.Name = stdinName
	}
	return t, err
}

// ReadPairs reads what embeddings are learned from or computed of: texts, or pairs of texts of which all have a score or none has.
func ReadPairs(path string, in io.Reader, o text.Options) (*text.File, error) {
	o.OptionalLabels, o.Scores = true, true
	t, err := ReadTable(path, in, o)
	if err != nil {
		return nil, err
	}
	return t, t.CheckScores()
}

// ReadDocuments reads a file for language models, or standard input for "-".
func ReadDocuments(path string, in io.Reader, o document.Options) (*document.File, error) {
	d, err := readFile(path, in, o, document.Read, document.ReadFrom)
	if err == nil && path == "-" {
		d.Name = stdinName
	}
	return d, err
}

// readFile reads a file, or standard input for "-".
func readFile[T, O any](path string, in io.Reader, o O, file func(string, O) (T, error), stream func(io.Reader, string, O) (T, error)) (T, error) {
	if path == "-" {
		t, err := stream(in, "-", o)
		return t, NameStdin(err)
	}
	t, err := file(path, o)
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = missingFile(path)
	case errors.Is(err, os.ErrPermission):
		err = InputError(err)
	}
	return t, err
}

// StandardBlock is how many tokens the windows have that plain text is cut into, if the model has as many positions.
const StandardBlock = 128

// AddMaxLength defines --max-length, the tokens of an input; of says of which.
func AddMaxLength(fs *pflag.FlagSet, to *int, of string) {
	fs.IntVar(to, "max-length", 0, "tokens of "+of+"; 0: what the checkpoint allows")
	remembered(fs, "max-length")
}

// AddTruncation defines --truncation.
func AddTruncation(fs *pflag.FlagSet, to *string) {
	fs.StringVar(to, "truncation", tokenize.LongestFirst.String(), "what to cut of longer ones: "+truncations)
	remembered(fs, "truncation")
}

// AddMaxScore defines --max-score, the score of pairs that mean the same.
func AddMaxScore(fs *pflag.FlagSet, to *float64) {
	fs.Float64Var(to, "max-score", 1, "score of texts that mean the same: scores are divided by it")
	remembered(fs, "max-score")
}

// truncations lists the values of --truncation.
const truncations = "longest_first, only_first or only_second"

// ParseTruncation reads the value of --truncation.
func ParseTruncation(s string) (tokenize.Strategy, error) {
	for _, t := range []tokenize.Strategy{tokenize.LongestFirst, tokenize.OnlyFirst, tokenize.OnlySecond} {
		if s == t.String() {
			return t, nil
		}
	}
	return 0, fmt.Errorf("--truncation is %q; want %s", s, truncations)
}

// CheckMaxLength errs if --max-length has no room for the special tokens of a text, or of a pair. 0 is no limit.
func CheckMaxLength(tok *tokenize.Tokenizer, length int, pair bool) error {
	var e tokenize.Encoding
	var err error
	if pair {
		e, err = tok.EncodePair("", "", tokenize.Options{})
	} else {
		e, err = tok.Encode("", tokenize.Options{})
	}
	if err == nil && length > 0 && length < len(e.IDs) {
		err = UsageError(fmt.Errorf("--max-length is %d; the special tokens alone are %d", length, len(e.IDs)))
	}
	return err
}

// stdinName is what messages call standard input.
const stdinName = "standard input"

// NameStdin makes a message about the file "-" one about standard input.
func NameStdin(err error) error {
	if d, ok := errors.AsType[*data.Error](err); ok && d.File == "-" {
		d.File = stdinName
	}
	return err
}
