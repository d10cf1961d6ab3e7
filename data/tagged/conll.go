package tagged

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// conlluColumns are the columns of CoNLL-U, in order.
var conlluColumns = []string{"ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC"}

// conllReader appends the sentences of CoNLL and CoNLL-U to a file.
type conllReader struct {
	f     *File
	o     Options
	lines *data.Lines

	tokens, tags int  // columns; tags is -1 if none are read
	width        int  // columns of a row; 0: not known before the first row
	exact        bool // a row has width columns, not just as many as are used
	tabs         bool // without a delimiter: columns are separated by tabs, not by runs of spaces

	words, list []string // the sentence that is being read, and its tags
	begin       int      // line of its first word
	by          int      // see [data.File.Server]
	untagged    int      // line of its first word without a tag, 0 for none
}

func (r *conllReader) read() error {
	if r.f.Format == CoNLLU {
		if err := r.resolveU(); err != nil {
			return err
		}
	}
	for !r.f.Full(r.o.MaxSamples) {
		line, _, err := r.lines.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := r.line(line); err != nil {
			return err
		}
	}
	if r.f.Full(r.o.MaxSamples) {
		return nil
	}
	return r.end()
}

// line takes one line: a word, a comment, or the end of a sentence.
func (r *conllReader) line(line []byte) error {
	if len(bytes.Trim(line, " \t")) == 0 {
		return r.end()
	}
	if r.f.Format == CoNLLU {
		return r.lineU(line)
	}
	if bytes.HasPrefix(line, []byte("-DOCSTART-")) || r.marker(line) {
		return r.end()
	}
	row, err := r.fields(line)
	if err != nil {
		return err
	}
	return r.word(row)
}

// sentenceID is the comment before each sentence of MultiCoNER: "# id", an identifier with a digit, often more.
var sentenceID = regexp.MustCompile(`^# id[ \t]+[0-9A-Za-z_-]*[0-9][0-9A-Za-z_-]*([ \t]|$)`)

// otherComment is a comment as CoNLL-U ("# key = value") and CoNLL-2012 have it, before a sentence only.
var otherComment = regexp.MustCompile(`^(# ?[A-Za-z_]+ = |#(begin|end) document\b)`)

// marker reports whether a line is a comment of one of the data sets that have some, not a word that begins with #. A
// line "# id" whose number of columns is that of the rows must have an identifier as long as such data sets have, or
// name the domain as they do.
func (r *conllReader) marker(line []byte) bool {
	if line[0] != '#' {
		return false
	}
	if sentenceID.Match(line) {
		return len(bytes.Fields(line)[2]) >= 8 || bytes.Contains(line, []byte("\tdomain=")) ||
			r.width > 0 && len(bytes.Fields(line)) != r.width
	}
	return len(r.words) == 0 && otherComment.Match(line)
}

// lineU takes one line of CoNLL-U that is not blank.
func (r *conllReader) lineU(line []byte) error {
	if line[0] == '#' {
		return nil
	}
	row := bytes.Split(line, []byte("\t"))
	if len(row) != len(conlluColumns) {
		return r.errorf("the line has %s separated by tabs, but CoNLL-U has 10 (%s): is this `format conll`?",
			data.Plural(len(row), "column"), strings.Join(conlluColumns, ", "))
	}
	id := string(row[0])
	if strings.ContainsAny(id, "-.") {
		return nil // a contraction, whose words follow, or an empty node
	}
	if n, err := strconv.Atoi(id); err != nil || n < 1 {
		return r.errorf("the ID of the word is %s, not a number from 1", data.Excerpt(id))
	}
	return r.word(row)
}

// word adds one word, and its tag, to the sentence.
func (r *conllReader) word(row [][]byte) error {
	if len(r.words) == 0 {
		r.begin, r.untagged = r.lines.Line(), 0
	}
	r.words = append(r.words, string(row[r.tokens]))
	if r.tags < 0 {
		return nil
	}
	tag := string(bytes.TrimSpace(row[r.tags]))
	r.list = append(r.list, tag)
	if tag != "" && (tag != "_" || r.f.Format != CoNLLU || conlluColumns[r.tags] == "FEATS") {
		return nil
	}
	if !r.o.OptionalLabels {
		return r.errorf("the word %s has no tag (column %s is %q)",
			data.Excerpt(r.words[len(r.words)-1]), r.f.Columns.Tags, tag)
	}
	if r.untagged == 0 {
		r.untagged = r.lines.Line()
	}
	return nil
}

