package data

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// SplitOff divides the documents into two lists: held gets about fraction of them,
// rest keeps the others, both in the order of the file. The choice depends on seed
// and the number of documents only, the same on every machine. What was counted when
// the file was read stays with rest, so that it is told once.
//
// A single text is cut in two instead: held is its end, from the start of the line
// (or else word, or else character) nearest before the point that leaves fraction of
// its bytes. It is an error if fraction is not between 0 and 1 or a part would be
// empty.
func (d *Documents) SplitOff(fraction float64, seed uint64) (rest, held *Documents, err error) {
	if !(fraction > 0 && fraction < 1) {
		return nil, nil, optionError("the part to split off (%v) is not between 0 and 1", fraction)
	}
	r, h := *d, *d
	r.List, h.List = nil, nil
	switch {
	case len(d.List) == 1 && d.Kind == TextDocument:
		whole := d.List[0]
		at := cutBefore(whole.Text, int(float64((1-fraction)*float64(len(whole.Text)))))
		if at > 0 {
			first, last := whole, whole
			first.Text, last.Text = whole.Text[:at], whole.Text[at:]
			if d.Format == PlainText {
				last.Line += strings.Count(first.Text, "\n")
			}
			r.List, h.List = []Document{first}, []Document{last}
		}
	default:
		take := make([]bool, len(d.List))
		for _, i := range shuffled(len(d.List), seed)[:int(math.Round(float64(fraction*float64(len(d.List)))))] {
			take[i] = true
		}
		r.List, h.List = divide(d.List, take)
	}
	if len(r.List) == 0 || len(h.List) == 0 {
		return nil, nil, optionError("%s of %s cannot be split into two parts with a fraction of %v", d.Name, plural(len(d.List), "document"), fraction)
	}
	h.Blank, h.Replaced, h.Unread = 0, 0, 0
	return &r, &h, nil
}

// cutBefore returns where to cut a text: at most n bytes before, at the start of a
// line, else behind a space, else between characters; 0 if there is no such place.
func cutBefore(s string, n int) int {
	for _, sep := range []string{"\n", " "} {
		if i := strings.LastIndex(s[:n], sep); i >= 0 && i+1 < len(s) {
			return i + 1
		}
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// DocumentWarnings returns what is odd about the documents of a run, of which each
// may be nil: replaced bytes, keys that are not read, empty documents and
// completions, chats without an assistant, repeated documents, and documents to
// train on that are also evaluated or tested on.
func DocumentWarnings(train, eval, test *Documents) []Warning {
	var out []Warning
	for _, d := range []*Documents{train, eval, test} {
		if d != nil {
			out = append(out, d.warnings()...)
		}
	}
	if train == nil {
		return out
	}
	known := newTrained(train.Name, train.List, func(e *Document) (string, int) { return e.key(), e.Line })
	for _, d := range []*Documents{eval, test} {
		if d != nil {
			out = append(out, known.among(d.Name, d.List, "with content that is also in ")...)
		}
	}
	return out
}

// key identifies what a model sees of a document.
func (e *Document) key() string {
	parts := []string{e.Text, e.Prompt, e.Completion}
	for i, m := range e.Messages {
		if i == e.Given {
			parts = append(parts, "")
		}
		parts = append(parts, m.Role, m.Content)
	}
	return strings.Join(parts, "\x00")
}

// warnings looks at single documents and at repeated ones.
func (d *Documents) warnings() []Warning {
	var hollow, unanswered, repeated tally
	seen := make(map[string]bool, len(d.List))
	for i := range d.List {
		e := &d.List[i]
		switch d.Kind {
		case TextDocument:
			if blank(e.Text) {
				hollow.add(e.Line)
			}
		case PromptDocument:
			if blank(e.Completion) {
				hollow.add(e.Line)
			}
		case ChatDocument:
			if !slices.ContainsFunc(e.Messages[min(e.Given, len(e.Messages)):], func(m Message) bool { return m.Role == "assistant" }) {
				unanswered.add(e.Line)
			}
		}
		if key := e.key(); seen[key] {
			repeated.add(e.Line)
		} else {
			seen[key] = true
		}
	}
	var out []Warning
	if d.Replaced > 0 {
		out = append(out, Warning{d.Name, 0, d.Replaced, plural(d.Replaced, "line") + " with bytes that are not UTF-8, which were replaced"})
	}
	if d.Unread > 0 {
		out = append(out, Warning{d.Name, 0, d.Unread, plural(d.Unread, "message") + " with other keys than role and content, which are not read"})
	}
	what := "with an empty text"
	if d.Kind == PromptDocument {
		what = "with an empty completion"
	}
	out = append(out, hollow.of(d.Name, what)...)
	out = append(out, unanswered.of(d.Name, "without an assistant's message to learn")...)
	return append(out, repeated.of(d.Name, "with the content of a row before")...)
}
