package data

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Keys of tagged sentences that need no flag, in the order in which they are tried. The
// first one or two of knownTags and knownSpans win; of the rest, one must be left.
var (
	knownTokens    = []string{"tokens", "words"}
	knownTags      = []string{"tags", "ner_tags", "labels", "pos_tags", "upos", "chunk_tags"}
	knownSentences = []string{"text", "sentence"}
	knownSpans     = []string{"spans", "entities", "labels", "label"}
)

const winners = 2

// tokenForm says what a JSON row is.
type tokenForm uint8

const (
	rowsOfWords     tokenForm = iota // a list of words and a list of tags
	rowsOfSpans                      // a text and spans of its characters
	rowsOfUserInput                  // userInput.text and labels, as the data set restaurant8k has them
)

// tokenRows puts the rows of JSON into a table.
type tokenRows struct {
	t    *TokenTable
	o    TokenOptions
	form tokenForm
	seen bool // a row with tags came before
}

func (r *tokenRows) enough() bool { return r.t.full(r.o) }

// resolve decides from the keys of the first row what the rows are.
func (r *tokenRows) resolve(h *header) error {
	tokens, err := h.given(r.o.TokensColumn, "--tokens-column")
	if err != nil {
		return err
	}
	text, err := h.given(r.o.TextColumn, "--text-column")
	if err != nil {
		return err
	}
	if tokens < 0 && text < 0 {
		if slices.Contains(h.names, "userInput") && r.o.TagsColumn == "" {
			r.form = rowsOfUserInput
			r.t.Columns = TokenColumns{Text: "userInput", Tags: "labels"}
			r.t.Spans = !r.o.NoLabels
			return nil
		}
		if tokens, text, err = r.find(h); err != nil {
			return err
		}
	}
	if tokens >= 0 {
		r.t.Columns.Tokens = h.names[tokens]
	} else {
		r.form = rowsOfSpans
		r.t.Columns.Text = h.names[text]
	}
	if r.o.NoLabels {
		return nil
	}
	return r.resolveTags(h)
}

// resolveTags finds the key of tags or spans, which may be missing where they are optional.
func (r *tokenRows) resolveTags(h *header) error {
	known := knownTags
	if r.form == rowsOfSpans {
		known = knownSpans
	}
	tags, err := h.given(r.o.TagsColumn, "--tags-column")
	if err == nil && tags < 0 {
		tags, err = h.tags(known, r.o.OptionalLabels)
	}
	if err == nil && tags >= 0 {
		r.t.Columns.Tags = h.names[tags]
		r.t.Spans = r.form == rowsOfSpans
	}
	return err
}

// find looks for the well-known key of words or of a text. Rows may have both: then the
// one with tags beside it counts, and words if both have or none has.
func (r *tokenRows) find(h *header) (tokens, text int, err error) {
	first := func(known []string) int {
		for _, name := range known {
			if i := h.index(name); i >= 0 {
				return i
			}
		}
		return -1
	}
	tokens, text = first(knownTokens), first(knownSentences)
	if tokens < 0 && text < 0 {
		return 0, 0, errorAt(h.file, h.line, "no key has a name that is known for words (%s) or for texts (%s); say which with --tokens-column or --text-column; there is %s",
			strings.Join(knownTokens, ", "), strings.Join(knownSentences, ", "), h.list())
	}
	if tokens >= 0 && text >= 0 && r.o.TagsColumn == "" && first(knownTags) < 0 && first(knownSpans) >= 0 {
		return -1, text, nil
	}
	if tokens >= 0 {
		text = -1
	}
	return tokens, text, nil
}

