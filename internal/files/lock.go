package files

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

const lockName = ".lock"

// Lock is the exclusive right to write to a directory. The system releases it when the process ends for any reason, so
// a leftover lock file does not keep anyone out.
type Lock struct {
	dir  string
	file *flock.Flock
}

// LockDir locks an existing directory; the caller releases the lock. It returns an error if another process, or another
// part of this one, holds the lock; the error has the holder's process number.
func LockDir(dir string) (*Lock, error) {
	path := filepath.Join(dir, lockName)
	const tries = 10 // each failure means that a holder has just removed its file
	for range tries {
		file := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(filePerm))
		got, err := file.TryLock()
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", dir, both(err, file.Close()))
		}
		if !got {
			return nil, fmt.Errorf("%s is in use by %s; wait for it, or give another directory", dir, holder(path))
		}
		if current(file, path) {
			l := &Lock{dir: dir, file: file}
			if err := l.sign(path); err != nil {
				return nil, fmt.Errorf("locking %s: %w", dir, both(err, l.Release()))
			}
			return l, nil
		}
		if err := file.Close(); err != nil {
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
	}
	return nil,
		fmt.Errorf("locking %s: the lock file keeps changing because another process starts and stops there; try again", dir)
}

// current reports whether the locked file is still the one at path: its former holder may have removed it after it was
// opened.
func current(file *flock.Flock, path string) bool {
	locked, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(locked, there)
}

// sign writes the process number after a line feed, because Windows locks the first byte against readers too.
func (l *Lock) sign(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := f.Truncate(1); err != nil {
		return both(err, f.Close())
	}
	_, err = f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 1)
	return both(err, f.Close())
}

// holder returns words for the process that signed the lock file: "process" and its number, or "another process".
func holder(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "another process"
	}
	defer f.Close()
	pid, err := io.ReadAll(io.NewSectionReader(f, 1, 20))
	if err != nil || len(strings.TrimSpace(string(pid))) == 0 {
		return "another process"
	}
	return "process " + strings.TrimSpace(string(pid))
}

// Release releases the lock and removes its file. It does nothing if l is nil or already released.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	// The file is removed while it is still locked, so that nobody can be locking it at this moment. Windows does not
	// remove an open file and needs the second try. A file that cannot be removed does no harm, because it keeps nobody
	// out.
	removed := os.Remove(file.Path())
	err := file.Close()
	if removed != nil {
		_ = os.Remove(file.Path())
	}
	if err != nil {
		return fmt.Errorf("unlocking %s: %w", l.dir, err)
	}
	return nil
}
