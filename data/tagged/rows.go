package tagged

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// Keys of tagged sentences that need no option, in the order in which they are tried. The first two of knownTags and
// knownSpans win; of the rest, exactly one may be there.
var (
	knownTokens    = []string{"tokens", "words"}
	knownTags      = []string{"tags", "ner_tags", "labels", "pos_tags", "upos", "chunk_tags"}
	knownSentences = []string{"text", "sentence"}
	knownSpans     = []string{"spans", "entities", "labels", "label", "ents"}
)

// winners is how many of the known keys win over the others.
const winners = 2

// form says what a JSON row is.
type form uint8

const (
	rowsOfWords     form = iota // a list of words and a list of tags
	rowsOfSpans                 // a text and spans of its characters
	rowsOfUserInput             // userInput.text and labels, as the data set restaurant8k has them
)

// rows appends the rows of JSON to a file.
type rows struct {
	f    *File
	o    Options
	form form
	seen bool   // a row with tags came before
	held []held // rows with spans
}

// Enough reports whether no more rows are wanted.
func (r *rows) Enough() bool {
	return r.f.Full(r.o.MaxSamples) || r.o.MaxSamples > 0 && len(r.held) >= r.o.MaxSamples
}

// Resolve decides from the keys of the first row what the rows are.
func (r *rows) Resolve(h *data.Header) error {
	var tokens, text int
	err := h.GivenAll(data.Column(&tokens, r.o.TokensColumn, "tokens_column"),
		data.Column(&text, r.o.TextColumn, "text_column"))
	if err != nil {
		return err
	}
	if tokens < 0 && text < 0 {
		if slices.Contains(h.Names, "userInput") && r.o.TagsColumn == "" {
			r.form = rowsOfUserInput
			r.f.Columns = Columns{Text: "userInput", Tags: "labels"}
			r.f.Spans = !r.o.NoLabels
			return nil
		}
		if tokens, text, err = r.find(h); err != nil {
			return err
		}
	}
	if tokens >= 0 {
		r.f.Columns.Tokens = h.Names[tokens]
	} else {
		r.form = rowsOfSpans
		r.f.Columns.Text = h.Names[text]
	}
	if r.o.NoLabels {
		return nil
	}
	return r.resolveTags(h)
}

// resolveTags finds the key of tags or spans, which may be missing where they are optional.
func (r *rows) resolveTags(h *data.Header) error {
	known := knownTags
	if r.form == rowsOfSpans {
		known = knownSpans
	}
	tags, err := h.Given(r.o.TagsColumn, "tags_column")
	if err == nil && tags < 0 {
		tags, err = h.Find(data.Search{What: "tags", Option: "tags_column", Winning: known[:winners], Known: known,
			Optional: r.o.OptionalLabels, NoLabels: r.o.OptionalLabels})
	}
	if err == nil && tags >= 0 {
		r.f.Columns.Tags = h.Names[tags]
		r.f.Spans = r.form == rowsOfSpans
	}
	return err
}

// find looks for the well-known key of words or of a text. If the rows have both, the one with tags beside it counts;
// if both or neither have tags, the words count.
func (r *rows) find(h *data.Header) (tokens, text int, err error) {
	first := func(known []string) int {
		return append(h.All(known), -1)[0]
	}
	tokens, text = first(knownTokens), first(knownSentences)
	if tokens < 0 && text < 0 {
		return 0, 0, h.Unknown("words ("+strings.Join(knownTokens, ", ")+") or for texts", strings.Join(knownSentences, ", "),
			"`tokens_column` or `text_column`")
	}
	if tokens >= 0 && text >= 0 && r.o.TagsColumn == "" && first(knownTags) < 0 && first(knownSpans) >= 0 {
		return -1, text, nil
	}
	if tokens >= 0 {
		text = -1
	}
	return tokens, text, nil
}

// Object appends one row.
func (r *rows) Object(row data.Object, line int) error {
	if r.f.Columns.Tags == "" && !r.o.NoLabels { // optional, and the rows before had none
		if err := r.resolveTags(data.KeysOf(r.f.Name, line, row)); err != nil {
			return err
		}
	}
	if to := r.f.Columns; to.Tags != "" && row.Rejected(to.Tokens, to.Text, to.Tags) {
		if !r.o.OptionalLabels {
			r.f.Rejected.Add(line)
			return nil
		}
		delete(row, to.Tags)
	}
	switch r.form {
	case rowsOfSpans:
		return r.textAndSpans(row, line)
	case rowsOfUserInput:
		return r.userInput(row, line)
	}
	e, err := r.wordsAndTags(row)
	if err != nil {
		return err
	}
	e.Line = line
	r.f.Append(e)
	return nil
}

// wordsAndTags makes an example of a list of words and a list of tags.
func (r *rows) wordsAndTags(row data.Object) (Sentence, error) {
	words, err := row.Texts(r.f.Columns.Tokens)
	if err != nil {
		return Sentence{}, err
	}
	e := OfWords(words, 0)
	v, ok := r.value(row)
	if !ok {
		return e, r.missing()
	}
	e.Tags, err = r.tagList(v)
	if err == nil && len(e.Tags) != len(words) {
		err = fmt.Errorf("%q has %s, but %q has %s: each word needs one tag",
			r.f.Columns.Tokens, data.Plural(len(words), "word"), r.f.Columns.Tags, data.Plural(len(e.Tags), "tag"))
	}
	return e, err
}

// value returns the tags or spans of a row, if there are any.
func (r *rows) value(row data.Object) (json.RawMessage, bool) {
	v, ok := row[r.f.Columns.Tags]
	if r.f.Columns.Tags == "" || !ok || r.o.OptionalLabels && string(v) == "null" {
		return nil, false
	}
	return v, true
}

// missing is the error about a row without tags, nil where it needs none.
func (r *rows) missing() error {
	if r.f.Columns.Tags == "" || r.o.OptionalLabels {
		return nil
	}
	return fmt.Errorf("the row has no %q", r.f.Columns.Tags)
}

// tagList reads a list of tags: names, or in all rows numbers.
func (r *rows) tagList(v json.RawMessage) ([]string, error) {
	key := r.f.Columns.Tags
	list, err := data.Elements(v, key)
	if err != nil {
		return nil, err
	}
	tags := make([]string, len(list))
	for i, v := range list {
		l, err := data.ParseLabel(v, false)
		if err != nil {
			return nil, fmt.Errorf("tag %d of %q: %w", i+1, key, err)
		}
		number := l.Kind == data.IndexLabel
		switch {
		case number && (l.Index < 0 || l.Index >= data.MaxClasses):
			return nil, fmt.Errorf("tag %d of %q is %d, not a class index from 0 to %d", i+1, key, l.Index, data.MaxClasses-1)
		case number:
			tags[i] = strconv.FormatInt(l.Index, 10)
		case l.Kind == data.NameLabel && v[0] == '"':
			tags[i] = l.Name
		default:
			return nil, fmt.Errorf("tag %d of %q is %s, neither a name nor a class index", i+1, key, data.Excerpt(string(v)))
		}
		if !r.seen {
			r.seen, r.f.Indices = true, number
		}
		if number != r.f.Indices {
			kinds := map[bool]string{true: "numbers", false: "names"}
			return nil, fmt.Errorf("tag %d of %q is %s, but tags before are %s: write all tags alike",
				i+1, key, l, kinds[r.f.Indices])
		}
	}
	return tags, nil
}
