package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/tokenize"
)

// DataFlags are the flags that say how data files are read.
type DataFlags struct {
	Text, Pair, Label  string
	Format, Delimiter  string
	NoHeader, NoQuotes bool
	LabelSeparator     string
	ReplaceInvalid     bool
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
	fs.StringVar(&d.Format, "format", "", "csv, tsv, jsonl or txt; default: from the file's name")
	fs.StringVar(&d.Delimiter, "delimiter", "", "`character` between columns of CSV, \\t for a tab")
	fs.BoolVar(&d.NoHeader, "no-header", false, "the first line of CSV or TSV is a row, not names")
	fs.BoolVar(&d.NoQuotes, "no-quotes", false, "quotes in CSV or TSV are part of the text")
	fs.BoolVar(&d.ReplaceInvalid, "replace-invalid", false, "replace what is not UTF-8 by U+FFFD and count it, instead of stopping")
}

// DataFlagNames lists the flags of [DataFlags.Add].
func DataFlagNames() []string {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(DataFlags).Add(fs)
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// Options returns how the flags want files to be read.
func (d *DataFlags) Options() (data.ReadOptions, error) {
	o := data.ReadOptions{
		Format: data.Format(d.Format), NoHeader: d.NoHeader, NoQuotes: d.NoQuotes,
		TextColumn: d.Text, PairColumn: d.Pair, LabelColumn: d.Label,
		LabelSeparator: d.LabelSeparator, ReplaceInvalid: d.ReplaceInvalid,
	}
	if d.Delimiter != "" {
		r, err := data.ParseDelimiter(d.Delimiter)
		if err != nil {
			return o, UsageError(err)
		}
		o.Delimiter = r
	}
	return o, nil
}

// ReadTable reads a file, or standard input for "-".
func ReadTable(path string, in io.Reader, o data.ReadOptions) (*data.Table, error) {
	var t *data.Table
	var err error
	if path == "-" {
		if t, err = data.ReadTextFrom(in, "-", o); err == nil {
			t.Name = stdinName
		}
		err = NameStdin(err)
	} else {
		t, err = data.ReadText(path, o)
	}
	if err != nil && (errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)) {
		return nil, InputError(err)
	}
	return t, err
}

// Truncations lists the values of --truncation.
const Truncations = "longest_first, only_first or only_second"

// ParseTruncation reads the value of --truncation.
func ParseTruncation(s string) (tokenize.Strategy, error) {
	for _, t := range []tokenize.Strategy{tokenize.LongestFirst, tokenize.OnlyFirst, tokenize.OnlySecond} {
		if s == t.String() {
			return t, nil
		}
	}
	return 0, fmt.Errorf("--truncation is %q; want %s", s, Truncations)
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
