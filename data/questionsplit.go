package data

import "fmt"

// SplitOff divides the questions into two lists: held gets about fraction of them,
// rest keeps the others, both in the order of the file. All questions about one
// context go to the same side, so that no context of held was trained on. The choice
// depends on seed and the order of the contexts only, the same on every machine. What
// was counted when the file was read stays with rest, so that it is told once.
//
// It is an error if fraction is not between 0 and 1 or a part would be empty.
func (q *Questions) SplitOff(fraction float64, seed uint64) (rest, held *Questions, err error) {
	contexts := make([]string, len(q.List))
	for i := range q.List {
		contexts[i] = q.List[i].Context
	}
	r, h := *q, *q
	if r.List, h.List, err = divideByContext(q.Name, q.List, contexts, fraction, seed); err != nil {
		return nil, nil, err
	}
	h.Blank, h.Replaced, h.Misplaced, h.InBytes, h.InUTF16, h.Unplaced, h.Dropped = 0, 0, 0, 0, 0, 0, 0
	return &r, &h, nil
}

// QuestionWarnings returns what is odd about the questions of a run, of which each
// may be nil: replaced bytes, misplaced answers, questions left out, blank questions
// and contexts, repeated questions, and questions to train on that are also evaluated
// or tested on.
func QuestionWarnings(train, eval, test *Questions) []Warning {
	var out []Warning
	for _, q := range []*Questions{train, eval, test} {
		if q != nil {
			out = append(out, q.warnings()...)
		}
	}
	if train == nil {
		return out
	}
	known := newTrained(train.Name, train.List, func(e *Question) (asked, int) { return e.asked(), e.Line })
	for _, q := range []*Questions{eval, test} {
		if q != nil {
			out = append(out, known.among(q.Name, q.List, "with a question and context that are also in ")...)
		}
	}
	return out
}

// asked identifies what a model sees of a question.
type asked struct{ question, context string }

func (q *Question) asked() asked { return asked{q.Question, q.Context} }

// warnings looks at single questions and at repeated ones.
func (q *Questions) warnings() []Warning {
	var hollow, repeated tally
	seen := make(map[asked]bool, len(q.List))
	for i := range q.List {
		e := &q.List[i]
		if blank(e.Question) || blank(e.Context) {
			hollow.add(e.Line)
		}
		if seen[e.asked()] {
			repeated.add(e.Line)
		}
		seen[e.asked()] = true
	}
	var out []Warning
	if q.Replaced > 0 {
		out = append(out, Warning{q.Name, 0, q.Replaced, plural(q.Replaced, "line") + " with bytes that are not UTF-8, which were replaced"})
	}
	if q.Misplaced > 0 {
		out = append(out, Warning{q.Name, 0, q.Misplaced, q.misplacedMessage()})
	}
	if q.Dropped > 0 {
		out = append(out, Warning{q.Name, 0, q.Dropped, plural(q.Dropped, "question") + " without an answer whose place is known, which were left out"})
	}
	out = append(out, hollow.of(q.Name, "with an empty question or context")...)
	return append(out, repeated.of(q.Name, "with the question and context of one before")...)
}

// misplacedMessage says how many answers are misplaced and what became of them.
func (q *Questions) misplacedMessage() string {
	s := plural(q.Misplaced, "answer") + " of the whole file not at answer_start, which counts code points"
	if q.InBytes > 0 {
		s += fmt.Sprintf(" (%d would be if it counted bytes of UTF-8)", q.InBytes)
	}
	if q.InUTF16 > 0 {
		s += fmt.Sprintf(" (%d would be if it counted units of UTF-16)", q.InUTF16)
	}
	return s + fmt.Sprintf(": %d moved to where the text stands, %d without a certain place, which count in scores but are not learned", q.Misplaced-q.Unplaced, q.Unplaced)
}
