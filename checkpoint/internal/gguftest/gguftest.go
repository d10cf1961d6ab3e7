// Package gguftest builds valid and damaged GGUF files for tests. It checks nothing.
package gguftest

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Raw is a value with an explicit type and explicit bytes.
type Raw struct {
	Type  uint32
	Bytes []byte
}

// Pair is a key and its value: a bool, string, uint32, uint64, int32, float32, float64, a slice of strings, int32 or
// float32, or Raw.
type Pair struct {
	Key   string
	Value any
}

// Pairs turns alternating keys and values into a list of pairs.
func Pairs(keysAndValues ...any) []Pair {
	var list []Pair
	for i := 0; i < len(keysAndValues); i += 2 {
		list = append(list, Pair{Key: keysAndValues[i].(string), Value: keysAndValues[i+1]})
	}
	return list
}

// Tensor holds a tensor's description and data.
type Tensor struct {
	Name   string
	Dims   []uint64 // the row length first
	Type   uint32
	Offset uint64 // offset in the data; 0 means the position of Data
	Data   []byte
}

// File describes a GGUF file. Counts that are nil get their true value.
type File struct {
	Magic     string // "GGUF" if empty
	Version   uint32 // 3 if 0
	Pairs     []Pair
	Tensors   []Tensor
	PairCount *uint64
	Count     *uint64 // of tensors
	Alignment int     // of the data; 32 if 0
	Cut       int     // bytes to leave out at the end
	Extra     []byte  // bytes to add at the end
}

var little = binary.LittleEndian

// Text appends a string in the encoding of the format and returns the extended slice.
func Text(b []byte, s string) []byte { return append(little.AppendUint64(b, uint64(len(s))), s...) }

// Bytes returns the content of the file.
func (f File) Bytes() []byte {
	b := []byte("GGUF")
	if f.Magic != "" {
		b = []byte(f.Magic)
	}
	if f.Version == 0 {
		f.Version = 3
	}
	b = little.AppendUint32(b, f.Version)
	b = little.AppendUint64(b, number(f.Count, len(f.Tensors)))
	b = little.AppendUint64(b, number(f.PairCount, len(f.Pairs)))
	for _, p := range f.Pairs {
		b = Value(Text(b, p.Key), p.Value)
	}
	align := max(f.Alignment, 0)
	if align == 0 {
		align = 32
	}
	var data []byte
	for _, t := range f.Tensors {
		data = pad(data, align)
		offset := t.Offset
		if offset == 0 {
			offset = uint64(len(data))
		}
		b = little.AppendUint32(Text(b, t.Name), uint32(len(t.Dims)))
		for _, d := range t.Dims {
			b = little.AppendUint64(b, d)
		}
		b = little.AppendUint64(little.AppendUint32(b, t.Type), offset)
		data = append(data, t.Data...)
	}
	if len(f.Tensors) > 0 {
		b = append(pad(b, align), data...)
	}
	return append(b[:len(b)-f.Cut], f.Extra...)
}

func number(n *uint64, otherwise int) uint64 {
	if n != nil {
		return *n
	}
	return uint64(otherwise)
}

func pad(b []byte, align int) []byte {
	for len(b)%align != 0 {
		b = append(b, 0)
	}
	return b
}

// Value appends the type and the bytes of a value and returns the extended slice. It panics if the type is not
// supported.
func Value(b []byte, v any) []byte {
	switch v := v.(type) {
	case Raw:
		return append(little.AppendUint32(b, v.Type), v.Bytes...)
	case uint32:
		return little.AppendUint32(little.AppendUint32(b, 4), v)
	case int32:
		return little.AppendUint32(little.AppendUint32(b, 5), uint32(v))
	case float32:
		return little.AppendUint32(little.AppendUint32(b, 6), math.Float32bits(v))
	case bool:
		b = little.AppendUint32(b, 7)
		if v {
			return append(b, 1)
		}
		return append(b, 0)
	case string:
		return Text(little.AppendUint32(b, 8), v)
	case uint64:
		return little.AppendUint64(little.AppendUint32(b, 10), v)
	case float64:
		return little.AppendUint64(little.AppendUint32(b, 12), math.Float64bits(v))
	case []string:
		b = array(b, 8, len(v))
		for _, s := range v {
			b = Text(b, s)
		}
		return b
	case []int32:
		b = array(b, 5, len(v))
		for _, n := range v {
			b = little.AppendUint32(b, uint32(n))
		}
		return b
	case []float32:
		b = array(b, 6, len(v))
		for _, x := range v {
			b = little.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	panic(fmt.Sprintf("gguftest: values of type %T are not supported", v))
}

// array appends the head of an array: its type, the type of its elements and their number.
func array(b []byte, element uint32, n int) []byte {
	return little.AppendUint64(little.AppendUint32(little.AppendUint32(b, 9), element), uint64(n))
}

// Set returns the pairs with one of them replaced or added, or removed if the value is nil.
func Set(pairs []Pair, key string, value any) []Pair {
	var out []Pair
	found := false
	for _, p := range pairs {
		if p.Key == key {
			found = true
			if value == nil {
				continue
			}
			p.Value = value
		}
		out = append(out, p)
	}
	if !found && value != nil {
		out = append(out, Pair{key, value})
	}
	return out
}