// end finishes the sentence, if there is one. With OptionalLabels, a sentence in which no word has a tag has no tags;
// tags for some of the words are an error.
func (r *conllReader) end() error {
	if len(r.words) == 0 {
		return nil
	}
	e := OfWords(r.words, r.begin)
	if r.untagged == 0 && r.tags >= 0 {
		e.Tags = append([]string(nil), r.list...)
	}
	if r.untagged > 0 {
		for _, tag := range r.list {
			if tag != "" && tag != "_" {
				return data.Errorf(r.f.Name, r.untagged,
					"the word has no tag (column %s), but others of its sentence have: tag all or none", r.f.Columns.Tags)
			}
		}
	}
	r.f.AppendFor(r.by, e)
	r.words, r.list = r.words[:0], r.list[:0]
	return nil
}

// errorf returns an error about the line that was read last.
func (r *conllReader) errorf(format string, args ...any) error {
	return data.Errorf(r.f.Name, r.lines.Line(), format, args...)
}

// resolveU finds the columns of CoNLL-U, which are known before any row is read.
func (r *conllReader) resolveU() (err error) {
	r.tokens, r.tags = 1, 3
	for _, c := range []struct {
		to           *int
		name, option string
	}{{&r.tokens, r.o.TokensColumn, "tokens_column"}, {&r.tags, r.o.TagsColumn, "tags_column"}} {
		if c.name == "" {
			continue
		}
		n, err := strconv.Atoi(c.name)
		for i, known := range conlluColumns {
			if strings.EqualFold(known, c.name) {
				n, err = i, nil
			}
		}
		if err != nil || n < 0 || n >= len(conlluColumns) {
			return data.OptionErrorf("`%s`: %q is not a column of CoNLL-U: %s, or 0 to 9", c.option, c.name,
				strings.Join(conlluColumns, ", "))
		}
		*c.to = n
	}
	r.f.Columns.Tokens = conlluColumns[r.tokens]
	if r.o.NoLabels {
		r.tags = -1
		return nil
	}
	r.f.Columns.Tags = conlluColumns[r.tags]
	if r.tags == r.tokens {
		return data.OptionErrorf("words and tags are the same column (%s)", r.f.Columns.Tags)
	}
	return nil
}

// fields cuts a row of CoNLL into columns.
func (r *conllReader) fields(line []byte) ([][]byte, error) {
	first := r.width == 0
	if first {
		r.tabs = bytes.IndexByte(line, '\t') >= 0
	}
	var row [][]byte
	switch {
	case r.o.Delimiter != 0 && r.o.Delimiter != ' ':
		row = bytes.Split(line, []byte(string(r.o.Delimiter)))
	case r.o.Delimiter == 0 && r.tabs:
		row = bytes.Split(line, []byte("\t"))
	default:
		row = bytes.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
	}
	if first {
		if err := r.resolve(row); err != nil {
			return nil, err
		}
	}
	if len(row) < r.width || r.exact && len(row) > r.width {
		return nil, r.wrongColumns(len(row))
	}
	return row, nil
}

// resolve finds the columns of CoNLL in the first row.
func (r *conllReader) resolve(row [][]byte) error {
	h := &data.Header{File: r.f.Name, Line: r.lines.Line(), Numbers: true, What: "column"}
	for i, f := range row {
		h.Names = append(h.Names, strconv.Itoa(i))
		h.Row = append(h.Row, string(f))
	}
	tokens, err := h.Given(r.o.TokensColumn, "tokens_column")
	if err != nil {
		return err
	}
	tags, err := h.Given(r.o.TagsColumn, "tags_column")
	if err != nil {
		return err
	}
	r.tokens, r.exact = max(tokens, 0), tags < 0 && !r.o.NoLabels
	switch {
	case r.o.NoLabels:
	case tags < 0 && len(row) > 1:
		tags = len(row) - 1
	case tags < 0 && !r.o.OptionalLabels:
		return r.errorf("the row has 1 column (%s), so there are no tags: CoNLL has a word and its tag in every line, "+
			"separated by a tab or spaces", data.Excerpt(h.Row[0]))
	}
	if tags == r.tokens {
		return r.errorf("words and tags are the same column (%d) of %s: see `tokens_column` and `tags_column`",
			tags, h.List())
	}
	r.tags = tags
	r.width = max(r.tokens, r.tags) + 1
	if r.exact {
		r.width = len(row)
	}
	r.f.Columns.Tokens = strconv.Itoa(r.tokens)
	if tags >= 0 {
		r.f.Columns.Tags = strconv.Itoa(tags)
	}
	return nil
}

// wrongColumns says that a row does not fit the first one.
func (r *conllReader) wrongColumns(n int) error {
	separated := "spaces"
	if r.o.Delimiter != 0 {
		separated = strconv.Quote(string(r.o.Delimiter))
	} else if r.tabs {
		separated = "tabs"
	}
	if !r.exact {
		return r.errorf("the row has %s separated by %s, but column %d is to be read, counted from 0",
			data.Plural(n, "column"), separated, r.width-1)
	}
	return r.errorf("the row has %s separated by %s, but the first row has %d (`tags_column` takes another than the "+
		"last one, `delimiter` separates otherwise)", data.Plural(n, "column"), separated, r.width)
}
