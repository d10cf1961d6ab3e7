package data

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Format says how a file holds rows.
type Format string

// The formats that several kinds of examples share.
const (
	CSV       Format = "csv"   // fields separated by commas or another delimiter
	TSV       Format = "tsv"   // fields separated by tabs
	JSONLines Format = "jsonl" // a JSON object in every line, or one list of objects
	PlainText Format = "txt"   // a text in every line
)

// Formats returns the formats that several kinds of examples share.
func Formats() []Format { return []Format{CSV, TSV, JSONLines, PlainText} }

// Delimited reports whether f is CSV or TSV.
func (f Format) Delimited() bool { return f == CSV || f == TSV }

// FormatOf returns the format of files whose names have the [Ending] of name, "" for none.
func FormatOf(name string) Format {
	switch Ending(name) {
	case ".csv":
		return CSV
	case ".tsv", ".tab":
		return TSV
	case ".jsonl", ".ndjson", ".json":
		return JSONLines
	case ".txt":
		return PlainText
	}
	return ""
}

// ParseDelimiter reads a delimiter as it is typed on a command line: one character, or \t or tab for a tab.
func ParseDelimiter(s string) (rune, error) {
	if s == `\t` || s == "tab" {
		return '\t', nil
	}
	r, n := utf8.DecodeRuneInString(s)
	if n != len(s) || n == 0 {
		return 0, OptionErrorf("delimiter %q is not one character (write \\t for a tab)", s)
	}
	return r, CheckDelimiter(r)
}

// CheckDelimiter returns an error if r cannot separate fields.
func CheckDelimiter(r rune) error {
	if r == '"' || r == '\r' || r == '\n' || r == 0 || r == utf8.RuneError || !utf8.ValidRune(r) {
		return OptionErrorf("%q cannot be a delimiter", r)
	}
	return nil
}

// Layout is what the options of all kinds of examples have in common.
type Layout struct {
	Format         Format // "" takes it from the name or the content
	Delimiter      rune   // of CSV (0 = comma) and TSV (0 = tab)
	NoHeader       bool   // the first line of CSV or TSV is a row
	NoQuotes       bool   // quotes in CSV or TSV are part of the text
	ReplaceInvalid bool   // bytes that are not UTF-8 become U+FFFD and are counted
	MaxSamples     int    // stops after this number of rows; 0 reads all
	// Adapter, if not nil, makes rows name the adapter that serves them, in [AdapterColumn]. It returns an error for a
	// name that no adapter has.
	Adapter func(name string) error
}

// check returns an error if the options contradict each other. formats are those of the kind of examples.
func (l Layout) check(formats []Format) error {
	if l.Format != "" && !slices.Contains(formats, l.Format) {
		names := make([]string, len(formats))
		for i, f := range formats {
			names[i] = string(f)
		}
		return OptionErrorf("format %q is none of %s", string(l.Format), strings.Join(names, ", "))
	}
	if l.MaxSamples < 0 {
		return OptionErrorf("the largest number of samples is negative: %d", l.MaxSamples)
	}
	if l.Delimiter != 0 {
		return CheckDelimiter(l.Delimiter)
	}
	return nil
}

// detect returns the format to read: from the options, the name of the file, or for standard input the first byte.
func (l Layout) detect(lines *Lines) (Format, error) {
	if l.Format != "" {
		return l.Format, nil
	}
	if f := FormatOf(lines.name); f != "" {
		return f, nil
	}
	if l.Delimiter != 0 {
		return CSV, nil
	}
	if lines.name != "-" {
		return "", unknownFormat(lines)
	}
	if HoldsObjects(lines.Head()) {
		return JSONLines, nil
	}
	return PlainText, nil
}

// fits returns an error if an option has no meaning for the format of the file with this name.
func (l Layout) fits(f Format, name string) error {
	for _, option := range []struct {
		name string
		set  bool
	}{{"delimiter", l.Delimiter != 0}, {"no_header", l.NoHeader}, {"no_quotes", l.NoQuotes}} {
		if option.set && !f.Delimited() {
			return OnlyDelimited(option.name, f, name)
		}
	}
	return nil
}

// OnlyDelimited is the error about an option of CSV and TSV that is given for a file of another format.
func OnlyDelimited(option string, f Format, name string) error {
	return OptionErrorf("`%s` is for CSV and TSV files; %s is read as %s", option, name, string(f))
}

// unknownFormat says what a file without a known ending looks like.
func unknownFormat(lines *Lines) error {
	line, _, err := lines.Next()
	if errors.Is(err, io.EOF) {
		return Errorf(lines.name, 0, "the file is empty")
	}
	if err != nil {
		return err
	}
	looks := PlainText
	switch {
	case HoldsObjects(line):
		looks = JSONLines
	case bytes.IndexByte(line, '\t') >= 0:
		looks = TSV
	case bytes.IndexByte(line, ',') >= 0:
		looks = CSV
	}
	return OptionErrorf("the ending of %q is not that of a format (.csv, .tsv, .jsonl, .txt); it looks like `format %s`",
		lines.name, string(looks))
}
