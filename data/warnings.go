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

// Warnings returns what is odd about the files of a run, of which each may be nil: what check finds in each, rows to
// train on that are also evaluated or tested on, and other rows to evaluate on that are also tested on. shared says
// what those have in common ("texts that are").
func Warnings[E Row[E], K any, P Of[E, K]](train, eval, test P, shared string, check func(f P) []Warning) []Warning {
	var out []Warning
	for _, f := range []P{train, eval, test} {
		if f == nil {
			continue
		}
		out = append(out, f.base().ReadWarnings()...)
		out = append(out, check(f)...)
	}
	var trained, evaluated *seen[E]
	for _, f := range []P{eval, test} {
		if f == nil || train == nil {
			continue
		}
		b := f.base()
		if trained == nil && !b.heldOut {
			trained = allSeen(train.base())
		}
		if f == test && eval != nil {
			evaluated = allSeen(eval.base())
		}
		var inTrain, inEval Tally
		for e := range b.Values() {
			if _, ok := trained.find(e); ok && !b.heldOut {
				inTrain.Add(e.StartLine())
			} else if _, ok := evaluated.find(e); ok {
				inEval.Add(e.StartLine())
			}
		}
		out = append(out, inTrain.Warn(b.Name, "with "+shared+" also in "+train.base().Name)...)
		if inEval.N > 0 {
			what := "with " + shared + " also in " + eval.base().Name
			if eval.base().heldOut {
				what += ", in the part to evaluate on"
			}
			out = append(out, inEval.Warn(b.Name, what)...)
		}
	}
	return out
}

// Joined counts rows with a quoted field of several lines, each of which would be a row without the quotes.
type Joined struct {
	Tally
	Last int // last line of the first one
}

// add counts a row of the lines first to last.
func (j *Joined) add(first, last int) {
	if j.Add(first); j.N == 1 {
		j.Last = last
	}
}

// ReadWarnings returns what was odd about the lines of the file: those with replaced bytes, rows that an annotator did
// not accept, and quotes that may have made one row of several.
func (f *File[E]) ReadWarnings() []Warning {
	replaced := Tally{N: f.Replaced}
	out := replaced.WarnOf(f.Name, "line", "with bytes that are not UTF-8, which were replaced")
	out = append(out, f.Rejected.Warn(f.Name, `whose "answer" is "reject" or "ignore", which were left out`)...)
	return append(out, f.Joined.Warn(f.Name, fmt.Sprintf("with a quoted field of several lines that each look like a row "+
		"(lines %d to %d): if a quote is part of the text, read quotes as text with `no_quotes`", f.Joined.Line,
		f.Joined.Last))...)
}

// Repeated counts the rows that a model sees like a row before: those that alike holds for and the others. A nil alike
// holds for all.
func (f *File[E]) Repeated(alike func(before, e E) bool) (same, other Tally) {
	seen := newSeen(f)
	for i, e := range f.All() {
		switch before, ok := seen.find(e); {
		case !ok:
			seen.add(i, e)
		case alike == nil || alike(f.At(before), e):
			same.Add(e.StartLine())
		default:
			other.Add(e.StartLine())
		}
	}
	return same, other
}

// seen finds rows of a file that a model sees in the same way. It keeps a number for each row, not its texts.
type seen[E Row[E]] struct {
	file *File[E]
	seed maphash.Seed
	rows map[uint64]int32 // first row with a hash
	more map[string]int32 // rows whose hash another key has
}

func newSeen[E Row[E]](f *File[E]) *seen[E] {
	return &seen[E]{file: f, seed: maphash.MakeSeed(), rows: map[uint64]int32{}, more: map[string]int32{}}
}

// allSeen returns the rows of a file.
func allSeen[E Row[E]](f *File[E]) *seen[E] {
	s := newSeen(f)
	for i, e := range f.All() {
		s.add(i, e)
	}
	return s
}

// find returns the row that was added with the same key as e; ok is false if there is none, or if s is nil.
func (s *seen[E]) find(e E) (row int, ok bool) {
	if s == nil {
		return 0, false
	}
	key, ok := e.Key()
	if !ok {
		return 0, false
	}
	i, ok := s.rows[maphash.String(s.seed, key)]
	if ok && !s.has(i, key) {
		i, ok = s.more[key]
	}
	return int(i), ok
}

// add adds row i of the file, e, unless there is one with its key.
func (s *seen[E]) add(i int, e E) {
	key, ok := e.Key()
	if !ok {
		return
	}
	h := maphash.String(s.seed, key)
	first, taken := s.rows[h]
	switch {
	case !taken:
		s.rows[h] = int32(i)
	case !s.has(first, key):
		if _, ok := s.more[key]; !ok {
			s.more[key] = int32(i)
		}
	}
}

// has reports whether row i of the file has a key.
func (s *seen[E]) has(i int32, key string) bool {
	other, _ := s.file.At(int(i)).Key()
	return other == key
}
