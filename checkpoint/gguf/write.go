package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/spalora/spalora/internal/files"
)

// Pair is a key of the metadata with its value: a bool, string, uint32, int32, uint64, float32, []string, []int32 or
// []float32.
type Pair struct {
	Key   string
	Value any
}

// Pending is a tensor to write, whose data are made when their turn comes.
type Pending struct {
	Name  string
	Type  Type
	Shape []int // outermost dimension first, as in [Tensor]
	// Data returns the tensor's bytes, rows of whole blocks. Write calls it once and does not keep the slice.
	Data func() ([]byte, error)
}

// Write writes a file of version 3 with the metadata and the tensors in the given order, each at a multiple of the
// alignment, 32 bytes, as llama.cpp's writer does. It holds the data of one tensor at a time. It returns an error,
// before it writes anything, if a key or a name is invalid or occurs twice, if a value has another type than [Pair]
// lists, or if a shape does not fit the type; and later if data do not fit their shape.
func Write(w io.Writer, pairs []Pair, tensors []Pending) error {
	header, sizes, err := encodeHeader(pairs, tensors)
	if err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	buffered := bufio.NewWriterSize(w, 1<<16)
	_, _ = buffered.Write(header) // a bufio.Writer keeps its first error, and every later call returns it
	for i, t := range tensors {
		data, err := t.Data()
		if err == nil && uint64(len(data)) != sizes[i] {
			err = fmt.Errorf("got %d bytes, want %d", len(data), sizes[i])
		}
		if err != nil {
			return fmt.Errorf("gguf: tensor %s: %w", quote(t.Name), err)
		}
		_, _ = buffered.Write(data)
		if _, err = buffered.Write(padding(len(data))); err != nil {
			return fmt.Errorf("gguf: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

// WriteFile writes a file at path as [Write] does. It replaces an old file only when the new one is complete and on
// disk.
func WriteFile(path string, pairs []Pair, tensors []Pending, opts ...files.Option) error {
	return files.WriteFile(path, func(w io.Writer) error { return Write(w, pairs, tensors) }, opts...)
}

// padding returns the zeros that follow n bytes up to the next multiple of the alignment.
func padding(n int) []byte { return make([]byte, -n&(defaultAlignment-1)) }

// encodeHeader returns everything before the tensors' data, with the padding, and the size of each tensor.
func encodeHeader(pairs []Pair, tensors []Pending) (header []byte, sizes []uint64, err error) {
	b := []byte(magicText)
	b = little.AppendUint32(b, 3)
	b = little.AppendUint64(b, uint64(len(tensors)))
	b = little.AppendUint64(b, uint64(len(pairs)))
	seen := map[string]bool{}
	for _, p := range pairs {
		if err := checkNew("key", p.Key, maxKey, seen); err != nil {
			return nil, nil, err
		}
		if b, err = appendValue(appendText(b, p.Key), p.Value); err != nil {
			return nil, nil, fmt.Errorf("key %s: %w", quote(p.Key), err)
		}
	}
	offset := uint64(0)
	seen = map[string]bool{}
	for _, t := range tensors {
		if err := checkNew("tensor", t.Name, maxName, seen); err != nil {
			return nil, nil, err
		}
		dims, size, err := t.layOut()
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %s: %w", quote(t.Name), err)
		}
		b = little.AppendUint32(appendText(b, t.Name), uint32(len(dims)))
		for _, d := range dims {
			b = little.AppendUint64(b, d)
		}
		b = little.AppendUint64(little.AppendUint32(b, uint32(t.Type)), offset)
		sizes = append(sizes, size)
		next, ok := roundUp(size, defaultAlignment)
		if !ok || offset+next < offset {
			return nil, nil, errors.New("the tensors' sizes overflow")
		}
		offset += next
	}
	return append(b, padding(len(b))...), sizes, nil
}

// layOut returns the dimensions in the order of the file and the size in bytes.
func (t Pending) layOut() (dims []uint64, size uint64, err error) {
	if n := len(t.Shape); n < 1 || n > maxDims {
		return nil, 0, fmt.Errorf("got %d dimensions, want 1 to %d", n, maxDims)
	}
	for _, d := range slices.Backward(t.Shape) {
		if d < 1 {
			return nil, 0, fmt.Errorf("dimension %d is out of range", d)
		}
		dims = append(dims, uint64(d))
	}
	if elements, _ := t.Type.Block(); elements == 0 {
		return nil, 0, fmt.Errorf("the format has no tensor type %d", uint32(t.Type))
	}
	size, err = byteSize(t.Type, dims)
	return dims, size, err
}

// checkNew returns an error if the reader would refuse a name, and marks it as seen.
func checkNew(what, name string, most int, seen map[string]bool) error {
	switch {
	case name == "":
		return fmt.Errorf("a %s has no name", what)
	case len(name) > most:
		return fmt.Errorf("%s %s: the name has %d bytes, at most %d are allowed", what, quote(name), len(name), most)
	case !utf8.ValidString(name):
		return fmt.Errorf("%s %s: the name is not UTF-8", what, quote(name))
	case slices.Contains([]byte(name), 0):
		return fmt.Errorf("%s %s: the name contains a NUL", what, quote(name))
	case seen[name]:
		return fmt.Errorf("%s %s: duplicate name", what, quote(name))
	case name == alignmentKey && what == "key":
		return fmt.Errorf("key %q: the alignment is always %d", name, defaultAlignment)
	}
	seen[name] = true
	return nil
}

var little = binary.LittleEndian

func appendText(b []byte, s string) []byte {
	return append(little.AppendUint64(b, uint64(len(s))), s...)
}

func appendKind(b []byte, k kind) []byte { return little.AppendUint32(b, uint32(k)) }

// appendValue appends the type of a value and the value.
func appendValue(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case bool:
		if b = appendKind(b, kindBool); v {
			return append(b, 1), nil
		}
		return append(b, 0), nil
	case string:
		if !utf8.ValidString(v) {
			return nil, errors.New("the string is not UTF-8")
		}
		return appendText(appendKind(b, kindString), v), nil
	case uint32:
		return little.AppendUint32(appendKind(b, kindUint32), v), nil
	case int32:
		return little.AppendUint32(appendKind(b, kindInt32), uint32(v)), nil
	case uint64:
		return little.AppendUint64(appendKind(b, kindUint64), v), nil
	case float32:
		return little.AppendUint32(appendKind(b, kindFloat32), math.Float32bits(v)), nil
	case []string:
		b = appendArray(b, kindString, len(v))
		for i, s := range v {
			if !utf8.ValidString(s) {
				return nil, fmt.Errorf("element %d: the string is not UTF-8", i)
			}
			b = appendText(b, s)
		}
		return b, nil
	case []int32:
		b = appendArray(b, kindInt32, len(v))
		for _, n := range v {
			b = little.AppendUint32(b, uint32(n))
		}
		return b, nil
	case []float32:
		b = appendArray(b, kindFloat32, len(v))
		for _, x := range v {
			b = little.AppendUint32(b, math.Float32bits(x))
		}
		return b, nil
	}
	return nil, fmt.Errorf("values of type %T are not written", v)
}

// appendArray appends the head of an array.
func appendArray(b []byte, element kind, n int) []byte {
	return little.AppendUint64(appendKind(appendKind(b, kindArray), element), uint64(n))
}
