package choice

import (
	"slices"

	"github.com/spalora/spalora/data"
)

// Warnings returns what is odd about the questions of a run, of which each file may be nil: replaced bytes, questions
// without words, without an answer, with empty or equal choices, repeated questions, labels that are always or never
// the first choice, and questions to train on that are also evaluated or tested on.
func Warnings(train, eval, test *File) []data.Warning {
	return data.Warnings(train, eval, test, "questions that are", (*File).warnings)
}

// manyRows is the number of rows from which on it is odd that no label is the first choice.
const manyRows = 20

// warnings looks at single questions and at repeated ones.
func (f *File) warnings() []data.Warning {
	var hollow, unlabelled, blank, equal data.Tally
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
		if slices.ContainsFunc(q.Endings, data.Blank) {
			blank.Add(q.Line)
		}
		sorted := slices.Sorted(slices.Values(q.Endings))
		if len(slices.Compact(sorted)) < len(q.Endings) {
			equal.Add(q.Line)
		}
	}
	repeated, _ := f.Repeated(nil)
	out := hollow.Warn(f.Name, "with neither context nor question")
	out = append(out, unlabelled.Warn(f.Name, "without a label")...)
	out = append(out, blank.Warn(f.Name, "with an empty choice")...)
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
