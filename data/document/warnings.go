package document

import (
	"slices"

	"github.com/spalora/spalora/data"
)

// Warnings returns what is odd about the documents of a run, of which each may be nil: replaced bytes, keys that are
// not read, empty documents and completions, chats without an assistant, repeated documents, and documents to train on
// that are also evaluated or tested on.
func Warnings(train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "content that is", (*File).warnings)
}

// warnings looks at single documents and at repeated ones.
func (f *File) warnings() []data.Warning {
	var hollow, unanswered data.Tally
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
	}
	repeated, _ := f.Repeated(nil)
	unread := data.Tally{N: f.Unread}
	out := unread.WarnOf(f.Name, "message", "with other keys than role and content, which are not read")
	what := "with an empty text"
	if f.Kind == Prompt {
		what = "with an empty completion"
	}
	out = append(out, hollow.Warn(f.Name, what)...)
	out = append(out, unanswered.Warn(f.Name, "without an assistant's message to learn")...)
	return append(out, repeated.Warn(f.Name, "with the content of a row before")...)
}
