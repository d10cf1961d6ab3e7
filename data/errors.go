package data

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"unicode"
)

// ErrOption is wrapped by errors about the options of a reader, as opposed to the content of a file. Commands exit with
// "wrong usage" on it.
var ErrOption = errors.New("wrong option")

// Error says what is wrong with a data file and where. Commands exit with "bad input file" on it.
type Error struct {
	File string // name of the file as it was given
	Line int    // 1-based line at which the row begins; 0 = the whole file
	Msg  string // what was found and what to do about it
	Err  error  // cause, may be nil
}

// Error returns "data: file:line: message: cause".
func (e *Error) Error() string {
	s := "data: " + e.File
	if e.Line > 0 {
		s += fmt.Sprintf(":%d", e.Line)
	}
	s += ": " + e.Msg
	if _, missing := e.Err.(*fs.PathError); missing && errors.Is(e.Err, fs.ErrNotExist) {
		return s // which says that already
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an error about a row of a file that begins at line, or about the whole file if line is 0.
func Errorf(file string, line int, format string, args ...any) *Error {
	return &Error{File: file, Line: line, Msg: fmt.Sprintf(format, args...)}
}

// OptionErrorf returns an error that wraps [ErrOption].
func OptionErrorf(format string, args ...any) error {
	return fmt.Errorf("data: %w: %s", ErrOption, fmt.Sprintf(format, args...))
}

// InRow returns err if it is an [*Error], and otherwise an [*Error] with its text about the row at line.
func InRow(file string, line int, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return err
	}
	return Errorf(file, line, "%s", err)
}

// About makes an error about a row ("the row has no …") one about a part of the row ("it has no …").
func About(err error) error {
	if rest, ok := strings.CutPrefix(err.Error(), "the row "); ok {
		return errors.New("it " + rest)
	}
	return err
}

// Faults collects the rows of a file that have the same kind of fault. The zero value is empty.
type Faults struct {
	n     int
	line  int
	first error
}

// Add notes a fault of the row at line.
func (f *Faults) Add(line int, err error) {
	if f.n++; f.n == 1 {
		f.line, f.first = line, err
	}
}

// Err returns an [*Error] with the first fault and the number of the others, nil if there is none.
func (f *Faults) Err(file string) error {
	switch f.n {
	case 0:
		return nil
	case 1:
		return Errorf(file, f.line, "%s", f.first)
	}
	return Errorf(file, f.line, "%s (and %s more like this)", f.first, Plural(f.n-1, "row"))
}

// Excerpt quotes the beginning of a text for a message.
func Excerpt(s string) string {
	const limit = 40
	n := 0
	for i, r := range s {
		if n == limit {
			return strconv.Quote(s[:i]) + "…"
		}
		if !unicode.IsPrint(r) && n > limit/2 {
			return strconv.Quote(s[:i]) + "…"
		}
		n++
	}
	return strconv.Quote(s)
}

// NameList quotes names for a message, at most 20 of them.
func NameList(names []string) string {
	const limit = 20
	quoted := make([]string, 0, limit+1)
	for i, n := range names {
		if i == limit {
			quoted = append(quoted, fmt.Sprintf("… (%d in all)", len(names)))
			break
		}
		quoted = append(quoted, Excerpt(n))
	}
	return strings.Join(quoted, ", ")
}

// Plural returns a count with its noun: "1 row", "2 rows".
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// Fold returns s without outer spaces and in lower case: names that fold alike are taken for each other.
func Fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// Blank reports whether s has nothing but spaces.
func Blank(s string) bool { return strings.TrimSpace(s) == "" }
