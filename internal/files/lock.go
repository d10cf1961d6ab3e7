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

// Lock is the exclusive right to write to a directory. The system takes it away when the process ends, however it ends, so a lock
// file that is left over locks nobody out.
type Lock struct {
	dir  string
	file *flock.Flock
}

// LockDir locks an existing directory. If another process, or another part of this one, holds the lock, the error says so and
// names the holder's process number.
func LockDir(dir string) (*Lock, error) {
	path := filepath.Join(dir, lockName)
	const tries = 10 // each failure means that a holder has removed its file in just this moment
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
	return nil, fmt.Errorf("locking %s: the lock file keeps changing; another process starts and stops there", dir)
}

// current tells whether the file that was locked is still the one at path: its former holder may have removed it after we opened it.
func current(file *flock.Flock, path string) bool {
	locked, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(locked, there)
}

// sign writes the process number behind a line feed: Windows locks the first byte against readers too.
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

// holder describes the process that has signed the lock file.
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

// Release gives the lock back and removes its file. Releasing twice, or a nil lock, does nothing.
func (l *Lock) Release() error {
	if l == nil || l.file == nil {
		return nil
	}
	file := l.file
	l.file = nil
	// Removed while it is still locked, so that nobody can be locking it at this moment. Windows removes no open file and needs the
	// second try. What cannot be removed stays without harm: it locks nobody out.
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
