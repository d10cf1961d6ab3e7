package data

import (
	"fmt"
	"hash/maphash"
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

// Seen finds rows of a file that a model sees in the same way. It keeps a number for each row, not its texts.
type Seen[E Row[E], K comparable] struct {
	file *File[E]
	key  func(E) K
	seed maphash.Seed
	rows map[uint64]int32 // first row with a hash
	more map[K]int32      // rows whose hash another key has
}

// NewSeen returns an empty list of rows of a file. key returns what a model sees of a row.
func NewSeen[E Row[E], K comparable](f *File[E], key func(E) K) *Seen[E, K] {
	return &Seen[E, K]{file: f, key: key, seed: maphash.MakeSeed(), rows: map[uint64]int32{}, more: map[K]int32{}}
}

// Find returns the row that was added with the same key as a row, e, has; ok is false if there is none.
func (s *Seen[E, K]) Find(e E) (row int, ok bool) {
	key := s.key(e)
	i, ok := s.rows[maphash.Comparable(s.seed, key)]
	if ok && s.key(s.file.At(int(i))) != key {
		i, ok = s.more[key]
	}
	return int(i), ok
}

// Add adds row i of the file, e, unless there is one with its key.
func (s *Seen[E, K]) Add(i int, e E) {
	key := s.key(e)
	h := maphash.Comparable(s.seed, key)
	first, taken := s.rows[h]
	switch {
	case !taken:
		s.rows[h] = int32(i)
	case s.key(s.file.At(int(first))) != key:
		if _, ok := s.more[key]; !ok {
			s.more[key] = int32(i)
		}
	}
}

// AlsoIn returns warnings about the rows of files that are also in f, the file to train on. key returns what a model
// sees of a row, line its place; what ends before the name of f. nil files are skipped.
func AlsoIn[E Row[E], K comparable](f *File[E], key func(E) K, line func(E) int, what string,
	files ...*File[E]) []Warning {
	var out []Warning
	var seen *Seen[E, K]
	for _, other := range files {
		if other == nil {
			continue
		}
		if seen == nil {
			seen = NewSeen(f, key)
			for i, e := range f.All() {
				seen.Add(i, e)
			}
		}
		var c Tally
		for e := range other.Values() {
			if _, ok := seen.Find(e); ok {
				c.Add(line(e))
			}
		}
		out = append(out, c.Warn(other.Name, what+f.Name)...)
	}
	return out
}
