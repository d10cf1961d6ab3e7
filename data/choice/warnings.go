package choice

import (
	"slices"
	"strings"

	"github.com/spalora/spalora/data"
)

// Warnings returns what is odd about the questions of a run, of which each file may be nil: replaced bytes, questions
// without words, without an answer, with equal choices, repeated questions, labels that are always or never the first
// choice, and questions to train on that are also evaluated or tested on.
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
	line := func(q Question) int { return q.Line }
	return append(out, data.AlsoIn(&train.File, Question.key, line, "with questions that are also in ",
		data.RowsOf(eval), data.RowsOf(test))...)
}

// key identifies what a model sees of a question.
func (q Question) key() string {
	return strings.Join(append([]string{q.Context, q.Question}, q.Endings...), "\x00")
}

// manyRows is the number of rows from which on it is odd that no label is the first choice.
const manyRows = 20

// warnings looks at single questions and at repeated ones.
func (f *File) warnings() []data.Warning {
	var hollow, unlabelled, equal, repeated data.Tally
	seen := make(map[string]bool, f.Len())
	counts := map[int]int{}
	for q := range f.Values() {
		if data.Blank(q.Context) && data.Blank(q.Question) {
			hollow.Add(q.Line)
		}
		if q.Label < 0 && f.Columns.Label != "" {
			unlabelled.Add(q.Line)
		} else if q.Label >= 0 {
			counts[q.Label]++
		}
		sorted := slices.Sorted(slices.Values(q.Endings))
		if len(slices.Compact(sorted)) < len(q.Endings) {
			equal.Add(q.Line)
		}
		if key := q.key(); seen[key] {
			repeated.Add(q.Line)
		} else {
			seen[key] = true
		}
	}
	out := f.ReplacedWarnings()
	out = append(out, hollow.Warn(f.Name, "with neither context nor question")...)
	out = append(out, unlabelled.Warn(f.Name, "without a label")...)
	out = append(out, equal.Warn(f.Name, "with two equal choices")...)
	out = append(out, repeated.Warn(f.Name, "with the question and choices of a row before")...)
	n := f.Labelled()
	switch {
	case n < manyRows:
	case len(counts) == 1:
		for label := range counts {
			out = append(out, data.Warnf(f.Name, 0, n,
				"every label is choice %d: a model learns the place, not the answer", label+1))
		}
	case counts[0] == 0:
		out = append(out, data.Warnf(f.Name, 0, n,
			"no label is the first choice: if labels are numbers from 1 on, use `first_index 1`"))
	}
	return out
}
