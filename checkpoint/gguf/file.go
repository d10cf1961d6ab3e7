package gguf

import (
	"bytes"
	"fmt"
	"os"

	"github.com/spalora/spalora/checkpoint/internal/magic"
	"github.com/spalora/spalora/checkpoint/internal/mapping"
)

// Tensor is one tensor of a file.
type Tensor struct {
	Name  string
	Type  Type
	Shape []int  // outermost dimension first, the row length last: the reverse of the file's order
	Data  []byte // rows one after another, each of whole blocks; a read-only view that belongs to the file
	size  uint64
}

// File is an opened GGUF file. It is safe for concurrent use, except for Close, which must come last.
type File struct {
	version int
	keys    []string // in the order of the file
	values  map[string]value
	tensors []Tensor       // in the order of their descriptions
	order   []int          // indices into tensors in the order of their data
	index   map[string]int // by name
	mapping *mapping.File  // nil for a file parsed from memory
}

// Is reports whether a file that begins with head is a GGUF file. head needs at least four bytes.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte(magicText)) }

// Open maps the file at path into memory and checks it. The error names the file and, if it concerns one, the key or
// the tensor.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	defer f.Close()
	file, err := FromFile(f)
	if err != nil {
		return nil, fmt.Errorf("gguf: %s: %w", path, err)
	}
	return file, nil
}

// FromFile is [Open] for a file that is already open. Its error does not name the file; the caller adds the name and
// may close f as soon as FromFile has returned.
func FromFile(f *os.File) (*File, error) {
	m, err := mapping.Open(f)
	if err != nil {
		return nil, err
	}
	file, err := explained(m.Bytes())
	if err != nil {
		_ = m.Close() // the caller needs the error of parsing
		return nil, err
	}
	file.mapping = m
	return file, nil
}

// Parse opens and checks a file whose content is in memory. The tensors are views of data, which must not be changed
// afterwards.
func Parse(data []byte) (*File, error) {
	f, err := explained(data)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	return f, nil
}

// explained parses data. If that fails and the file is of another known kind, the error begins with what it is.
func explained(data []byte) (*File, error) {
	f, err := parse(data)
	if err == nil {
		return f, nil
	}
	if what := magic.Explain(data); what != "" && !Is(data) {
		return nil, fmt.Errorf("%s (%w)", what, err)
	}
	return nil, err
}

// Version returns the version of the format, 2 or 3.
func (f *File) Version() int { return f.version }

// Names returns the names of all tensors in the order of their data in the file.
func (f *File) Names() []string {
	names := make([]string, len(f.order))
	for i, n := range f.order {
		names[i] = f.tensors[n].Name
	}
	return names
}

// Tensor returns the tensor with the given name and whether it exists. Its Data are valid until Close.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Release tells the system that the mapped pages that lie completely within data are not needed for now; see
// File.Release in package safetensors. It returns false for data that is not a view of this file's mapping, which
// it ignores.
func (f *File) Release(data []byte) (mapped bool) { return f.mapping.Release(data) }

// Close removes the mapping; nothing of the file may be used afterwards. A second Close does nothing.
func (f *File) Close() error {
	err := f.mapping.Close()
	f.mapping, f.tensors, f.order, f.keys = nil, nil, nil, nil
	f.index, f.values = nil, nil
	if err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}
