package cli

import (
	"github.com/spf13/pflag"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// FormatFlags are the settings that say in which format data files are; they point into the options of a reader.
type FormatFlags struct {
	Format             *data.Format
	Delimiter          *rune
	NoHeader, NoQuotes *bool
	ReplaceInvalid     *bool
}

// Add defines the flags. formats lists the values of --format.
func (f FormatFlags) Add(fs *pflag.FlagSet, formats string) {
	fs.StringVar((*string)(f.Format), "format", "", formats+"; default: from the file's name")
	AddDelimiter(fs, f.Delimiter, "`character` between columns of CSV, \\t for a tab")
	fs.BoolVar(f.NoHeader, "no-header", false, "the first line of CSV or TSV is a row, not names")
	fs.BoolVar(f.NoQuotes, "no-quotes", false, "quotes in CSV or TSV are part of the text")
	AddReplaceInvalid(fs, f.ReplaceInvalid)
}

// AddReplaceInvalid defines --replace-invalid.
func AddReplaceInvalid(fs *pflag.FlagSet, to *bool) {
	fs.BoolVar(to, "replace-invalid", false,
		"replace bytes that are not UTF-8 by U+FFFD and count the lines, instead of stopping")
}

// delimiter is the value of --delimiter.
type delimiter struct{ to *rune }

func (d delimiter) String() string {
	if d.to == nil || *d.to == 0 {
		return ""
	}
	return string(*d.to)
}

func (d delimiter) Type() string { return "string" }

func (d delimiter) Set(s string) (err error) {
	if s == "" {
		*d.to = 0
		return nil
	}
	*d.to, err = data.ParseDelimiter(s)
	return err
}

// AddDelimiter defines --delimiter.
func AddDelimiter(fs *pflag.FlagSet, to *rune, usage string) {
	fs.Var(delimiter{to}, "delimiter", usage)
}

// ByNumber ends the usage of a flag that names a column.
const ByNumber = " (with --no-header its number, from 0)"

// AddReading defines the flags that say how files of labelled texts are read.
func AddReading(fs *pflag.FlagSet, o *text.Options) {
	AddTextReading(fs, o)
	fs.StringVar(&o.LabelColumn, "label-column", "", "`name` of the column with the label")
	fs.StringVar(&o.LabelSeparator, "label-separator", "",
		"`character` between several labels in one CSV field (multi-label)")
}

// AddTextReading defines the flags of files of texts: those of [AddReading] without the label's.
func AddTextReading(fs *pflag.FlagSet, o *text.Options) {
	fs.StringVar(&o.TextColumn, "text-column", "",
		"`name` of the column with the text"+ByNumber+"; default: text, sentence and other usual names")
	fs.StringVar(&o.PairColumn, "text-pair-column", "", "`name` of the column with the second text of a pair")
	FormatFlags{&o.Format, &o.Delimiter, &o.NoHeader, &o.NoQuotes, &o.ReplaceInvalid}.Add(fs, "csv, tsv, jsonl or txt")
}

// FlagNames lists the flags that a function defines, sorted.
func FlagNames(add func(fs *pflag.FlagSet)) []string {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	add(fs)
	var names []string
	fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// AddMaxLength defines --max-length, the tokens of an input; of says of which.
func AddMaxLength(fs *pflag.FlagSet, to **int, of string) {
	Optional(fs, to, "max-length", 0, "tokens of "+of+"; 0: what the checkpoint allows")
}

// AddTruncation defines --truncation.
func AddTruncation(fs *pflag.FlagSet, to *string) {
	Default(fs, to, "truncation", tokenize.LongestFirst.String(), "what to cut of longer ones: "+tasks.Truncations)
}

// The usage of flags that several commands have.
const (
	ProblemTypeUsage = "single_label_classification, multi_label_classification or regression; default: labels.json of " +
		"the adapter, else config.json, else regression for one output and single label for more"
	LabelsUsage = "`names` of the classes, in order, for an adapter that does not name them; default: labels.json of " +
		"the adapter, else id2label of config.json"
)
