package document

import (
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// Warnings returns what is odd about the documents of a run, of which each may be nil: replaced bytes, keys that are
// not read, empty documents and completions, chats without an assistant, repeated documents, and documents to train on
// that are also evaluated or tested on.
func Warnings(train, eval, test *File) []data.Warning {
	var out []data.Warning
	for _, f := range []*File{train, eval, test} {
		if f != nil {
			out = append(out, f.warnings()...)
		}
	}
	if train == nil {
		return out
	}
	line := func(d Document) int { return d.Line }
	return append(out, data.AlsoIn(&train.File, Document.key, line, "with content that is also in ", data.RowsOf(eval),
		data.RowsOf(test))...)
}

// key identifies what a model sees of a document.
func (d Document) key() string {
	parts := []string{d.Text, d.Prompt, d.Completion}
	for i, m := range d.Messages {
		if i == d.Given {
			parts = append(parts, "")
		}
		parts = append(parts, m.Role, m.Content)
	}
	return strings.Join(parts, "\x00")
}

// warnings looks at single documents and at repeated ones.
func (f *File) warnings() []data.Warning {
	var hollow, unanswered, repeated data.Tally
	seen := make(map[string]bool, f.Len())
	for d := range f.Values() {
		switch f.Kind {
		case Text:
			if data.Blank(d.Text) {
				hollow.Add(d.Line)
			}
		case Prompt:
			if data.Blank(d.Completion) {
				hollow.Add(d.Line)
			}
		case Chat:
			learned := d.Messages[min(d.Given, len(d.Messages)):]
			if !slices.ContainsFunc(learned, func(m Message) bool { return m.Role == "assistant" }) {
				unanswered.Add(d.Line)
			}
		}
		if key := d.key(); seen[key] {
			repeated.Add(d.Line)
		} else {
			seen[key] = true
		}
	}
	out := f.ReplacedWarnings()
	unread := data.Tally{N: f.Unread}
	out = append(out, unread.WarnOf(f.Name, "message", "with other keys than role and content, which are not read")...)
	what := "with an empty text"
	if f.Kind == Prompt {
		what = "with an empty completion"
	}
	out = append(out, hollow.Warn(f.Name, what)...)
	out = append(out, unanswered.Warn(f.Name, "without an assistant's message to learn")...)
	return append(out, repeated.Warn(f.Name, "with the content of a row before")...)
}
