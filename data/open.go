package data

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// Open opens a regular file for reading. It returns an error for pipes and devices: the file is read again when a run
// is resumed, and opening a pipe without a writer would wait for ever.
func Open(path string) (*os.File, error) {
	if path == "" {
		return nil, OptionErrorf("the name of a data file is empty")
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: path, Msg: "there is no such file", Err: err}
	}
	if err != nil {
		return nil, &Error{File: path, Msg: "cannot read", Err: err}
	}
	switch {
	case info.IsDir():
		return nil, Errorf(path, 0, "this is a directory; give a file in it")
	case info.Mode()&fs.ModeNamedPipe != 0:
		return nil, Errorf(path, 0, "this is a pipe; write it to a file first")
	case !info.Mode().IsRegular():
		return nil, Errorf(path, 0, "this is not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{File: path, Msg: "cannot read", Err: err}
	}
	return f, nil
}

// ReadPath opens a file with [Open], checks that its rows will fit into memory, and returns what read makes of its
// content, with path as its name.
func ReadPath[F, O any](path string, o O, read func(r io.Reader, name string, o O) (F, error)) (F, error) {
	f, err := Open(path)
	if err != nil {
		var none F
		return none, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		if err := checkMemory(path, info.Size(), AvailableMemory()); err != nil {
			var none F
			return none, err
		}
	}
	return read(f, path, o)
}
