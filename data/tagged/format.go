package tagged

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/spalora/spalora/data"
)

// formatOf returns the format of files whose names end like name, "" for none.
func formatOf(name string) data.Format {
	switch data.Ending(name) {
	case ".conll", ".bio", ".iob", ".iob2", ".iobes":
		return CoNLL
	case ".conllu":
		return CoNLLU
	case ".jsonl", ".ndjson", ".json":
		return data.JSONLines
	case ".txt":
		return data.PlainText
	}
	return ""
}

// check returns an error if the options contradict each other.
func (o Options) check() error {
	if o.NoLabels && o.TagsColumn != "" {
		return data.OptionErrorf("a tags column is given where no tags are read")
	}
	if o.TextColumn != "" && o.TokensColumn != "" {
		return data.OptionErrorf("rows are words (`tokens_column`) or texts with spans (`text_column`): name only one")
	}
	if c := o.TokensColumn + o.TextColumn; c != "" && c == o.TagsColumn {
		return data.OptionErrorf("two of the columns are the same (%q)", c)
	}
	if o.Delimiter != 0 {
		return data.CheckDelimiter(o.Delimiter)
	}
	return nil
}

// detect returns the format to read: from the name of the file, or for standard input the first byte.
func (o Options) detect(lines *data.Lines) (data.Format, error) {
	if f := formatOf(lines.Name()); f != "" {
		return f, nil
	}
	if f := o.delimited(lines); f != "" {
		return f, nil
	}
	if o.Delimiter != 0 {
		return CoNLL, nil
	}
	if lines.Name() != "-" {
		return "", o.unknownFormat(lines)
	}
	if data.HoldsObjects(lines.Head()) {
		return data.JSONLines, nil
	}
	return data.PlainText, nil
}

// unknownFormat says what a file without a known ending looks like.
func (o Options) unknownFormat(lines *data.Lines) error {
	if err := o.withoutSentences(lines); err != nil {
		return err
	}
	line, _, err := lines.Next()
	if errors.Is(err, io.EOF) {
		return data.Errorf(lines.Name(), 0, "the file is empty")
	}
	if err != nil {
		return err
	}
	looks := CoNLL
	switch head := bytes.TrimLeft(line, " \t"); {
	case bytes.HasPrefix(head, []byte("{")), bytes.HasPrefix(head, []byte("[")):
		looks = data.JSONLines
	case bytes.Count(line, []byte("\t")) == 9, bytes.HasPrefix(head, []byte("# sent_id")):
		looks = CoNLLU
	case o.NoLabels || o.OptionalLabels:
		looks = data.PlainText
	}
	return data.OptionErrorf("the ending of %q is not that of a format of tagged sentences (.conll, .conllu, .jsonl, "+
		".txt, or .csv and .tsv with a column for the sentence); it looks like `format %s`", lines.Name(), string(looks))
}

// fits returns an error if an option has no meaning for the format.
func (o Options) fits(f data.Format, name string) error {
	columns := []data.Format{CoNLL, CoNLLU, data.CSV, data.TSV, data.JSONLines}
	for _, option := range []struct {
		name string
		set  bool
		fits []data.Format
	}{
		{"delimiter", o.Delimiter != 0, []data.Format{CoNLL, data.CSV, data.TSV}},
		{"no_quotes", o.NoQuotes, []data.Format{data.CSV, data.TSV}},
		{"sentence_column", o.SentenceColumn != "", []data.Format{data.CSV, data.TSV}},
		{"text_column", o.TextColumn != "", []data.Format{data.JSONLines}},
		{"tokens_column", o.TokensColumn != "", columns},
		{"tags_column", o.TagsColumn != "", columns},
	} {
		if !option.set || slices.Contains(option.fits, f) {
			continue
		}
		return data.OptionErrorf("`%s` has no meaning for %s, which is read as %s (see `format`)", option.name, name,
			string(f))
	}
	if f == data.PlainText && !o.OptionalLabels && !o.NoLabels {
		return data.OptionErrorf("%s is read as plain text, which has no tags (use `format conll` if it has a word in "+
			"every line)", name)
	}
	return nil
}
