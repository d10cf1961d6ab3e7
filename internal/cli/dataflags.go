package cli

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
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
	fs.StringVar(&d.Text, "text-column", "", "`name` of the column with the text (with --no-header its number, from 0)")
	fs.StringVar(&d.Pair, "text-pair-column", "", "`name` of the column with the second text of a pair")
	fs.StringVar(&d.Label, "label-column", "", "`name` of the column with the label")
	fs.StringVar(&d.Format, "format", "", "csv, tsv, jsonl or txt; default: from the file's name")
	fs.StringVar(&d.Delimiter, "delimiter", "", "`character` between columns of CSV, \\t for a tab")
	fs.BoolVar(&d.NoHeader, "no-header", false, "the first line of CSV or TSV is a row, not names")
	fs.BoolVar(&d.NoQuotes, "no-quotes", false, "quotes in CSV or TSV are part of the text")
	fs.StringVar(&d.LabelSeparator, "label-separator", "", "`character` between several labels in one CSV field (multi-label)")
	fs.BoolVar(&d.ReplaceInvalid, "replace-invalid", false, "replace what is not UTF-8 by U+FFFD and count it, instead of stopping")
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
		t, err = data.ReadTextFrom(in, "-", o)
	} else {
		t, err = data.ReadText(path, o)
	}
	if err != nil && (errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission)) {
		return nil, InputError(err)
	}
	return t, err
}
