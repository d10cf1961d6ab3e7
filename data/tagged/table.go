package tagged

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// Names of the columns of CSV and TSV that need no option. Of columns for the tag, exactly one may be there; those of
// parts of speech count if there is no other.
var (
	knownSentenceColumns = []string{"sentence #", "sentence_id", "sentence id", "sentence_idx", "sentence_number",
		"sentence_no", "sentence", "sent_id", "sent"}
	knownWordColumns = []string{"word", "token", "words", "tokens", "form", "text"}
	knownTagColumns  = []string{"tag", "ner_tag", "ner", "label", "entity", "tags", "ner_tags", "labels"}
	knownPOSColumns  = []string{"pos", "pos_tag", "upos", "xpos"}
)

// tableReader appends the sentences of CSV and TSV, which have a word in every row, to a file.
type tableReader struct {
	conllReader
	sentence int             // column
	name     string          // what the column has for the sentence that is being read
	gap      bool            // a row of it has nothing there
	names    map[string]bool // of all sentences
}

// read reads the rows.
func (r *tableReader) read() error {
	r.names = map[string]bool{}
	l := data.Layout{Delimiter: r.o.Delimiter, NoQuotes: r.o.NoQuotes}
	var err error
	if r.f.Blank, err = data.ReadRecords(r.lines, r.f.Format, l, r); err == nil && !r.Enough() {
		err = r.end()
	}
	return err
}

// Enough reports whether no more rows are wanted.
func (r *tableReader) Enough() bool { return r.f.Full(r.o.MaxSamples) }

// Resolve finds the columns in the header.
func (r *tableReader) Resolve(h *data.Header) (err error) {
	c := &r.f.Columns
	r.tags = -1
	for _, column := range []struct {
		to           *int
		found        *string
		name, option string
		what         string
		known        [][]string
		optional     bool
	}{
		{&r.sentence, &c.Sentence, r.o.SentenceColumn, "sentence_column", "the number of the sentence",
			[][]string{knownSentenceColumns}, false},
		{&r.tokens, &c.Tokens, r.o.TokensColumn, "tokens_column", "words", [][]string{knownWordColumns}, false},
		{&r.tags, &c.Tags, r.o.TagsColumn, "tags_column", "tags", [][]string{knownTagColumns, knownPOSColumns},
			r.o.OptionalLabels},
	} {
		if column.to == &r.tags && r.o.NoLabels {
			continue
		}
		i, err := h.Given(column.name, column.option)
		for _, known := range column.known {
			if found := h.All(known); err == nil && i < 0 && len(found) == 1 {
				i = found[0]
			} else if err == nil && i < 0 && len(found) > 1 {
				err = h.Errorf("%s may be in %q or %q; say which with `%s`", column.what, h.Names[found[0]], h.Names[found[1]],
					column.option)
			}
		}
		switch {
		case err != nil:
			return err
		case i >= 0:
			*column.to, *column.found = i, h.Names[i]
		case !column.optional:
			return h.Errorf("no column has a name that is known for %s (%s); say which with `%s`; there is %s%s", column.what,
				strings.Join(slices.Concat(column.known...), ", "), column.option, h.List(), h.Hint())
		}
	}
	if r.tokens == r.tags || r.sentence == r.tokens || r.sentence == r.tags {
		return h.Errorf("two of `sentence_column`, `tokens_column` and `tags_column` are the same")
	}
	return h.Once(r.sentence, r.tokens, r.tags)
}

// Record takes one word. It begins a sentence if the column of the sentence has another name than before. Where only
// the first word of a sentence has a name there, every name begins one.
func (r *tableReader) Record(row [][]byte, line int) error {
	name := string(bytes.TrimSpace(row[r.sentence]))
	switch begun := len(r.words) > 0; {
	case name == "":
		r.gap = true
		if !begun {
			return data.Errorf(r.f.Name, line, "the first word has no sentence (column %s is empty)", r.f.Columns.Sentence)
		}
	case !begun || name != r.name || r.gap:
		if err := r.end(); err != nil {
			return err
		}
		if r.Enough() {
			return nil
		}
		if r.names[name] {
			r.f.apart.Add(line)
		}
		r.name, r.gap, r.names[name] = name, false, true
		r.by = r.f.Server()
	}
	if by := r.f.Server(); by != 0 && by != r.by {
		return data.Errorf(r.f.Name, line, "the word names another adapter than the first word of its sentence (line %d): "+
			"name it there, and here the same one or none", r.begin)
	}
	return r.word(row)
}

// delimited returns CSV or TSV if the file has such a name and a column for the sentence, "" otherwise.
func (o Options) delimited(lines *data.Lines) data.Format {
	f := data.FormatOf(lines.Name())
	if !f.Delimited() || o.SentenceColumn == "" && len(columnsOf(lines, f, o.Delimiter).All(knownSentenceColumns)) == 0 {
		return ""
	}
	return f
}

// columnsOf returns the names in the first line of a file.
func columnsOf(lines *data.Lines, f data.Format, delimiter rune) *data.Header {
	if delimiter == 0 {
		delimiter = map[data.Format]rune{data.CSV: ',', data.TSV: '\t'}[f]
	}
	head := bytes.TrimLeft(lines.Head(), "\r\n")
	first, _, _ := bytes.Cut(head, []byte("\n"))
	h := &data.Header{}
	for name := range strings.SplitSeq(strings.TrimRight(string(first), "\r"), string(delimiter)) {
		h.Names = append(h.Names, strings.Trim(name, ` "`))
	}
	return h
}

// withoutSentences is the error about CSV and TSV with words and tags but without a column for the sentence, nil for
// other files.
func (o Options) withoutSentences(lines *data.Lines) error {
	f := data.FormatOf(lines.Name())
	if !f.Delimited() {
		return nil
	}
	h := columnsOf(lines, f, o.Delimiter)
	if len(h.All(knownWordColumns)) == 0 || len(h.Names) < 2 {
		return nil
	}
	return data.OptionErrorf("%s has no column with a name that is known for the number of the sentence (%s): say which "+
		"with `sentence_column`, or use `format conll` if blank lines end sentences; there is %s",
		filepath.Base(lines.Name()), strings.Join(knownSentenceColumns, ", "), h.List())
}
