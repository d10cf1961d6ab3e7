package data

import (
	"errors"
	"fmt"
)

// ErrOption is wrapped by errors about the options of a reader, as opposed to
// the content of a file: commands exit with "wrong usage" on it.
var ErrOption = errors.New("wrong option")

// Error says what is wrong with a data file and where. Commands exit with "bad
// input file" on it.
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
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func errorAt(file string, line int, format string, args ...any) *Error {
	return &Error{File: file, Line: line, Msg: fmt.Sprintf(format, args...)}
}

func optionError(format string, args ...any) error {
	return fmt.Errorf("data: %w: %s", ErrOption, fmt.Sprintf(format, args...))
}
