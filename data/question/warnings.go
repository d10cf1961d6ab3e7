package question

import (
	"fmt"

	"github.com/spalora/spalora/data"
)

// Warnings returns what is odd about the questions of a run, of which each may be nil: replaced bytes, misplaced
// answers, questions left out, blank questions and contexts, repeated questions, and questions to train on that are
// also evaluated or tested on.
func Warnings(train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "a question and context that are", (*File).warnings)
}

// warnings looks at single questions and at repeated ones.
func (f *File) warnings() []data.Warning {
	var hollow data.Tally
	for q := range f.Values() {
		if data.Blank(q.Question) || data.Blank(q.Context) {
			hollow.Add(q.Line)
		}
	}
	repeated, _ := f.Repeated(nil)
	var out []data.Warning
	if f.Misplaced > 0 {
		out = append(out, data.Warnf(f.Name, 0, f.Misplaced, "%s", f.misplacedMessage()))
	}
	dropped := data.Tally{N: f.Dropped}
	out = append(out, dropped.WarnOf(f.Name, "question", "without an answer whose place is known, which were left out")...)
	out = append(out, hollow.Warn(f.Name, "with an empty question or context")...)
	return append(out, repeated.Warn(f.Name, "with the question and context of one before")...)
}

// misplacedMessage says how many answers are misplaced and what was done with them.
func (c Counts) misplacedMessage() string {
	s := data.Plural(c.Misplaced, "answer") + " of the whole file not at answer_start, which counts code points"
	if c.InBytes > 0 {
		s += fmt.Sprintf(" (%d would be if it counted bytes of UTF-8)", c.InBytes)
	}
	if c.InUTF16 > 0 {
		s += fmt.Sprintf(" (%d would be if it counted units of UTF-16)", c.InUTF16)
	}
	return s + fmt.Sprintf(": %d moved to where the context has the text, %d without a certain place, which count in "+
		"scores but are not learned", c.Misplaced-c.Unplaced, c.Unplaced)
}
