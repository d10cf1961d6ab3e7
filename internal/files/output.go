package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckOutput returns an error if a command must not write its results to dir: if dir is a symbolic link or not a
// directory, or if it is not empty and overwrite is false. The directory need not exist. CheckOutput changes nothing. A
// lock file and the temporary files of a killed process do not count as content.
func CheckOutput(dir string, overwrite bool) error {
	if dir == "" {
		return errors.New("output directory: the name is empty; give a directory")
	}
	dir = filepath.Clean(dir) // with a final slash, a symbolic link would be followed
	info, err := os.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("output directory: %w", err)
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("output directory %s: it is a symbolic link; give the path of the directory itself", dir)
	case !info.IsDir():
		return fmt.Errorf("output directory %s: it is not a directory; give another path", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("output directory: %w", err)
	}
	if overwrite {
		return nil
	}
	for _, e := range entries {
		if e.Name() != lockName && !isTemp(e.Name()) {
			return fmt.Errorf("output directory %s: it exists and is not empty (%s); choose another or allow overwriting "+
				"(--overwrite)",
				dir, e.Name())
		}
	}
	return nil
}

// PrepareOutput prepares dir for results and returns the lock that keeps other processes out; the caller releases it at
// the end. It makes the directory with its parents, removes temporary files that a killed process left, and checks that
// files can be written. It returns an error if [CheckOutput] does, or if another process has locked the directory. With
// overwrite, older files stay until they are replaced one by one; nothing else in the directory is touched.
func PrepareOutput(dir string, overwrite bool, opts ...Option) (*Lock, error) {
	if err := CheckOutput(dir, overwrite); err != nil {
		return nil, err
	}
	made, err := makeDir(dir)
	if err != nil {
		return nil, fmt.Errorf("output directory: %w", err)
	}
	lock, err := LockDir(dir)
	if err == nil {
		err = lock.settle(overwrite, opts)
	}
	if err != nil {
		if made {
			_ = os.Remove(dir) // removes dir only if it is empty; the caller needs the first error
		}
		return nil, err
	}
	return lock, nil
}

// settle does the steps of PrepareOutput that need the lock, and releases it after an error.
func (l *Lock) settle(overwrite bool, opts []Option) error {
	err := CheckOutput(l.dir, overwrite) // again: another process may have finished in between
	if err == nil {
		err = removeTemps(l.dir, apply(opts).fs)
	}
	if err == nil {
		err = tryWrite(l.dir, apply(opts))
	}
	if err != nil {
		return both(err, l.Release())
	}
	return nil
}

// makeDir makes dir with its parents and reports whether dir itself is new.
func makeDir(dir string) (made bool, err error) {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(dir)), dirPerm); err != nil {
		return false, err
	}
	err = os.Mkdir(dir, dirPerm)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

func removeTemps(dir string, fsys FS) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("output directory: %w", err)
	}
	for _, e := range entries {
		if !isTemp(e.Name()) {
			continue
		}
		if err := fsys.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("output directory: removing the temporary files of an earlier run: %w", err)
		}
	}
	return nil
}

// tryWrite returns an error if no file can be created in dir.
func tryWrite(dir string, s settings) error {
	temp := filepath.Join(dir, tempName())
	err := s.fill(temp, func(io.Writer) error { return nil })
	if err != nil {
		return fmt.Errorf("output directory %s cannot be written to: %w", dir, s.discard(temp, err))
	}
	if err := s.fs.Remove(temp); err != nil {
		return fmt.Errorf("output directory: %w", err)
	}
	return nil
}
