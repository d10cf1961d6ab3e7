package safetensors

import (
	"fmt"
	"os"

	"github.com/spalora/spalora/checkpoint/internal/magic"
	"github.com/spalora/spalora/checkpoint/internal/mapping"
)

// Tensor is one tensor of a file.
type Tensor struct {
	Name  string
	DType DType
	Shape []int  // outermost dimension first; empty for a scalar
	Data  []byte // elements in row-major order, little-endian; a read-only view that belongs to the file
}

// Len returns the number of elements, the product of the shape: 1 for a scalar.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// File is an opened safetensors file. It is safe for concurrent use, except for Close, which must come last.
type File struct {
	tensors  []entry        // in the order of their data
	index    map[string]int // by name
	metadata map[string]string
	mapping  *mapping.File // nil for a file parsed from memory
}

// Open maps the file at path into memory and checks its header. The error names the file and, if it concerns one, the
// tensor.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	defer f.Close()
	file, err := FromFile(f)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
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
	file, err := parse(m.Bytes())
	if err != nil {
		_ = m.Close() // the caller needs the parse error
		return nil, err
	}
	file.mapping = m
	return file, nil
}

// Parse opens a file whose content is in memory, and checks its header. The tensors are views of data, which must not
// be changed afterwards.
func Parse(data []byte) (*File, error) {
	f, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	return f, nil
}

func parse(data []byte) (*File, error) {
	f, err := parseHeader(data)
	if err != nil {
		return nil, explain(data, err)
	}
	return f, nil
}

// explain adds to a parse error what the file really is, if that is known.
func explain(data []byte, err error) error {
	if what := magic.Explain(data); what != "" {
		return fmt.Errorf("%s (%w)", what, err)
	}
	return err
}

// Names returns the names of all tensors in the order of their data in the file.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensor returns the tensor with the given name and whether it exists. Its Data are valid until Close.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i].Tensor, true
}

// Metadata returns the file's `__metadata__`, or nil if there is none. The caller must not change it.
func (f *File) Metadata() map[string]string { return f.metadata }

// Release tells the system that the mapped pages that lie completely within data are not needed for now: they no longer
// count as memory of this process and are read again from the file at the next access. It returns false for
// data that is not a view of this file's mapping, which it ignores. On systems other than Linux it releases nothing.
func (f *File) Release(data []byte) (mapped bool) { return f.mapping.Release(data) }

// Close removes the mapping; Data of the file's tensors must not be used afterwards. A second Close does nothing.
func (f *File) Close() error {
	if f.mapping == nil {
		return nil
	}
	err := f.mapping.Close()
	f.mapping, f.tensors, f.index = nil, nil, nil
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return nil
}
