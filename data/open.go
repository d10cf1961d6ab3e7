package data

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Format is how a file holds rows.
type Format string

// The formats of text files.
const (
	CSV       Format = "csv"   // fields separated by commas or another delimiter
	TSV       Format = "tsv"   // fields separated by tabs
	JSONLines Format = "jsonl" // a JSON object in every line
	PlainText Format = "txt"   // a text in every line
)

func (f Format) delimited() bool { return f == CSV || f == TSV }

// formatOf returns the format that a file name's ending stands for, "" for none.
func formatOf(name string) Format {
	switch strings.ToLower(filepath.Ext(name)) {
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

// ParseDelimiter reads a delimiter as it is typed on a command line: one
// character, or \t or tab for a tab.
func ParseDelimiter(s string) (rune, error) {
	if s == `\t` || s == "tab" {
		return '\t', nil
	}
	r, n := utf8.DecodeRuneInString(s)
	if n != len(s) || n == 0 {
		return 0, optionError("delimiter %q is not one character (write \\t for a tab)", s)
	}
	return r, checkDelimiter(r)
}

func checkDelimiter(r rune) error {
	if r == '"' || r == '\r' || r == '\n' || r == 0 || r == utf8.RuneError || !utf8.ValidRune(r) {
		return optionError("%q cannot be a delimiter", r)
	}
	return nil
}

// check refuses options that contradict each other.
func (o ReadOptions) check() error {
	switch o.Format {
	case "", CSV, TSV, JSONLines, PlainText:
	default:
		return optionError("format %q is none of csv, tsv, jsonl, txt", string(o.Format))
	}
	if o.MaxSamples < 0 {
		return optionError("the largest number of samples is negative: %d", o.MaxSamples)
	}
	if o.TextColumn != "" && (o.TextColumn == o.PairColumn || o.TextColumn == o.LabelColumn) ||
		o.PairColumn != "" && o.PairColumn == o.LabelColumn {
		return optionError("two of the text, text pair and label columns are the same (%q, %q, %q)", o.TextColumn, o.PairColumn, o.LabelColumn)
	}
	if o.NoLabels && (o.LabelColumn != "" || o.LabelSeparator != "") {
		return optionError("a label column is given where no labels are read")
	}
	if o.Delimiter != 0 {
		return checkDelimiter(o.Delimiter)
	}
	return nil
}

// format returns the format to read, from the options, the name, or for
// standard input the first byte.
func (o ReadOptions) format(lines *lineReader) (Format, error) {
	if o.Format != "" {
		return o.Format, nil
	}
	if f := formatOf(lines.name); f != "" {
		return f, nil
	}
	if o.Delimiter != 0 {
		return CSV, nil
	}
	if lines.name != "-" {
		return "", unknownFormat(lines)
	}
	head, _ := lines.r.Peek(512)
	if bytes.HasPrefix(bytes.TrimLeft(head, " \t\r\n"), []byte("{")) {
		return JSONLines, nil
	}
	return PlainText, nil
}

// fits refuses options that have no meaning for the format.
func (o ReadOptions) fits(f Format, name string) error {
	if f.delimited() {
		return nil
	}
	for _, option := range []struct {
		flag string
		set  bool
	}{
		{"--delimiter", o.Delimiter != 0}, {"--no-header", o.NoHeader}, {"--no-quotes", o.NoQuotes},
		{"--label-separator", o.LabelSeparator != ""},
	} {
		if option.set {
			return optionError("%s is for CSV and TSV files; %s is read as %s", option.flag, name, string(f))
		}
	}
	if f == JSONLines {
		return nil
	}
	if o.TextColumn != "" || o.PairColumn != "" || o.LabelColumn != "" {
		return optionError("%s is read as plain text, which has no columns (say --format csv, tsv or jsonl if it has)", name)
	}
	if !o.OptionalLabels && !o.NoLabels {
		return optionError("%s is read as plain text, which has no labels (say --format csv, tsv or jsonl if it has)", name)
	}
	return nil
}

// open opens a regular file for reading. Pipes and devices are refused: a file
// must be there again when a run is resumed, and opening a pipe that nobody
// writes to would wait for ever.
func open(path string) (*os.File, error) {
	if path == "" {
		return nil, optionError("the name of a data file is empty")
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: path, Msg: "there is no such file", Err: err}
	}
	if err != nil {
		return nil, &Error{File: path, Msg: "cannot read", Err: err}
	}
	switch {
	case info.IsDir():
		return nil, errorAt(path, 0, "this is a directory; give a file in it")
	case info.Mode()&fs.ModeNamedPipe != 0:
		return nil, errorAt(path, 0, "this is a pipe; write it to a file first")
	case !info.Mode().IsRegular():
		return nil, errorAt(path, 0, "this is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{File: path, Msg: "cannot read", Err: err}
	}
	return f, nil
}

// unknownFormat says what a file without a known ending looks like.
func unknownFormat(lines *lineReader) error {
	line, _, err := lines.next()
	if errors.Is(err, io.EOF) {
		return errorAt(lines.name, 0, "the file is empty")
	}
	if err != nil {
		return err
	}
	looks := PlainText
	switch {
	case bytes.HasPrefix(bytes.TrimLeft(line, " \t"), []byte("{")):
		looks = JSONLines
	case bytes.IndexByte(line, '\t') >= 0:
		looks = TSV
	case bytes.IndexByte(line, ',') >= 0:
		looks = CSV
	}
	return optionError("the ending of %q tells no format (.csv, .tsv, .jsonl, .txt); it looks like --format %s", lines.name, string(looks))
}

// excerpt quotes the beginning of a text for a message.
func excerpt(s string) string {
	const limit = 40
	n := 0
	for i, r := range s {
		if n == limit {
			return strconv.Quote(s[:i]) + "…"
		}
		if !unicode.IsPrint(r) && n > limit/2 {
			return strconv.Quote(s[:i]) + "…"
		}
		n++
	}
	return strconv.Quote(s)
}

func itoa(n int) string { return strconv.Itoa(n) }
