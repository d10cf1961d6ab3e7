package data

import (
	"fmt"
	"strings"

	"github.com/spalora/spalora/batch"
)

// Warning is something odd in the data that does not stop a run. It is counted
// and reported, never acted upon.
type Warning struct {
	File    string // the table's name
	Line    int    // first row concerned, 0 = the whole table
	Count   int    // rows or classes concerned
	Message string // what was found, with the count
}

// String returns "file:line: message".
func (w Warning) String() string {
	if w.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", w.File, w.Line, w.Message)
	}
	return fmt.Sprintf("%s: %s", w.File, w.Message)
}

// Warnings returns what is odd about the tables of a run, of which each may be
// nil: replaced bytes, dropped rows, empty texts, rows without a label,
// repeated texts, repeated texts with different labels, a single class, classes
// without rows to train on, a class for every row, constant targets, and texts
// to train on that are also evaluated or tested on. l may be nil if the classes
// are not known.
func Warnings(l *Labels, train, eval, test *Table) []Warning {
	var out []Warning
	for _, t := range []*Table{train, eval, test} {
		if t == nil {
			continue
		}
		out = append(out, t.rowWarnings()...)
		if l != nil {
			out = append(out, l.warnings(t, t == train)...)
		}
	}
	if train == nil {
		return out
	}
	known := newTrained(train.Name, train.Examples, func(e *Example) (texts, int) { return e.texts(), e.Line })
	for _, t := range []*Table{eval, test} {
		if t != nil {
			out = append(out, known.among(t.Name, t.Examples, "with texts that are also in ")...)
		}
	}
	return out
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// texts identifies what a model sees of an example.
type texts struct {
	text, pair string
	hasPair    bool
}

func (e *Example) texts() texts { return texts{e.Text, e.Pair, e.HasPair} }

// tally counts rows and keeps the first line.
type tally struct{ n, line int }

func (c *tally) add(line int) {
	if c.n++; c.n == 1 {
		c.line = line
	}
}

func (c tally) warn(t *Table, what string) []Warning { return c.of(t.Name, what) }

// of returns a warning about so many rows of a file, or none.
func (c tally) of(file, what string) []Warning {
	if c.n == 0 {
		return nil
	}
	return []Warning{{file, c.line, c.n, plural(c.n, "row") + " " + what}}
}

// rowWarnings looks at single rows and at repeated ones.
func (t *Table) rowWarnings() []Warning {
	var empty, unlabelled, repeated, contrary tally
	first := make(map[texts]string, len(t.Examples))
	for i := range t.Examples {
		e := &t.Examples[i]
		if blank(e.Text) || e.HasPair && blank(e.Pair) {
			empty.add(e.Line)
		}
		if e.Label.Kind == NoLabel && t.Columns.Label != "" {
			unlabelled.add(e.Line)
		}
		label := e.Label.String()
		switch before, ok := first[e.texts()]; {
		case !ok:
			first[e.texts()] = label
		case before == label:
			repeated.add(e.Line)
		default:
			contrary.add(e.Line)
		}
	}
	var out []Warning
	if t.Replaced > 0 {
		out = append(out, Warning{t.Name, 0, t.Replaced, plural(t.Replaced, "line") + " with bytes that are not UTF-8, which were replaced"})
	}
	if t.Dropped > 0 {
		out = append(out, Warning{t.Name, 0, t.Dropped, plural(t.Dropped, "row") + " without a target, which were left out"})
	}
	out = append(out, empty.warn(t, "with an empty text")...)
	out = append(out, unlabelled.warn(t, "without a label")...)
	out = append(out, repeated.warn(t, "with the texts and label of a row before")...)
	return append(out, contrary.warn(t, "with the texts of a row before but another label")...)
}

// warnings looks at the labels of a table, which l has found to be valid.
func (l *Labels) warnings(t *Table, train bool) []Warning {
	if l.Problem == Regression {
		return l.targetWarnings(t)
	}
	counts := make([]int, len(l.Names))
	if l.Problem == MultiLabel {
		rows, err := l.Rows(t)
		if err != nil {
			return nil // the caller was told by FindLabels
		}
		for i, v := range rows {
			if v == 1 {
				counts[i%len(counts)]++
			}
		}
	} else {
		classes, err := l.Classes(t)
		if err != nil {
			return nil
		}
		for _, c := range classes {
			if c != batch.Ignore {
				counts[c]++
			}
		}
	}
	if t.Labelled() == 0 {
		return nil
	}
	return l.countWarnings(t, counts, train)
}

func (l *Labels) countWarnings(t *Table, counts []int, train bool) []Warning {
	var out []Warning
	var none []string
	only, used := "", 0
	for i, n := range counts {
		if n == 0 {
			none = append(none, l.Names[i])
		} else {
			used++
			only = l.Names[i]
		}
	}
	if l.Problem == SingleLabel && used == 1 {
		out = append(out, Warning{t.Name, 0, t.Labelled(), fmt.Sprintf("every row has the class %q", only)})
	}
	if train && len(none) > 0 {
		out = append(out, Warning{t.Name, 0, len(none), fmt.Sprintf("%d of %d classes have no row: %s", len(none), len(counts), nameList(none))})
	}
	if train && l.Problem == SingleLabel && used == len(t.Examples) && used > 20 {
		out = append(out, Warning{t.Name, 0, used, fmt.Sprintf("each of the %d rows has a class of its own: is the label column (%s) right?", used, t.Columns.Label)})
	}
	return out
}

func (l *Labels) targetWarnings(t *Table) []Warning {
	targets, err := l.Targets(t)
	if err != nil {
		return nil
	}
	var missing tally
	var first float32
	n, constant := 0, true
	for i, v := range targets {
		if v != v {
			if t.Examples[i].Label.Kind != NoLabel {
				missing.add(t.Examples[i].Line)
			}
			continue
		}
		if n++; n == 1 {
			first = v
		}
		constant = constant && v == first
	}
	out := missing.warn(t, "whose target is NaN")
	if constant && n > 1 {
		out = append(out, Warning{t.Name, 0, n, fmt.Sprintf("every row has the target %g", first)})
	}
	return out
}

// trained are the rows of a training file, by what a model sees of each.
type trained[R any, K comparable] struct {
	file string
	seen map[K]bool
	row  func(*R) (key K, line int)
}

func newTrained[R any, K comparable](file string, rows []R, row func(*R) (key K, line int)) trained[R, K] {
	t := trained[R, K]{file, make(map[K]bool, len(rows)), row}
	for i := range rows {
		key, _ := row(&rows[i])
		t.seen[key] = true
	}
	return t
}

// among returns a warning about the rows of another file that are also trained on, or none; what ends before the training file's name.
func (t trained[R, K]) among(file string, rows []R, what string) []Warning {
	var c tally
	for i := range rows {
		if key, line := t.row(&rows[i]); t.seen[key] {
			c.add(line)
		}
	}
	return c.of(file, what+t.file)
}
