package tagged

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spalora/spalora/data"
)

// span is a labelled part of a text: code points from ≤ i < to, once it is known what the offsets count.
type span struct {
	from, to int
	label    string
	text     string // what the span says that its text is, "" if it says nothing
	loose    bool   // the text may be another form of what the text has
}

// hold keeps a row until all are read; nil spans are those of a row without tags.
func (r *rows) hold(text string, spans []span, line int) {
	r.held = append(r.held, held{text, spans, line, r.f.Server()})
}

// textAndSpans holds a text and spans of its characters back until all are read.
func (r *rows) textAndSpans(row data.Object, line int) error {
	text, err := row.Text(r.f.Columns.Text)
	if err != nil {
		return err
	}
	v, ok := r.value(row)
	if !ok {
		r.hold(text, nil, line)
		return r.missing()
	}
	list, err := data.Elements(v, r.f.Columns.Tags)
	if err != nil {
		return err
	}
	spans := make([]span, len(list))
	for i, v := range list {
		if spans[i], err = parseSpan(v); err != nil {
			return fmt.Errorf("span %d of %q: %w", i+1, r.f.Columns.Tags, err)
		}
	}
	r.hold(text, spans, line)
	return nil
}

// parseSpan reads {"start": …, "end": …, "label": …} or [start, end, label].
func parseSpan(v json.RawMessage) (s span, err error) {
	if v[0] == '[' {
		var list []json.RawMessage
		if err := json.Unmarshal(v, &list); err != nil || len(list) != 3 {
			return s, fmt.Errorf("it is %s, not [start, end, label]", data.Excerpt(string(v)))
		}
		return makeSpan(list[0], list[1], list[2])
	}
	if v[0] != '{' {
		return s, fmt.Errorf("it is %s, neither an object like {\"start\": …, \"end\": …, \"label\": …} "+
			"nor a list like [start, end, label]", data.Excerpt(string(v)))
	}
	row, _, err := data.ParseObject(v)
	if err != nil {
		return s, err
	}
	var parts [3]json.RawMessage
	for i, names := range spanKeys {
		for _, name := range names {
			if parts[i] == nil {
				parts[i] = row[name]
			}
		}
		if parts[i] == nil && i == 2 {
			if parts[i], err = onlyLabel(row["labels"]); err != nil {
				return s, err
			}
		}
		if parts[i] == nil {
			return s, fmt.Errorf("it has no %q (or %s)", names[0], data.NameList(names[1:]))
		}
	}
	if s, err = makeSpan(parts[0], parts[1], parts[2]); err == nil {
		s.text, s.loose = ownText(row)
	}
	return s, err
}

// spanKeys are the keys of the start, the end and the label of a span, in the order in which they are tried.
var spanKeys = [3][]string{{"start", "start_offset"}, {"end", "end_offset"},
	{"label", "type", "entity_group", "entity"}}

// onlyLabel returns the label of a list of one, as Label Studio writes it, nil if it is not a list.
func onlyLabel(v json.RawMessage) (json.RawMessage, error) {
	var list []json.RawMessage
	if len(v) == 0 || v[0] != '[' || json.Unmarshal(v, &list) != nil {
		return nil, nil
	}
	if len(list) != 1 {
		return nil, fmt.Errorf(`its "labels" are %s: a word has one tag, so give a span one label`, data.Excerpt(string(v)))
	}
	return list[0], nil
}

// ownText returns what a span says that its text is. Under the keys of results of models and of Rasa it may be another
// form of what the text has: in lower case and without accents, or a synonym.
func ownText(row data.Object) (text string, loose bool) {
	for _, key := range []string{"text", "word", "value"} {
		v := row[key]
		if len(v) == 0 || v[0] != '"' || json.Unmarshal(v, &text) != nil || strings.TrimSpace(text) == "" {
			continue
		}
		return text, key != "text"
	}
	return "", false
}

func makeSpan(from, to, label json.RawMessage) (s span, err error) {
	if s.from, err = offset(from, "start"); err != nil {
		return s, err
	}
	if s.to, err = offset(to, "end"); err != nil {
		return s, err
	}
	if label[0] != '"' {
		return s, fmt.Errorf("its label is %s, not a string", data.Excerpt(string(label)))
	}
	return s, json.Unmarshal(label, &s.label)
}

// offset reads a place in a text.
func offset(v json.RawMessage, what string) (int, error) {
	n, err := strconv.Atoi(string(v))
	if err != nil {
		return 0, fmt.Errorf("its %s is %s, not a number of characters", what, data.Excerpt(string(v)))
	}
	return n, nil
}