// tags looks for the well-known key of tags or spans, -1 if it may be missing.
func (h *header) tags(known []string, optional bool) (int, error) {
	var found []int
	for n, name := range known {
		if i := h.index(name); i >= 0 {
			if found = append(found, i); n < winners {
				return i, nil
			}
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		hint := ""
		if optional {
			hint = " (or --no-labels)"
		}
		return -1, errorAt(h.file, h.line, "the tags may be %q or %q; say which with --tags-column%s", h.names[found[0]], h.names[found[1]], hint)
	case optional:
		return -1, nil
	}
	return -1, errorAt(h.file, h.line, "no key has a name that is known for tags (%s); say which with --tags-column; there is %s", strings.Join(known, ", "), h.list())
}

// object appends one row.
func (r *tokenRows) object(row map[string]json.RawMessage, line int) error {
	if r.t.Columns.Tags == "" && !r.o.NoLabels { // optional, and the rows before had none
		if err := r.resolveTags(keysOf(r.t.Name, line, row)); err != nil {
			return err
		}
	}
	var e TokenExample
	var err error
	switch r.form {
	case rowsOfWords:
		e, err = r.wordsAndTags(row)
	case rowsOfSpans:
		e, err = r.textAndSpans(row, line)
	default:
		e, err = r.userInput(row, line)
	}
	if err != nil {
		return err
	}
	e.Line = line
	r.t.Examples = append(r.t.Examples, e)
	return nil
}

// wordsAndTags makes an example of a list of words and a list of tags.
func (r *tokenRows) wordsAndTags(row map[string]json.RawMessage) (TokenExample, error) {
	words, err := stringList(row, r.t.Columns.Tokens)
	if err != nil {
		return TokenExample{}, err
	}
	e := joinWords(words, 0)
	v, ok := r.value(row)
	if !ok {
		return e, r.missing()
	}
	e.Tags, err = r.tagList(v)
	if err == nil && len(e.Tags) != len(words) {
		err = fmt.Errorf("%q has %s, but %q has %s: each word needs one tag",
			r.t.Columns.Tokens, plural(len(words), "word"), r.t.Columns.Tags, plural(len(e.Tags), "tag"))
	}
	return e, err
}

// value returns the tags or spans of a row, if there are any.
func (r *tokenRows) value(row map[string]json.RawMessage) (json.RawMessage, bool) {
	v, ok := row[r.t.Columns.Tags]
	if r.t.Columns.Tags == "" || !ok || r.o.OptionalLabels && string(v) == "null" {
		return nil, false
	}
	return v, true
}

// missing is the error about a row without tags, nil where it needs none.
func (r *tokenRows) missing() error {
	if r.t.Columns.Tags == "" || r.o.OptionalLabels {
		return nil
	}
	return fmt.Errorf("the row has no %q", r.t.Columns.Tags)
}

// tagList reads a list of tags: names, or in all rows numbers.
func (r *tokenRows) tagList(v json.RawMessage) ([]string, error) {
	key := r.t.Columns.Tags
	list, err := elements(v, key)
	if err != nil {
		return nil, err
	}
	tags := make([]string, len(list))
	for i, v := range list {
		l, err := parseLabel(v, false)
		if err != nil {
			return nil, fmt.Errorf("tag %d of %q: %w", i+1, key, err)
		}
		number := l.Kind == IndexLabel
		switch {
		case number && (l.Index < 0 || l.Index >= maxClasses):
			return nil, fmt.Errorf("tag %d of %q is %d, not a class index from 0 to %d", i+1, key, l.Index, maxClasses-1)
		case number:
			tags[i] = strconv.FormatInt(l.Index, 10)
		case l.Kind == NameLabel && v[0] == '"':
			tags[i] = l.Name
		default:
			return nil, fmt.Errorf("tag %d of %q is %s, neither a name nor a class index", i+1, key, excerpt(string(v)))
		}
		if !r.seen {
			r.seen, r.t.Indices = true, number
		}
		if number != r.t.Indices {
			return nil, fmt.Errorf("tag %d of %q is %s, but tags before are %s: write all tags alike", i+1, key, l, map[bool]string{true: "numbers", false: "names"}[r.t.Indices])
		}
	}
	return tags, nil
}

// elements returns the elements of a JSON list.
func elements(v json.RawMessage, key string) ([]json.RawMessage, error) {
	if v[0] != '[' {
		return nil, fmt.Errorf("%q is %s, not a list", key, excerpt(string(v)))
	}
	var list []json.RawMessage
	if err := json.Unmarshal(v, &list); err != nil {
		return nil, fmt.Errorf("%q: %w", key, err)
	}
	return list, nil
}

// stringList returns a value that is a list of strings.
func stringList(row map[string]json.RawMessage, key string) ([]string, error) {
	v, ok := row[key]
	if !ok {
		return nil, fmt.Errorf("the row has no %q", key)
	}
	list, err := elements(v, key)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i, v := range list {
		if v[0] != '"' {
			return nil, fmt.Errorf("element %d of %q is %s, not a string", i+1, key, excerpt(string(v)))
		}
		if err := json.Unmarshal(v, &out[i]); err != nil {
			return nil, fmt.Errorf("element %d of %q: %w", i+1, key, err)
		}
	}
	return out, nil
}
