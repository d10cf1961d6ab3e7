package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spalora/spalora/internal/files"
)

// Result is where a command writes a file of results: a path, or standard output if it is empty or "-".
type Result struct {
	Flag      string // that gave the path, for messages
	Path      string
	Overwrite bool
}

// stdout reports whether the result goes to standard output.
func (r Result) stdout() bool { return r.Path == "" || r.Path == "-" }

// Check returns an error if the result must not be written because the file exists or is the input. Commands call it
// before any work.
func (r Result) Check(input string) error {
	if r.stdout() {
		return nil
	}
	if dir := filepath.Dir(r.Path); !isDir(dir) {
		return UsageError(fmt.Errorf("%s %s: there is no directory %s; make it first", r.Flag, r.Path, dir))
	}
	there, err := os.Lstat(r.Path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return UsageError(fmt.Errorf("%s: %w", r.Flag, err))
	}
	if there.IsDir() {
		return UsageError(fmt.Errorf("%s %s: this is a directory; give the name of a file", r.Flag, r.Path))
	}
	if in, err := os.Stat(input); err == nil && os.SameFile(in, there) {
		return UsageError(fmt.Errorf("%s %s: this is the input; give another file", r.Flag, r.Path))
	}
	if !r.Overwrite {
		return UsageError(fmt.Errorf("%s %s: the file exists; choose another or allow overwriting (--overwrite)",
			r.Flag, r.Path))
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Write replaces the result by the output of write. A file is replaced atomically.
func (r Result) Write(env Env, write func(w io.Writer) error) error {
	if !r.stdout() {
		return files.WriteFile(r.Path, write)
	}
	b := bufio.NewWriterSize(env.Out, 1<<16)
	if err := write(b); err != nil {
		return err
	}
	return b.Flush()
}
