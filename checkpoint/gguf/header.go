package gguf

import (
	"errors"
	"fmt"
	"math/bits"
)

const (
	magicText = "GGUF"
	maxKey    = 65535 // bytes, as in the format's description
	maxName   = 64
	maxDims   = 4

	// the minimum size of a key-value pair and of a tensor's description, in bytes
	minPair   = 8 + 1 + 4 + 1
	minTensor = 8 + 1 + 4 + 8 + 4 + 8

	defaultAlignment = 32
	alignmentKey     = "general.alignment"
	splitKey         = "split.count"
)

// parse reads and checks everything except the values of the tensors.
func parse(data []byte) (*File, error) {
	f := &File{values: map[string]value{}, index: map[string]int{}}
	r := &reader{data: data}
	pairs, tensors, err := f.readHeader(r)
	if err != nil {
		return nil, err
	}
	for range pairs {
		if err := f.readPair(r); err != nil {
			return nil, err
		}
	}
	if n, ok, err := f.Uint(splitKey); err != nil {
		return nil, err
	} else if ok && n > 1 {
		return nil, fmt.Errorf("this is one of %d parts of a model; "+
			"join them first with llama.cpp's llama-gguf-split --merge", n)
	}
	alignment, err := f.alignment()
	if err != nil {
		return nil, err
	}
	offsets := make([]uint64, 0, tensors)
	for range tensors {
		offset, err := f.readTensor(r, alignment)
		if err != nil {
			return nil, err
		}
		offsets = append(offsets, offset)
	}
	return f, f.place(r, offsets, alignment)
}

// readHeader reads magic, version and counts.
func (f *File) readHeader(r *reader) (pairs, tensors int, err error) {
	magic, err := r.take(4, "the magic")
	if err != nil {
		return 0, 0, err
	}
	if string(magic) != magicText {
		return 0, 0, fmt.Errorf("byte 0: the file begins with %q, not with %q; it is not a GGUF file", magic, magicText)
	}
	version, err := r.uint32("the version")
	switch {
	case err != nil:
		return 0, 0, err
	case version != 0 && version&0xffff == 0:
		return 0, 0, fmt.Errorf("byte 4: the version is %d in big-endian order; "+
			"only little-endian files are read, convert it again", bits.ReverseBytes32(version))
	case version == 1:
		return 0, 0, errors.New("byte 4: version 1 of the format, which no program has written since 2023; " +
			"convert the model again")
	case version != 2 && version != 3:
		return 0, 0, fmt.Errorf("byte 4: version %d of the format is unknown; versions 2 and 3 are read", version)
	}
	f.version = int(version)
	if tensors, err = r.count(minTensor, "tensors"); err != nil {
		return 0, 0, err
	}
	pairs, err = r.count(minPair, "key-value pairs")
	return pairs, tensors, err
}

// readPair reads a key, and checks and skips its value.
func (f *File) readPair(r *reader) error {
	at := r.at
	key, err := r.name("a key", maxKey)
	if err != nil {
		return err
	}
	if _, twice := f.values[key]; twice {
		return fmt.Errorf("key %s: byte %d: duplicate key", quote(key), at)
	}
	v, err := readValue(r)
	if err != nil {
		return fmt.Errorf("key %s: %w", quote(key), err)
	}
	f.values[key] = v
	f.keys = append(f.keys, key)
	return nil
}

// alignment returns the alignment of tensor data in bytes.
func (f *File) alignment() (uint64, error) {
	v, ok := f.values[alignmentKey]
	if !ok {
		return defaultAlignment, nil
	}
	if v.kind != kindUint32 {
		return 0, fmt.Errorf("key %q: byte %d: got %s, want %s", alignmentKey, v.at, v.kind, kindUint32)
	}
	n := v.unsigned()
	if n%8 != 0 || bits.OnesCount64(n) != 1 {
		return 0, fmt.Errorf("key %q: byte %d: %d is not a power of two that is a multiple of 8", alignmentKey, v.at, n)
	}
	return n, nil
}

// readTensor reads the description of a tensor and returns its offset in the data.
func (f *File) readTensor(r *reader, alignment uint64) (offset uint64, err error) {
	at := r.at
	name, err := r.name("a tensor's name", maxName)
	if err != nil {
		return 0, fmt.Errorf("tensor %d: %w", len(f.tensors), err)
	}
	if _, twice := f.index[name]; twice {
		return 0, fmt.Errorf("tensor %s: byte %d: duplicate name", quote(name), at)
	}
	t := Tensor{Name: name}
	if offset, err = t.read(r, alignment); err != nil {
		return 0, fmt.Errorf("tensor %s: %w", quote(name), err)
	}
	f.index[name] = len(f.tensors)
	f.tensors = append(f.tensors, t)
	return offset, nil
}

// read reads the part of a description after the name, and returns the tensor's offset in the data.
func (t *Tensor) read(r *reader, alignment uint64) (offset uint64, err error) {
	at := r.at
	n, err := r.uint32("the number of dimensions")
	if err != nil {
		return 0, err
	}
	if n < 1 || n > maxDims {
		return 0, fmt.Errorf("byte %d: got %d dimensions, want 1 to %d", at, n, maxDims)
	}
	dims := make([]uint64, n) // row length first
	t.Shape = make([]int, n)
	for i := range dims {
		at = r.at
		if dims[i], err = r.uint64("a dimension"); err != nil {
			return 0, err
		}
		if d := int(dims[i]); d < 1 || uint64(d) != dims[i] {
			return 0, fmt.Errorf("byte %d: dimension %d is out of range", at, dims[i])
		}
		t.Shape[int(n)-1-i] = int(dims[i])
	}
	at = r.at
	number, err := r.uint32("the type")
	if err != nil {
		return 0, err
	}
	t.Type = Type(number)
	if elements, _ := t.Type.Block(); elements == 0 {
		return 0, fmt.Errorf("byte %d: the format has no tensor type %d", at, number)
	}
	if t.size, err = byteSize(t.Type, dims); err != nil {
		return 0, fmt.Errorf("byte %d: %w", at, err)
	}
	at = r.at
	if offset, err = r.uint64("the offset"); err != nil {
		return 0, err
	}
	if offset%alignment != 0 {
		return 0, fmt.Errorf("byte %d: offset %d is not a multiple of the alignment, %d", at, offset, alignment)
	}
	return offset, nil
}
