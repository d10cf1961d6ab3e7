package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spalora/spalora/checkpoint/safetensors"
)

// maxText is the maximum size of a configuration or tokenizer file, which is read into memory.
const maxText = 256 << 20

// store holds the files of a checkpoint.
type store interface {
	list() ([]string, error)                // names of all files, sorted
	read(name string) ([]byte, error)       // fs.ErrNotExist if there is none
	weights(name string) (container, error) // opens a file of weights
	close() error
}

// directory is a store on disk. Everything is opened through root, so that neither a name nor a link can lead out of
// it.
type directory struct {
	root *os.Root
	sub  string // the checkpoint's directory inside root
}

// openDirectory opens dir. A snapshot of the Hugging Face cache consists of links to ../../blobs; for such a snapshot
// root is the directory that contains both.
func openDirectory(dir string) (*directory, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, errors.New("not a directory and not a GGUF file; " +
			"give the directory that holds config.json and the weights")
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	base, sub := full, "."
	if snapshots := filepath.Dir(full); filepath.Base(snapshots) == "snapshots" {
		repository := filepath.Dir(snapshots)
		if blobs, err := os.Stat(filepath.Join(repository, "blobs")); err == nil && blobs.IsDir() {
			base, sub = repository, filepath.Join("snapshots", filepath.Base(full))
		}
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return nil, err
	}
	return &directory{root: root, sub: sub}, nil
}

func (d *directory) list() ([]string, error) {
	f, err := d.root.Open(d.sub)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// open opens a regular file of the directory.
func (d *directory) open(name string) (*os.File, error) {
	path := filepath.Join(d.sub, name)
	info, err := d.root.Stat(path) // first, because opening a pipe would wait for a writer
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		if above, aerr := d.root.Stat(filepath.Dir(path)); aerr == nil && !above.IsDir() {
			return nil, fs.ErrNotExist
		}
		if link, lerr := d.root.Lstat(path); lerr == nil && link.Mode()&fs.ModeSymlink != 0 {
			return nil, fmt.Errorf("a symbolic link that does not lead to a file in the model directory; "+
				"copy the file there (%v)", err)
		}
		return nil, err
	}
	return d.root.Open(path)
}

func (d *directory) read(name string) ([]byte, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err == nil && len(data) > maxText {
		err = fmt.Errorf("larger than %d MiB", maxText>>20)
	}
	return data, err
}

func (d *directory) weights(name string) (container, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if name == quantisedName {
		return quantisedFile(f)
	}
	file, err := safetensors.FromFile(f)
	if err != nil {
		return nil, err // not file, which would be a container with a nil pointer
	}
	return file, nil
}

func (d *directory) close() error { return d.root.Close() }

// memory is a store of files that are in memory, by name.
type memory map[string][]byte

func (m memory) list() ([]string, error) { return slices.Sorted(maps.Keys(m)), nil }

func (m memory) read(name string) ([]byte, error) {
	data, ok := m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (m memory) weights(name string) (container, error) {
	data, err := m.read(name)
	if err != nil {
		return nil, err
	}
	if name == quantisedName {
		return quantisedBytes(data)
	}
	file, err := safetensors.Parse(data)
	if err != nil {
		return nil, err
	}
	return file, nil
}

func (m memory) close() error { return nil }
