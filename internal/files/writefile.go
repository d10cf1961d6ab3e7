package files

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
)

// Permissions before the umask.
const (
	filePerm fs.FileMode = 0o666
	dirPerm  fs.FileMode = 0o777
)

// bufferSize is large enough that the number of system calls does not matter.
const bufferSize = 1 << 16

const tempPrefix, tempSuffix = ".spalora-", ".tmp"

// WriteFile makes the file at path hold the content that write writes. The content goes to a temporary file in the same
// directory first. When write has returned without error and the content is on disk, the temporary file replaces path
// in one step. After an error the old file is unchanged, with one exception: if only the last step failed, which forces
// the directory to disk, path holds the new file.
//
// The directory must exist. WriteFile returns an error if path is not a regular file, but a directory, a symbolic link
// or a device. Writes are buffered. Readers that have opened or mapped the old file keep it.
func WriteFile(path string, write func(w io.Writer) error, opts ...Option) error {
	s := apply(opts)
	if err := checkRegular(path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	temp := filepath.Join(dir, tempName())
	err := s.fill(temp, write)
	if err == nil && s.verify != nil {
		err = s.verify(temp)
	}
	if err == nil {
		err = s.fs.Rename(temp, path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, s.discard(temp, err))
	}
	if err := s.fs.SyncDir(dir); err != nil {
		return fmt.Errorf("writing %s: forcing its directory to disk: %w", path, err)
	}
	return nil
}

// checkRegular returns an error if path exists and a rename must not replace it.
func checkRegular(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("it is a directory")
	case info.Mode()&fs.ModeSymlink != 0:
		return errors.New("it is a symbolic link; give the path of the file itself")
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	}
	return nil
}

// fill creates the file at path, writes the content of write to it, forces it to disk and closes it.
func (s settings) fill(path string, write func(w io.Writer) error) error {
	f, err := s.fs.Create(path, filePerm)
	if err != nil {
		return err
	}
	buffered := bufio.NewWriterSize(f, bufferSize)
	err = write(buffered)
	if err == nil {
		err = buffered.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil { // the first error is the cause
		err = closeErr
	}
	return err
}

// Bytes returns a write function for the given content.
func Bytes(content []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(content)
		return err
	}
}

// discard removes the unfinished temp and returns reason, together with the error of removing, if any.
func (s settings) discard(temp string, reason error) error {
	return both(reason, s.fs.Remove(temp))
}

// both joins two errors, each of which may be nil, in one line.
func both(first, second error) error {
	switch {
	case second == nil:
		return first
	case first == nil:
		return second
	}
	return fmt.Errorf("%w (and %w)", first, second)
}

// tempName returns a name that no other writer uses. It does not contain the target's name, which may already have the
// maximum length of the file system.
func tempName() string { return fmt.Sprintf("%s%016x%s", tempPrefix, rand.Uint64(), tempSuffix) }

// isTemp reports whether tempName made name.
func isTemp(name string) bool {
	return len(name) == len(tempPrefix)+16+len(tempSuffix) &&
		strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}
