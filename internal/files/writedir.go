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

// WriteFile adds a file with the content that write writes. The name must be local: not absolute and without "..".
// WriteFile makes the directories in the name.
func (d *Dir) WriteFile(name string, write func(w io.Writer) error) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("writing %q: the name must be a relative path inside the directory", name)
	}
	if err := d.mkdirs(filepath.Dir(name)); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := d.s.fill(filepath.Join(d.path, name), write); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

// mkdirs makes the directory name and its parents below d.
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

// WriteDir makes the directory at path hold exactly the files that build writes. They go to a temporary directory
// beside path first. When build has returned without error and everything is on disk, the temporary directory replaces
// path in one step.
//
// If path is a directory that is not empty, WriteDir returns an error unless replace is set. With replace, the old
// directory is unchanged after an error, and removed with all its content after success. The parent must exist.
// WriteDir returns an error if path is a symbolic link or a file.
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

// build makes the directory temp, fills it and forces it to disk with everything in it.
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

// install moves the finished directory temp to path and removes the old directory. After an error temp does not exist
// any more.
func (s settings) install(temp, path string) error {
	old := "" // the path of the old directory after the swap
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
		err = fmt.Errorf("the directory is complete, but forcing its parent to disk failed: %w", err)
	}
	if old != "" {
		if gone := s.fs.Remove(old); gone != nil {
			err = both(err, fmt.Errorf("the directory is complete, but removing the old one, now %s, failed: %w", old, gone))
		}
	}
	return err
}

// swap moves temp to path and returns the new path of the old directory. After an error path is unchanged, unless the
// error says that moving it back failed.
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
