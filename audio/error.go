package audio

import (
	"errors"
	"fmt"
	"io/fs"
)

// Error says which sound file cannot be used and why.
type Error struct {
	File string // name of the file as it was given
	Msg  string // what is wrong, and what to do about it
	Err  error  // cause, may be nil
}

// Error returns "audio: file: message: cause".
func (e *Error) Error() string {
	s := "audio: " + e.File + ": " + e.Msg
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

// errorf returns an error about the file.
func (f file) errorf(format string, args ...any) error {
	return &Error{File: f.name, Msg: fmt.Sprintf(format, args...)}
}
