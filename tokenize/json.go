package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth limits the nesting of the JSON files; real files have 6 levels.
const maxDepth = 64

// parseJSON reads one strict JSON document: valid UTF-8 without lone surrogates, without duplicate keys in an object
// and without anything after the value. Objects become map[string]any, arrays []any, numbers json.Number.
func parseJSON(file string, raw []byte) (any, error) {
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("tokenize: %s: not UTF-8", file)
	}
	if at := loneSurrogate(raw); at >= 0 {
		return nil, fmt.Errorf("tokenize: %s: byte %d: lone surrogate %s", file, at, raw[at:at+6])
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	v, err := parseValue(d, "", 0)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("text after the JSON value")
		}
	}
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("tokenize: %s: byte %d: %w", file, d.InputOffset(), err)
	}
	return v, nil
}

func parseValue(d *json.Decoder, path string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New(at(path, fmt.Sprintf("nested deeper than %d levels", maxDepth)))
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		m := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := key.(string) // the decoder accepts nothing else here
			if _, twice := m[name]; twice {
				return nil, errors.New(at(path, fmt.Sprintf("duplicate key %q", name)))
			}
			if m[name], err = parseValue(d, join(path, name), depth+1); err != nil {
				return nil, err
			}
		}
		_, err := d.Token()
		return m, err
	case json.Delim('['):
		a := []any{}
		for d.More() {
			v, err := parseValue(d, path+"["+strconv.Itoa(len(a))+"]", depth+1)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
		_, err := d.Token()
		return a, err
	}
	return token, nil
}

// loneSurrogate returns the offset of the first \u escape in raw that is half of
// a surrogate pair without the other half, or -1.
func loneSurrogate(raw []byte) int {
	unit := func(at int) uint64 {
		if at+6 > len(raw) || raw[at] != '\\' || raw[at+1] != 'u' {
			return 0
		}
		u, _ := strconv.ParseUint(string(raw[at+2:at+6]), 16, 16)
		return u
	}
	for at := 0; ; at += 2 {
		next := bytes.IndexByte(raw[at:], '\\')
		if next < 0 {
			return -1
		}
		at += next
		switch u := unit(at) & 0xFC00; {
		case u == 0xD800 && unit(at+6)&0xFC00 == 0xDC00:
			at += 10
		case u == 0xD800 || u == 0xDC00:
			return at
		case at+2 > len(raw):
			return -1
		}
	}
}

// join returns the path of member key. A path that ends in a colon is a file.
func join(path, key string) string {
	switch {
	case path == "":
		return key
	case strings.HasSuffix(path, ":"):
		return path + " " + key
	}
	return path + "." + key
}

// at prefixes a message with a path.
func at(path, message string) string {
	if path = strings.TrimSuffix(path, ":"); path == "" {
		return message
	}
	return path + ": " + message
}

// field is a value of a JSON document with its path for messages. Its methods add errors to errs, which all fields of a
// document share, and return a zero value after an error.
type field struct {
	path  string
	value any
	errs  *[]error
}

// fail adds an error about f.
func (f field) fail(format string, args ...any) {
	*f.errs = append(*f.errs, errors.New(at(f.path, fmt.Sprintf(format, args...))))
}

// is reports whether f exists and is not null.
func (f field) is() bool { return f.value != nil }

// object returns the members of f, or nil if f is not an object.
func (f field) object() map[string]any {
	m, ok := f.value.(map[string]any)
	if !ok {
		f.fail("want an object, got %s", kind(f.value))
	}
	return m
}

// get returns member key of the object f, or a null field if it does not exist.
func (f field) get(key string) field {
	m, _ := f.value.(map[string]any)
	return field{join(f.path, key), m[key], f.errs}
}

// only adds an error if f has members that are not in keys.
func (f field) only(keys ...string) {
	m, _ := f.value.(map[string]any)
	var unknown []string
	for key := range m {
		if !slices.Contains(keys, key) {
			unknown = append(unknown, key)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		f.fail("unknown field %s", strings.Join(unknown, ", "))
	}
}

// list returns the elements of f.
func (f field) list() []field {
	a, ok := f.value.([]any)
	if !ok {
		f.fail("want an array, got %s", kind(f.value))
		return nil
	}
	out := make([]field, len(a))
	for i, v := range a {
		out[i] = field{f.path + "[" + strconv.Itoa(i) + "]", v, f.errs}
	}
	return out
}

// text returns the string f.
func (f field) text() string {
	s, ok := f.value.(string)
	if !ok {
		f.fail("want a string, got %s", kind(f.value))
	}
	return s
}

// truth returns the boolean f.
func (f field) truth() bool {
	b, ok := f.value.(bool)
	if !ok {
		f.fail("want true or false, got %s", kind(f.value))
	}
	return b
}

// id returns the integer f, which must be in the range of token ids.
func (f field) id() int32 {
	n, ok := f.value.(json.Number)
	if !ok {
		f.fail("want an integer, got %s", kind(f.value))
		return 0
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	if err != nil || i < 0 || i > math.MaxInt32 {
		f.fail("want an integer of 0 … %d, got %s", math.MaxInt32, n)
		return 0
	}
	return int32(i)
}

// kind returns the name of the JSON type of v.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	case []any:
		return "an array"
	}
	return "an object"
}

// oneOf adds an error unless f is one of names.
func (f field) oneOf(names ...string) {
	if s := f.text(); !slices.Contains(names, s) {
		f.fail("want %s, got %q", strings.Join(names, " or "), s)
	}
}

// optionalText returns the string f, or "" if f does not exist.
func (f field) optionalText() string {
	if !f.is() {
		return ""
	}
	return f.text()
}

// optionalTruth returns the boolean f, or false if f does not exist.
func (f field) optionalTruth() bool { return f.is() && f.truth() }