// userInput holds back a row like
//
//	{"userInput": {"text": …}, "labels": [{"slot": …, "valueSpan": {"startIndex": …, "endIndex": …}}]}
//
// without labels if there is nothing to label, and without startIndex where it is 0.
func (r *rows) userInput(row data.Object, line int) error {
	v, ok := row["userInput"]
	if !ok || v[0] != '{' {
		return errors.New(`the row has no "userInput" that is an object`)
	}
	input, _, err := data.ParseObject(v)
	if err != nil {
		return err
	}
	text, err := input.Text("text")
	if err != nil {
		return fmt.Errorf(`"userInput": %w`, err)
	}
	if r.o.NoLabels {
		r.hold(text, nil, line)
		return nil
	}
	var list []json.RawMessage
	if v, ok := row["labels"]; ok {
		if list, err = data.Elements(v, "labels"); err != nil {
			return err
		}
	}
	spans := make([]span, len(list))
	for i, v := range list {
		if spans[i], err = parseSlot(v); err != nil {
			return fmt.Errorf(`element %d of "labels": %w`, i+1, err)
		}
	}
	r.hold(text, spans, line)
	return nil
}

// parseSlot reads {"slot": …, "valueSpan": {"startIndex": …, "endIndex": …}}.
func parseSlot(v json.RawMessage) (s span, err error) {
	if v[0] != '{' {
		return s, fmt.Errorf("it is %s, not an object", data.Excerpt(string(v)))
	}
	slot, _, err := data.ParseObject(v)
	if err != nil {
		return s, err
	}
	place := slot["valueSpan"]
	if place == nil || place[0] != '{' || slot["slot"] == nil {
		return s, errors.New(`it has no "slot" with a "valueSpan" that is an object`)
	}
	ends, _, err := data.ParseObject(place)
	if err != nil {
		return s, err
	}
	from, to := ends["startIndex"], ends["endIndex"]
	if from == nil {
		from = json.RawMessage("0")
	}
	if to == nil {
		return s, errors.New(`its "valueSpan" has no "endIndex"`)
	}
	return makeSpan(from, to, slot["slot"])
}

// placed is a span of words.
type placed struct {
	Word
	label string
	moved bool // it does not begin and end where its words do
}

// place returns the words that a span has characters of.
func (s span) place(r *ruler) (placed, error) {
	p := placed{label: s.label}
	if strings.TrimSpace(s.label) == "" {
		return p, fmt.Errorf("the label of the span from %d to %d is empty", s.from, s.to)
	}
	if s.from < 0 || s.to > r.length || s.from >= s.to {
		return p, fmt.Errorf("the span %q from %d to %d is not a part of the text, which has %s "+
			"(offsets count code points from 0, not bytes; the end is exclusive)",
			s.label, s.from, s.to, data.Plural(r.length, "character"))
	}
	to := func(w Word, at int) int { return cmp.Compare(w.To, at) }
	from := func(w Word, at int) int { return cmp.Compare(w.From, at) }
	p.From, _ = slices.BinarySearchFunc(r.words, s.from+1, to)
	p.To, _ = slices.BinarySearchFunc(r.words, s.to, from)
	if p.From >= p.To {
		return p, fmt.Errorf("the span %q from %d to %d holds no word, only spaces", s.label, s.from, s.to)
	}
	p.moved = r.words[p.From].From != s.from || r.words[p.To-1].To != s.to
	return p, nil
}

// tag gives a sentence the tags of its spans, in the scheme IOB2. A span that begins or ends within a word, or between
// words, is moved to the borders of the words that it has characters of. Of spans that share a word, the one that
// begins first is kept, of those the longest, of those the first by its label: a word has one tag.
func (r *rows) tag(e *Sentence, spans []span, ruler *ruler) (err error) {
	list := make([]placed, len(spans))
	for i, s := range spans {
		if list[i], err = s.place(ruler); err != nil {
			return err
		}
		if list[i].moved && r.o.Strict {
			return fmt.Errorf("the span %q from %d to %d does not begin and end with a word", s.label, s.from, s.to)
		}
	}
	slices.SortStableFunc(list, func(a, b placed) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(b.To, a.To), cmp.Compare(a.label, b.label))
	})
	e.Tags = make([]string, len(e.Words))
	for i := range e.Tags {
		e.Tags[i] = outside
	}
	moved, overlapping, end := 0, 0, 0
	for _, p := range list {
		if p.From < end {
			if overlapping++; r.o.Strict {
				return fmt.Errorf("the span %q shares the word %q with another one: a word has one tag", p.label, e.Word(p.From))
			}
			continue
		}
		if p.moved {
			moved++
		}
		e.Tags[p.From] = "B-" + p.label
		for i := p.From + 1; i < p.To; i++ {
			e.Tags[i] = "I-" + p.label
		}
		end = p.To
	}
	tally(&r.f.Moved, &r.f.movedLine, moved, e.Line)
	tally(&r.f.Overlapping, &r.f.overlapLine, overlapping, e.Line)
	return nil
}

// outside is the tag of a word that is in no entity.
const outside = "O"
