package adapter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"github.com/spalora/spalora/internal/cli"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
	"github.com/spalora/spalora/tasks"
)

// output is the directory that a command writes.
type output struct {
	dir       string
	overwrite bool
}

func (o *output) add(fs *pflag.FlagSet) {
	fs.StringVar(&o.dir, "output-dir", "", "`directory` to write; its parent must exist")
	fs.BoolVar(&o.overwrite, "overwrite", false, "replace --output-dir with all its content")
}

// check returns an error if the directory must not be written, before a file is opened. holders are the flags whose
// paths the command reads, by their values; replaceable returns an error if the directory has content that must stay.
func (o *output) check(inputs []string, holders string, replaceable func(dir string) error) error {
	if o.dir == "" {
		return errors.New("--output-dir is missing; give the directory to write")
	}
	if err := files.CheckOutput(o.dir, o.overwrite); err != nil {
		return err
	}
	if slices.ContainsFunc(inputs, func(path string) bool { return within(o.dir, path) }) {
		return fmt.Errorf("--output-dir %s holds %s and would replace it; give another", o.dir, holders)
	}
	if err := replaceable(o.dir); err != nil {
		return err
	}
	parent := filepath.Dir(filepath.Clean(o.dir))
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		return fmt.Errorf("--output-dir %s: there is no directory %s; make it first", o.dir, parent)
	}
	return nil
}

// within reports whether path is dir or lies below it.
func within(dir, path string) bool {
	top, err := os.Stat(dir)
	if err != nil || path == "" {
		return false
	}
	if path, err = filepath.EvalSymlinks(path); err == nil {
		path, err = filepath.Abs(path)
	}
	for err == nil {
		var info fs.FileInfo
		if info, err = os.Stat(path); err == nil && os.SameFile(top, info) {
			return true
		}
		if up := filepath.Dir(path); up != path {
			path = up
			continue
		}
		break
	}
	return false
}

// replaceableModel returns an error if dir holds anything but a model: --overwrite replaces all of it.
func replaceableModel(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "config.json"))
	}
	if err != nil {
		return fmt.Errorf("--output-dir %s: it holds other things than a model, and all of them would be "+
			"replaced; give another", dir)
	}
	return nil
}

// replaceableAdapter returns the check of directories that --overwrite replaces: one with anything but the files of an
// adapter for any of kinds, such as the checkpoints of a run, is an error.
func replaceableAdapter(kinds []tasks.Kind) func(dir string) error {
	known := append(append(tasks.BesideNames(kinds), lora.FileNames()...), "README.md", tasks.RecordName)
	return func(dir string) error {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return cli.InputError(err)
		}
		for _, e := range entries {
			if !slices.Contains(known, e.Name()) {
				return fmt.Errorf("--output-dir %s: it holds %s, which is not a file of an adapter and would be removed; "+
					"give another", dir, e.Name())
			}
		}
		return nil
	}
}
