package data

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// tokenFormatOf returns the format that a file name's ending stands for, "" for none.
func tokenFormatOf(name string) Format {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".conll", ".bio", ".iob", ".iob2", ".iobes":
		return CoNLL
	case ".conllu":
		return CoNLLU
	case ".jsonl", ".ndjson", ".json":
		return JSONLines
	case ".txt":
		return PlainText
	}
	return ""
}

// check refuses options that contradict each other.
func (o TokenOptions) check() error {
	switch o.Format {
	case "", CoNLL, CoNLLU, JSONLines, PlainText:
	default:
		return optionError("format %q is none of conll, conllu, jsonl, txt", string(o.Format))
	}
	if o.MaxSamples < 0 {
		return optionError("the largest number of samples is negative: %d", o.MaxSamples)
	}
	if o.NoLabels && o.TagsColumn != "" {
		return optionError("a tags column is given where no tags are read")
	}
	if o.TextColumn != "" && o.TokensColumn != "" {
		return optionError("rows are words (--tokens-column) or texts with spans (--text-column): name one of the two")
	}
	if c := o.TokensColumn + o.TextColumn; c != "" && c == o.TagsColumn {
		return optionError("two of the columns are the same (%q)", c)
	}
	if o.Delimiter != 0 {
		return checkDelimiter(o.Delimiter)
	}
	return nil
}

// format returns the format to read, from the options, the name, or for standard
// input the first byte.
func (o TokenOptions) format(lines *lineReader) (Format, error) {
	if o.Format != "" {
		return o.Format, nil
	}
	if f := tokenFormatOf(lines.name); f != "" {
		return f, nil
	}
	if o.Delimiter != 0 {
		return CoNLL, nil
	}
	if lines.name != "-" {
		return "", o.unknownFormat(lines)
	}
	head, _ := lines.r.Peek(512)
	head = bytes.TrimLeft(head, " \t\r\n")
	if list, ok := bytes.CutPrefix(head, []byte("[")); ok { // a list of rows, or a text such as "[CLS] and so on"
		head = bytes.TrimLeft(list, " \t\r\n")
	}
	if bytes.HasPrefix(head, []byte("{")) {
		return JSONLines, nil
	}
	return PlainText, nil
}

// unknownFormat says what a file without a known ending looks like.
func (o TokenOptions) unknownFormat(lines *lineReader) error {
	line, _, err := lines.next()
	if errors.Is(err, io.EOF) {
		return errorAt(lines.name, 0, "the file is empty")
	}
	if err != nil {
		return err
	}
	looks := CoNLL
	switch head := bytes.TrimLeft(line, " \t"); {
	case bytes.HasPrefix(head, []byte("{")), bytes.HasPrefix(head, []byte("[")):
		looks = JSONLines
	case bytes.Count(line, []byte("\t")) == 9, bytes.HasPrefix(head, []byte("# sent_id")):
		looks = CoNLLU
	case o.NoLabels || o.OptionalLabels:
		looks = PlainText
	}
	return optionError("the ending of %q tells no format of tagged sentences (.conll, .conllu, .jsonl, .txt); it looks like --format %s", lines.name, string(looks))
}

// fits refuses options that have no meaning for the format.
func (o TokenOptions) fits(f Format, name string) error {
	for _, option := range []struct {
		flag string
		set  bool
		fits []Format
	}{
		{"--delimiter", o.Delimiter != 0, []Format{CoNLL}},
		{"--text-column", o.TextColumn != "", []Format{JSONLines}},
		{"--tokens-column", o.TokensColumn != "", []Format{CoNLL, CoNLLU, JSONLines}},
		{"--tags-column", o.TagsColumn != "", []Format{CoNLL, CoNLLU, JSONLines}},
	} {
		if !option.set || slices.Contains(option.fits, f) {
			continue
		}
		return optionError("%s has no meaning for %s, which is read as %s (see --format)", option.flag, name, string(f))
	}
	if f == PlainText && !o.OptionalLabels && !o.NoLabels {
		return optionError("%s is read as plain text, which has no tags (say --format conll if it has a word in every line)", name)
	}
	return nil
}
