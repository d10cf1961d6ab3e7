package data

import (
	"fmt"
	"slices"
	"strings"
)

// SplitOff divides the questions into two lists: held gets about fraction of them, rest keeps the
// others, both in the order of the file. All questions about one context go to the same side. The
// choice depends on seed and the order of the contexts only, the same on every machine. What was
// counted when the file was read stays with rest, so that it is told once. It is an error if
// fraction is not between 0 and 1 or a part would be empty.
func (c *Choices) SplitOff(fraction float64, seed uint64) (rest, held *Choices, err error) {
	contexts := make([]string, len(c.List))
	for i := range c.List {
		if contexts[i] = c.List[i].Context; contexts[i] == "" {
			contexts[i] = "\x00" + itoa(i) // no text has a NUL
		}
	}
	r, h := *c, *c
	if r.List, h.List, err = divideByContext(c.Name, c.List, contexts, fraction, seed); err != nil {
		return nil, nil, err
	}
	h.Blank, h.Replaced = 0, 0
	return &r, &h, nil
}

// key identifies what a model sees of a question.
func (c *Choice) key() string {
	return strings.Join(append([]string{c.Context, c.Question}, c.Endings...), "\x00")
}

// ChoiceWarnings returns what is odd about the questions of a run, of which each may be nil:
// replaced bytes, questions without words, without an answer, with equal choices, repeated
// questions, labels that are always or never the first choice, and questions to train on that
// are also evaluated or tested on.
func ChoiceWarnings(train, eval, test *Choices) []Warning {
	var out []Warning
	for _, c := range []*Choices{train, eval, test} {
		if c != nil {
			out = append(out, c.warnings()...)
		}
	}
	if train == nil {
		return out
	}
	known := newTrained(train.Name, train.List, func(e *Choice) (string, int) { return e.key(), e.Line })
	for _, c := range []*Choices{eval, test} {
		if c != nil {
			out = append(out, known.among(c.Name, c.List, "with questions that are also in ")...)
		}
	}
	return out
}

// manyRows is from how many rows on it is odd that no label is the first choice.
const manyRows = 20

// warnings looks at single questions and at repeated ones.
func (c *Choices) warnings() []Warning {
	var hollow, unlabelled, equal, repeated tally
	seen := make(map[string]bool, len(c.List))
	counts := map[int]int{}
	for i := range c.List {
		e := &c.List[i]
		if blank(e.Context) && blank(e.Question) {
			hollow.add(e.Line)
		}
		if e.Label < 0 && c.Columns.Label != "" {
			unlabelled.add(e.Line)
		} else if e.Label >= 0 {
			counts[e.Label]++
		}
		sorted := slices.Sorted(slices.Values(e.Endings))
		if len(slices.Compact(sorted)) < len(e.Endings) {
			equal.add(e.Line)
		}
		if key := e.key(); seen[key] {
			repeated.add(e.Line)
		} else {
			seen[key] = true
		}
	}
	var out []Warning
	if c.Replaced > 0 {
		out = append(out, Warning{c.Name, 0, c.Replaced, plural(c.Replaced, "line") + " with bytes that are not UTF-8, which were replaced"})
	}
	out = append(out, hollow.of(c.Name, "with neither context nor question")...)
	out = append(out, unlabelled.of(c.Name, "without a label")...)
	out = append(out, equal.of(c.Name, "with two equal choices")...)
	out = append(out, repeated.of(c.Name, "with the question and choices of a row before")...)
	n := c.Labelled()
	switch {
	case n < manyRows:
	case len(counts) == 1:
		for label := range counts {
			out = append(out, Warning{c.Name, 0, n, fmt.Sprintf("every label is choice %d: a model learns the place, not the answer", label+1)})
		}
	case counts[0] == 0:
		out = append(out, Warning{c.Name, 0, n, "no label is the first choice: if labels are numbers from 1 on, say --first-index 1"})
	}
	return out
}
