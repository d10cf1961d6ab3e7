package document

import (
	"slices"

	"github.com/spalora/spalora/data"
)

// Warnings returns what is odd about the documents of a run, of which each may be nil: replaced bytes, keys that are
// not read, empty documents, completions and answers, chats without an assistant, repeated documents, and documents to
// train on that are also evaluated or tested on.
func Warnings(train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "content that is", (*File).warnings)
}

// warnings looks at single documents and at repeated ones.
func (f *File) warnings() []data.Warning {
	var hollow, unanswered, silent data.Tally
	var called []string // roles of rows without an assistant that are its names elsewhere
	for d := range f.Values() {
		switch f.Kind {
		case Text:
			if data.Blank(d.Text) {
				hollow.Add(d.Line)
			}
		case Prompt, Instruction:
			if data.Blank(d.Completion) {
				hollow.Add(d.Line)
			}
		case Chat:
			learned := d.Messages[min(d.Given, len(d.Messages)):]
			ofAssistant := func(m Message) bool { return m.Role == "assistant" && !m.Unlearned }
			if !slices.ContainsFunc(learned, ofAssistant) {
				unanswered.Add(d.Line)
				called = append(called, likeAssistant(learned)...)
				slices.Sort(called)
				called = slices.Compact(called)
			}
			if slices.ContainsFunc(learned, func(m Message) bool { return ofAssistant(m) && data.Blank(m.Content) }) {
				silent.Add(d.Line)
			}
		}
	}
	repeated, _ := f.Repeated(nil)
	unread := data.Tally{N: f.Unread}
	out := unread.WarnOf(f.Name, "message", f.unreadMessage())
	out = append(out, f.otherRoles.WarnOf(f.Name, "message", "of others than the assistant that are marked as to be "+
		"learned (weight, train …), but are not: only the assistant's are, or all with `train_on_prompt`")...)
	what := "with an empty text"
	if f.Kind == Prompt || f.Kind == Instruction {
		what = "with an empty completion"
	}
	out = append(out, f.beside.Warn(f.Name)...)
	out = append(out, hollow.Warn(f.Name, what)...)
	why := "without an assistant's message to learn"
	if len(called) > 0 {
		why += "; rename the roles " + data.NameList(called) + ` to "assistant" if they are the assistant's`
	}
	out = append(out, unanswered.Warn(f.Name, why)...)
	out = append(out, silent.Warn(f.Name, "with an empty message of the assistant, of which only the end is learned")...)
	return append(out, repeated.Warn(f.Name, "with the content of a row before")...)
}

// likeAssistant returns the roles of messages that are the assistant's names elsewhere.
func likeAssistant(messages []Message) (list []string) {
	for _, m := range messages {
		if m.Role != "assistant" && roles[data.Fold(m.Role)] == "assistant" {
			list = append(list, m.Role)
		}
	}
	return list
}

// unreadMessage names the keys that are not read.
func (f *File) unreadMessage() string {
	s := "with other keys than role and content, which are not read"
	if len(f.unreadKeys) > 0 {
		s += " and change nothing of what is learned: " + data.NameList(f.unreadKeys)
	}
	return s
}
