package data

import (
	"fmt"
)

// Warning is something odd in the data that does not stop a run. It is counted and reported, never acted upon.
type Warning struct {
	File    string // name of the file
	Line    int    // first row concerned, 0 = the whole file
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

// Warnf returns a warning about count rows or classes, the first at line; line 0 is the whole file.
func Warnf(file string, line, count int, format string, args ...any) Warning {
	return Warning{file, line, count, fmt.Sprintf(format, args...)}
}

// Tally counts rows and keeps the line of the first. The zero value is empty.
type Tally struct{ N, Line int }

// Add counts the row at line.
func (c *Tally) Add(line int) {
	if c.N++; c.N == 1 {
		c.Line = line
	}
}

// Warn returns a warning about the counted rows of a file, or none: "3 rows " and what.
func (c Tally) Warn(file, what string) []Warning { return c.WarnOf(file, "row", what) }

// WarnOf returns a warning about counted things other than rows, or none: "3 words " and what.
func (c Tally) WarnOf(file, noun, what string) []Warning {
	if c.N == 0 {
		return nil
	}
	return []Warning{{file, c.Line, c.N, Plural(c.N, noun) + " " + what}}
}

// ReplacedWarnings returns a warning about lines of which bytes were replaced, or none.
func (f *File[E]) ReplacedWarnings() []Warning {
	return Tally{N: f.Replaced}.WarnOf(f.Name, "line", "with bytes that are not UTF-8, which were replaced")
}

// Known are the rows that a run trains on, by what a model sees of each.
type Known[E Row, K comparable] struct {
	file string
	seen map[K]bool
	row  func(E) (key K, line int)
}

// NewKnown returns the rows of the training file. row returns what a model sees of a row, and its line.
func NewKnown[E Row, K comparable](train *File[E], row func(E) (key K, line int)) Known[E, K] {
	k := Known[E, K]{train.Name, make(map[K]bool, train.Len()), row}
	for e := range train.Values() {
		key, _ := row(e)
		k.seen[key] = true
	}
	return k
}

// Among returns a warning about the rows of another file that are also trained on, or none. what ends before the name
// of the training file.
func (k Known[E, K]) Among(f *File[E], what string) []Warning {
	var c Tally
	for e := range f.Values() {
		if key, line := k.row(e); k.seen[key] {
			c.Add(line)
		}
	}
	return c.Warn(f.Name, what+k.file)
}
