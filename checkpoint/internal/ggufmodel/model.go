// Package ggufmodel presents a GGUF file as a Hugging Face checkpoint: configuration and tokenizer as the files of a
// model directory, and tensors with the names, shapes and order of rows of transformers. Tensors stay in the stored
// type.
//
// Names and values are those that llama.cpp's converter writes and that transformers reads back
// (transformers.modeling_gguf_pytorch_utils).
package ggufmodel

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/spalora/spalora/checkpoint/gguf"
	"github.com/spalora/spalora/checkpoint/internal/mapping"
	"github.com/spalora/spalora/checkpoint/safetensors"
)

// Model is an opened GGUF model. It is safe for concurrent use, except for Close, which must come last.
type Model struct {
	file    *gguf.File
	arch    architecture
	config  *config
	notes   []string
	names   []string // names of Hugging Face, in the order of the file
	tensors map[string]*tensor
	moved   *mapping.Region // memory for tensors whose rows are reordered; nil if there are none
}

// tensor is a tensor of the file and how it is presented.
type tensor struct {
	stored     gguf.Tensor
	shape      []int  // in Hugging Face's order
	transposed bool   // the stored rows are the columns of shape
	heads      int    // number of heads whose rows llama.cpp's converter interleaved; 0 for none
	ordered    []byte // memory for the rows in Hugging Face's order
	once       sync.Once
}

// New checks the metadata and the tensors of f and returns a model, whose Close closes f. It returns an error if the
// architecture is not supported, if a number that the configuration needs is missing or out of range, or if a tensor
// contradicts the configuration. Unknown tensors keep their names.
func New(f *gguf.File) (*Model, error) {
	m := &Model{file: f, tensors: map[string]*tensor{}}
	md := &metadata{file: f}
	name := md.text("general.architecture", "")
	if kind := md.text("general.type", "model"); kind != "model" {
		md.fail(fmt.Errorf("the file has general.type %q, want %q", kind, "model"))
	}
	if md.err != nil {
		return nil, md.err
	}
	var ok bool
	if m.arch, ok = architectures[name]; !ok {
		return nil, fmt.Errorf("architecture %q is not supported; want %s", name, strings.Join(architectureNames(), ", "))
	}
	md.arch = name
	c, err := readConfig(md, m.arch)
	if err != nil {
		return nil, err
	}
	m.config, m.notes = c, c.notes
	if err := m.nameTensors(); err != nil {
		return nil, err
	}
	return m, nil
}

// nameTensors finds the Hugging Face name of every tensor and reserves memory for those whose rows are reordered.
func (m *Model) nameTensors() error {
	size := 0
	for _, name := range m.file.Names() {
		if name == ropeFactors {
			continue // part of the configuration
		}
		t := &tensor{}
		t.stored, _ = m.file.Tensor(name)
		hf, err := m.place(t)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		if first, twice := m.tensors[hf]; twice {
			return fmt.Errorf("tensors %q and %q are both %s", first.stored.Name, name, hf)
		}
		m.tensors[hf] = t
		m.names = append(m.names, hf)
		if t.heads > 0 {
			size += (len(t.stored.Data) + 63) &^ 63
		}
	}
	if size == 0 {
		return nil
	}
	var err error
	if m.moved, err = mapping.NewRegion(size); err != nil {
		return err
	}
	free := m.moved.Bytes()
	for _, hf := range m.names {
		if t := m.tensors[hf]; t.heads > 0 {
			n := len(t.stored.Data)
			t.ordered, free = free[:n:n], free[(n+63)&^63:]
		}
	}
	return nil
}

// place returns the Hugging Face name of a tensor and sets its shape and order.
func (m *Model) place(t *tensor) (string, error) {
	t.shape = t.stored.Shape
	hf, role, err := m.arch.name(t.stored.Name, m.config.layers)
	if err != nil {
		return "", err
	}
	switch {
	case role == transposed && len(t.shape) == 2:
		t.shape = []int{t.shape[1], t.shape[0]}
		t.transposed = true
	case role == queryRows || role == keyRows:
		t.heads = m.config.heads
		if role == keyRows {
			t.heads = m.config.kvHeads
		}
		if rows := t.shape[0]; rows%(2*t.heads) != 0 {
			return "", fmt.Errorf("%d rows are not pairs of rows for each of %d heads", rows, t.heads)
		}
		if elements, _ := t.stored.Type.Block(); len(t.shape) == 1 && elements > 1 {
			return "", fmt.Errorf("a vector of type %s, whose blocks hold elements of several pairs", t.stored.Type)
		}
	}
	return hf, nil
}

// Names returns the tensors' names in the order of the file.
func (m *Model) Names() []string { return slices.Clone(m.names) }

// Tensor returns the tensor with the given name and whether it exists. Its DType is GGUF's name of the stored type; its
// Data are valid until Close.
func (m *Model) Tensor(name string) (safetensors.Tensor, bool) {
	t, ok := m.tensors[name]
	if !ok {
		return safetensors.Tensor{}, false
	}
	data := t.stored.Data
	if t.heads > 0 {
		t.once.Do(func() {
			rows := t.shape[0]
			moveRows(rows, t.heads, func(hf, stored int) { copyRow(t.ordered, hf, data, stored, rows) })
			m.file.Release(data)
		})
		data = t.ordered
	}
	dtype := safetensors.DType(t.stored.Type.String())
	return safetensors.Tensor{Name: name, DType: dtype, Shape: t.shape, Data: data}, true
}

// Transposed reports whether a tensor's data are stored transposed: Shape is (in, out), but out rows of in elements are
// stored.
func (m *Model) Transposed(name string) bool {
	t, ok := m.tensors[name]
	return ok && t.transposed
}

// Notes returns the oddities of the metadata that are not errors.
func (m *Model) Notes() []string { return m.notes }

// Release tells the system that the mapped pages within data are not needed for now. It returns false for data that
// is not mapped from the file, which it ignores.
func (m *Model) Release(data []byte) (mapped bool) { return m.file.Release(data) }

// Close closes the file and frees the reordered rows; a second Close does nothing.
func (m *Model) Close() error {
	var err error
	if m.moved != nil {
		err = m.moved.Close()
	}
	m.tensors, m.names, m.moved = nil, nil, nil
	return errors.Join(err, m.file.Close())
}

// The names of the files that are made from metadata.
const (
	configName     = "config.json"
	generationName = "generation_config.json"
	tokenizerName  = "tokenizer.json"
	settingsName   = "tokenizer_config.json"
)

// Files returns the names of the files that Read can make, sorted.
func (m *Model) Files() []string {
	files := []string{configName, generationName}
	if m.file.Has(tokensKey) {
		files = append(files, tokenizerName, settingsName)
	}
	return files
}

// Read makes a file of a model directory from the metadata. The error is fs.ErrNotExist if Files does not list the
// name.
func (m *Model) Read(name string) ([]byte, error) {
	if !slices.Contains(m.Files(), name) {
		return nil, fs.ErrNotExist
	}
	switch name {
	case configName:
		return encode(m.config.values)
	case generationName:
		return encode(m.config.generation)
	case tokenizerName:
		return m.tokenizer()
	}
	return m.settings()
}
