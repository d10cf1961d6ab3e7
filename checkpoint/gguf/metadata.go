package gguf

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// kind is the type of a metadata value, with the format's number.
type kind uint32

const (
	kindUint8 kind = iota
	kindInt8
	kindUint16
	kindInt16
	kindUint32
	kindInt32
	kindFloat32
	kindBool
	kindString
	kindArray
	kindUint64
	kindInt64
	kindFloat64
	kinds // number of kinds
)

var kindNames = [kinds]string{
	"uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string", "array",
	"uint64", "int64", "float64",
}

// kindSizes holds the size of each kind in bytes; for strings and arrays it is the minimum size.
var kindSizes = [kinds]uint64{1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8}

// maxDepth is the maximum nesting depth of arrays. No known file nests them at all.
const maxDepth = 4

func (k kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("type %d", uint32(k))
}

// value is a checked value. data holds all of it, for an array without the header.
type value struct {
	kind    kind
	element kind // kind of an array's elements
	count   int  // number of an array's elements
	data    []byte
	at      int // offset of data in the file
}

// readValue reads a value's type, and checks and skips the value.
func readValue(r *reader) (value, error) {
	k, err := readKind(r)
	if err != nil {
		return value{}, err
	}
	v := value{kind: k}
	if k == kindArray {
		if v.element, v.count, err = readArray(r); err != nil {
			return value{}, err
		}
	}
	v.at = r.at
	if k == kindArray {
		err = skipElements(r, v.element, v.count, 1)
	} else {
		err = skipElements(r, k, 1, 0)
	}
	v.data = r.data[v.at:r.at:r.at]
	return v, err
}

func readKind(r *reader) (kind, error) {
	at := r.at
	n, err := r.uint32("a value's type")
	if err != nil {
		return 0, err
	}
	if n >= uint32(kinds) {
		return 0, fmt.Errorf("byte %d: the format has no value type %d", at, n)
	}
	return kind(n), nil
}

// readArray reads the header of an array.
func readArray(r *reader) (element kind, count int, err error) {
	if element, err = readKind(r); err != nil {
		return 0, 0, err
	}
	count, err = r.count(kindSizes[element], "elements of type "+element.String())
	return element, count, err
}

