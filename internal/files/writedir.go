package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is a directory under construction. It is not safe for concurrent use.
type Dir struct {
	path string
	s    settings
}

// WriteFile adds a file; write fills it. The name must be local: no "..", not absolute. Directories in the name are made.
func (d *Dir) WriteFile(name string, write func(w io.Writer) error) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("writing %q: not a name inside the directory", name)
	}
	if err := d.mkdirs(filepath.Dir(name)); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := d.s.fill(filepath.Join(d.path, name), write); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// mkdirs makes the directory and those above it, below d.
func (d *Dir) mkdirs(name string) error {
	if name == "." {
		return nil
	}
	if err := d.mkdirs(filepath.Dir(name)); err != nil {
		return err
	}
	err := d.s.fs.Mkdir(filepath.Join(d.path, name), dirPerm)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// WriteDir makes the directory at path hold exactly the files that build writes. They go to a temporary directory beside it first;
// only after build has returned without error and everything is on disk does it take the place of path, in one step.
//
// An older directory at path that is not empty is an error unless replace is set; it is then as it was after any error, and gone
// with all its content after success. The parent must exist. A symbolic link or a file at path is refused.
func WriteDir(path string, replace bool, build func(d *Dir) error, opts ...Option) error {
	s := apply(opts)
	path = filepath.Clean(path)
	if err := CheckOutput(path, replace); err != nil {
		return err
	}
	temp := filepath.Join(filepath.Dir(path), tempName())
	if err := s.build(temp, build); err != nil {
		return fmt.Errorf("writing directory %s: %w", path, s.discard(temp, err))
	}
	if err := s.install(temp, path); err != nil {
		return fmt.Errorf("writing directory %s: %w", path, err)
	}
	return nil
}

// build makes the directory temp and leaves it on disk with everything in it.
func (s settings) build(temp string, build func(d *Dir) error) error {
	if err := s.fs.Mkdir(temp, dirPerm); err != nil {
		return err
	}
	if err := build(&Dir{path: temp, s: s}); err != nil {
		return err
	}
	return filepath.WalkDir(temp, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		return s.fs.SyncDir(path)
	})
}

// install puts the finished directory temp at path and removes what was there. After an error temp is gone.
func (s settings) install(temp, path string) error {
	old := "" // where the older directory has gone
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = s.fs.Rename(temp, path)
	case err == nil:
		old, err = s.swap(temp, path)
	}
	if err != nil {
		return s.discard(temp, err)
	}
	err = s.fs.SyncDir(filepath.Dir(path))
	if err != nil {
		err = fmt.Errorf("it is complete, but forcing its parent to disk failed: %w", err)
	}
	if old != "" {
		if gone := s.fs.Remove(old); gone != nil {
			err = both(err, fmt.Errorf("it is complete, but removing the one before, now %s, failed: %w", old, gone))
		}
	}
	return err
}

// swap puts temp at path and returns where the older directory is then. After an error path is as it was.
func (s settings) swap(temp, path string) (old string, err error) {
	if err := s.fs.Exchange(temp, path); !errors.Is(err, errors.ErrUnsupported) {
		return temp, err
	}
	old = filepath.Join(filepath.Dir(path), tempName())
	if err := s.fs.Rename(path, old); err != nil {
		return "", err
	}
	if err := s.fs.Rename(temp, path); err != nil {
		if back := s.fs.Rename(old, path); back != nil {
			return "", fmt.Errorf("%w (and moving the older directory back from %s: %w)", err, old, back)
		}
		return "", err
	}
	return old, nil
}
