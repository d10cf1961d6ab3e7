package tasks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/base"
	"github.com/spalora/spalora/internal/files"
	"github.com/spalora/spalora/lora"
)

// AdapterDir is the content of an adapter's directory without its base model.
type AdapterDir struct {
	*lora.Detached
	Beside map[string][]byte // files beside those of package lora, by name: classes, pooling, a tokenizer, terms
}

// BesideNames lists the files that directories of adapters for any of kinds may have beside those of package lora.
func BesideNames(kinds []Kind) []string {
	names := base.CopiedNames()
	for _, k := range kinds {
		for _, n := range k.Files {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

// ReadAdapterDir reads the adapter in dir with the files beside it, and logs what it ignores.
func ReadAdapterDir(kinds []Kind, dir string, log zerolog.Logger) (*AdapterDir, error) {
	if err := base.CheckAdapterDir(dir); err != nil {
		return nil, err
	}
	d, warnings, err := lora.ReadDetached(dir)
	for _, w := range warnings {
		log.Warn().Msg(w)
	}
	if err != nil {
		return nil, base.Input(err)
	}
	a := &AdapterDir{d, map[string][]byte{}}
	for _, name := range BesideNames(kinds) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, base.Input(err)
		}
		a.Beside[name] = text
	}
	return a, nil
}

// Write writes the directory, which appears complete or not at all; overwrite replaces one that exists with all its
// content.
func (a *AdapterDir) Write(dir string, overwrite bool) error {
	return files.WriteDir(dir, overwrite, func(d *files.Dir) error {
		for _, name := range slices.Sorted(maps.Keys(a.Beside)) {
			if err := d.WriteFile(name, files.Bytes(a.Beside[name])); err != nil {
				return err
			}
		}
		return a.Detached.Write(func(name string, write func(io.Writer) error) error { return d.WriteFile(name, write) })
	})
}

// Combine combines the adapters in dirs, for one task, as [lora.Combine] does. Files beside the adapters must be equal
// where several have them. The result is for the task that the adapters name.
func Combine(kinds []Kind, dirs []string, o lora.Combination, log zerolog.Logger) (*AdapterDir, error) {
	if err := o.Check(len(dirs)); err != nil {
		return nil, base.Settings(err)
	}
	for i, dir := range dirs {
		for _, other := range dirs[:i] {
			if files.Same(dir, other) {
				return nil, base.Settings(fmt.Errorf("`adapters` has %s twice; give each adapter once, with the sum of its weights",
					dir))
			}
		}
	}
	var adapters []*AdapterDir
	var detached []*lora.Detached
	for _, dir := range dirs {
		a, err := ReadAdapterDir(kinds, dir, log)
		if err != nil {
			return nil, err
		}
		adapters, detached = append(adapters, a), append(detached, a.Detached)
	}
	task, err := commonTask(kinds, adapters)
	if err != nil {
		return nil, err
	}
	beside, err := commonFiles(adapters)
	if err != nil {
		return nil, err
	}
	d, err := lora.Combine(detached, o)
	if err != nil {
		return nil, base.Input(err)
	}
	if task.Name != "" && (d.Config.TaskType == lora.NoTask || d.Config.TaskType != task.PEFT) {
		if d.Notes == nil {
			d.Notes = map[string]string{}
		}
		d.Notes[base.UseNote] = task.Name
	}
	warnAboutBases(adapters, log)
	for _, a := range adapters {
		for _, name := range slices.Sorted(maps.Keys(a.Notes)) {
			if a.Notes[name] != d.Notes[name] {
				log.Warn().Msgf("%s was trained with `%s` %s; the combined adapter remembers %s, as the first one has it", a.Name,
					name, a.Notes[name], d.Notes[name])
			}
		}
	}
	return &AdapterDir{d, beside}, nil
}

// commonTask returns the task of all adapters that name one, the zero Kind if none does.
func commonTask(kinds []Kind, adapters []*AdapterDir) (task Kind, err error) {
	var by string
	for _, a := range adapters {
		k, sure, err := Explicit(kinds, a.Name, "")
		switch {
		case err != nil:
			return task, err
		case k.Name == "" || k.Name == task.Name:
		case task.Name == "":
			task, by = k, a.Name
		case sure || k.PEFT != task.PEFT:
			return task, base.Input(fmt.Errorf("%s is for %s, %s for %s; combine adapters for one task", by, task.Name, a.Name,
				k.Name))
		}
	}
	return task, nil
}

// commonFiles returns the files that one of the adapters has, which must be equal in all that have them.
func commonFiles(adapters []*AdapterDir) (map[string][]byte, error) {
	all := map[string][]byte{}
	by := map[string]string{}
	for _, a := range adapters {
		for name, text := range a.Beside {
			if other, ok := all[name]; ok && !bytes.Equal(other, text) {
				return nil, base.Input(fmt.Errorf("%s differs between %s and %s; combine adapters with the same one", name,
					by[name], a.Name))
			}
			all[name], by[name] = text, a.Name
		}
	}
	return all, nil
}

// warnAboutBases warns if the adapters name different base models and nothing shows that these are equal.
func warnAboutBases(adapters []*AdapterDir, log zerolog.Logger) {
	first := adapters[0]
	for _, a := range adapters[1:] {
		known := a.Fingerprint != "" && first.Fingerprint != "" // compared by lora.Combine
		if x, y := first.Config.BaseModel, a.Config.BaseModel; !known && x != y && x != "" && y != "" {
			log.Warn().Msgf("%s names the base model %s, %s names %s; the result is right only if both are the same", first.Name,
				x, a.Name, y)
		}
	}
}
