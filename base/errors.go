package base

import "errors"

// ErrSettings is wrapped by errors about settings that have no meaning, contradict each other or do not fit a model
// or its data.
var ErrSettings = errors.New("the settings do not fit")

// ErrInput is wrapped by errors about a file that is missing, damaged or made for something else.
var ErrInput = errors.New("an input file cannot be used")

// blamed is an error with its kind, ErrSettings or ErrInput. Its text is that of the error alone.
type blamed struct {
	error
	kind error
}

func (b *blamed) Unwrap() error { return b.error }

// Is reports whether target is the kind of the error.
func (b *blamed) Is(target error) bool { return target == b.kind }

// Settings returns err as an error that wraps [ErrSettings]; nil stays nil.
func Settings(err error) error { return blame(err, ErrSettings) }

// Input returns err as an error that wraps [ErrInput]; nil stays nil.
func Input(err error) error { return blame(err, ErrInput) }

func blame(err, kind error) error {
	if err == nil {
		return nil
	}
	return &blamed{err, kind}
}

// Blame returns [ErrSettings] or [ErrInput], whichever err was marked with last, or nil if it was marked with neither.
func Blame(err error) error {
	if b, ok := errors.AsType[*blamed](err); ok {
		return b.kind
	}
	return nil
}
