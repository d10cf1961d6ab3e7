package checkpoint

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/checkpoint/internal/ggufmodel"
)

// ggufFile is a store that presents a GGUF file as the files of a model directory.
type ggufFile struct {
	*ggufmodel.Model
	name string
}

// openStore opens a directory or a GGUF file. The name of a GGUF file does not matter.
func openStore(path string) (store, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() {
		if g, err := openGGUF(path); g != nil || err != nil {
			return g, err
		}
	}
	d, err := openDirectory(path)
	if err != nil {
		return nil, err
	}
	return d, nil
}

// openGGUF returns nil without an error if the file is not a GGUF file.
func openGGUF(path string) (store, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(f, head); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if !gguf.Is(head) {
		return nil, nil
	}
	file, err := gguf.FromFile(f)
	if err != nil {
		return nil, err
	}
	return newGGUF(filepath.Base(path), file)
}

// newGGUF returns the store for an opened file. It closes the file if it returns an error.
func newGGUF(name string, file *gguf.File) (store, error) {
	m, err := ggufmodel.New(file)
	if err != nil {
		_ = file.Close() // the caller needs the error of the model
		return nil, err
	}
	return &ggufFile{Model: m, name: name}, nil
}

func (g *ggufFile) list() ([]string, error) { return g.Files(), nil }

func (g *ggufFile) read(name string) ([]byte, error) { return g.Read(name) }

func (g *ggufFile) weights(string) (container, error) { return nil, fs.ErrNotExist } // the store is its only container

func (g *ggufFile) close() error { return g.Close() }