// skipElements checks and skips count values of one kind. depth is the nesting depth of the arrays that contain them.
func skipElements(r *reader, k kind, count, depth int) error {
	switch k {
	case kindString:
		for range count {
			if _, err := r.text("a string"); err != nil {
				return err
			}
		}
		return nil
	case kindArray:
		if depth == maxDepth {
			return r.fail("arrays are nested more than %d deep", maxDepth)
		}
		for range count {
			element, n, err := readArray(r)
			if err == nil {
				err = skipElements(r, element, n, depth+1)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	at := r.at
	// The product does not overflow: count values of the kind's size fit the file.
	data, err := r.take(uint64(count)*kindSizes[k], "a value of type "+k.String())
	if err == nil && k == kindBool {
		for i, b := range data {
			if b > 1 {
				return fmt.Errorf("byte %d: got a truth value of %d, want 0 or 1", at+i, b)
			}
		}
	}
	return err
}

// bits returns the bits of element i of a value of fixed size.
func (v value) bits(k kind, i int) uint64 {
	switch size := int(kindSizes[k]); size {
	case 1:
		return uint64(v.data[i])
	case 2:
		return uint64(binary.LittleEndian.Uint16(v.data[2*i:]))
	case 4:
		return uint64(binary.LittleEndian.Uint32(v.data[4*i:]))
	}
	return binary.LittleEndian.Uint64(v.data[8*i:])
}

// unsigned returns a value of an unsigned type.
func (v value) unsigned() uint64 { return v.bits(v.kind, 0) }

// float returns element i, which is of type float32 or float64.
func (v value) float(k kind, i int) float64 {
	if k == kindFloat32 {
		return float64(math.Float32frombits(uint32(v.bits(k, i))))
	}
	return math.Float64frombits(v.bits(k, i))
}

// integer returns element i, which is of an integer type; ok is false if it exceeds int64.
func (v value) integer(k kind, i int) (n int64, ok bool) {
	b := v.bits(k, i)
	switch k {
	case kindInt8:
		return int64(int8(b)), true
	case kindInt16:
		return int64(int16(b)), true
	case kindInt32:
		return int64(int32(b)), true
	case kindInt64:
		return int64(b), true
	}
	return int64(b), b <= math.MaxInt64
}

func isInteger(k kind) bool {
	return k < kindFloat32 || k == kindUint64 || k == kindInt64
}

func isFloat(k kind) bool { return k == kindFloat32 || k == kindFloat64 }

// wrong returns the error for a value of another type than the caller wants.
func (v value) wrong(key, want string) error {
	found := v.kind.String()
	if v.kind == kindArray {
		found = fmt.Sprintf("an array of %d %s", v.count, v.element)
	}
	return fmt.Errorf("gguf: key %s: byte %d: got %s, want %s", quote(key), v.at, found, want)
}

// Keys returns the keys of the metadata in the order of the file.
func (f *File) Keys() []string { return append([]string(nil), f.keys...) }

// Has reports whether the metadata contain the key.
func (f *File) Has(key string) bool {
	_, ok := f.values[key]
	return ok
}

// Length returns the number of elements of an array; ok is false if there is no such key. It returns an error if the
// value is not an array.
func (f *File) Length(key string) (n int, ok bool, err error) {
	v, ok := f.values[key]
	if !ok {
		return 0, false, nil
	}
	if v.kind != kindArray {
		return 0, false, v.wrong(key, "an array")
	}
	return v.count, true, nil
}

// Text returns the string of a key; ok is false if there is no such key. It returns an error if the value is not a
// string or not UTF-8.
func (f *File) Text(key string) (text string, ok bool, err error) {
	v, ok := f.values[key]
	if !ok {
		return "", false, nil
	}
	if v.kind != kindString {
		return "", false, v.wrong(key, "a string")
	}
	if !utf8.Valid(v.data[8:]) {
		return "", false, fmt.Errorf("gguf: key %s: byte %d: the string is not UTF-8", quote(key), v.at+8)
	}
	return string(v.data[8:]), true, nil
}

// Uint returns the integer of a key; ok is false if there is no such key. It returns an error if the value is not an
// integer, is negative or is above 2⁶³−1.
func (f *File) Uint(key string) (n uint64, ok bool, err error) {
	v, ok := f.values[key]
	if !ok {
		return 0, false, nil
	}
	if !isInteger(v.kind) {
		return 0, false, v.wrong(key, "an integer")
	}
	i, ok := v.integer(v.kind, 0)
	switch {
	case !ok:
		return 0, false, fmt.Errorf("gguf: key %s: byte %d: %d is out of range, want 0 … 2^63-1", quote(key),
			v.at, v.unsigned())
	case i < 0:
		return 0, false, fmt.Errorf("gguf: key %s: byte %d: %d is out of range, want 0 … 2^63-1", quote(key), v.at, i)
	}
	return uint64(i), true, nil
}

// Float returns the number of a key, which is float32 or float64; ok is false if there is no such key. It returns an
// error if the value has another type or is not finite.
func (f *File) Float(key string) (x float64, ok bool, err error) {
	v, ok := f.values[key]
	if !ok {
		return 0, false, nil
	}
	if !isFloat(v.kind) {
		return 0, false, v.wrong(key, "a float")
	}
	x = v.float(v.kind, 0)
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, false, fmt.Errorf("gguf: key %s: byte %d: %v is not a finite number", quote(key), v.at, x)
	}
	return x, true, nil
}

// Bool returns the truth value of a key; ok is false if there is no such key. It returns an error if the value has
// another type.
func (f *File) Bool(key string) (b, ok bool, err error) {
	v, ok := f.values[key]
	if !ok {
		return false, false, nil
	}
	if v.kind != kindBool {
		return false, false, v.wrong(key, "a truth value")
	}
	return v.data[0] == 1, true, nil
}

// Texts returns the array of strings of a key, or nil if there is no such key. It returns an error if the value has
// another type or a string is not UTF-8.
func (f *File) Texts(key string) ([]string, error) {
	v, ok := f.values[key]
	if !ok {
		return nil, nil
	}
	if v.kind != kindArray || v.element != kindString {
		return nil, v.wrong(key, "an array of strings")
	}
	r := &reader{data: v.data}
	texts := make([]string, v.count)
	for i := range texts {
		b, err := r.text("a string")
		if err != nil { // not possible: the array was checked
			return nil, fmt.Errorf("gguf: key %s: %w", quote(key), err)
		}
		if !utf8.Valid(b) {
			return nil, fmt.Errorf("gguf: key %s: element %d, byte %d: the string is not UTF-8",
				quote(key), i, v.at+r.at-len(b))
		}
		texts[i] = string(b)
	}
	return texts, nil
}

// Ints returns the array of integers of a key, or nil if there is no such key. It returns an error if the value has
// another type or an integer is above 2⁶³−1.
func (f *File) Ints(key string) ([]int64, error) {
	v, ok := f.values[key]
	if !ok {
		return nil, nil
	}
	if v.kind != kindArray || !isInteger(v.element) {
		return nil, v.wrong(key, "an array of integers")
	}
	ints := make([]int64, v.count)
	for i := range ints {
		if ints[i], ok = v.integer(v.element, i); !ok {
			return nil, fmt.Errorf("gguf: key %s: element %d is above 2^63-1", quote(key), i)
		}
	}
	return ints, nil
}

// Floats returns the array of floats of a key, or nil if there is no such key. It returns an error if the value has
// another type.
func (f *File) Floats(key string) ([]float64, error) {
	v, ok := f.values[key]
	if !ok {
		return nil, nil
	}
	if v.kind != kindArray || !isFloat(v.element) {
		return nil, v.wrong(key, "an array of floats")
	}
	floats := make([]float64, v.count)
	for i := range floats {
		floats[i] = v.float(v.element, i)
	}
	return floats, nil
}
