package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Object is a JSON object: the values of its keys.
type Object map[string]json.RawMessage

// errTruncated marks a row that ends before its JSON does.
var errTruncated = errors.New("the row ends before its JSON does")

// byteError says what is wrong at a byte of a row, from 0.
type byteError struct {
	at  int
	err error
}

func (e *byteError) Error() string { return fmt.Sprintf("byte %d: %s", e.at+1, e.err) }

// ParseObject reads text that is one JSON object and returns it with its keys in order. A duplicate key, text after the
// object and a lone surrogate in a string are errors.
func ParseObject(line []byte) (Object, []string, error) {
	if i := LoneSurrogate(line); i >= 0 {
		return nil, nil, &byteError{i, HalfPair(line, i)}
	}
	d := json.NewDecoder(bytes.NewReader(line))
	first, err := d.Token()
	if err != nil {
		return nil, nil, syntax(line, err)
	}
	if first != json.Delim('{') {
		return nil, nil, fmt.Errorf("the row is %s, not an object like {\"text\": …, \"label\": …}", TokenName(first))
	}
	row := Object{}
	var keys []string
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, nil, syntax(line, err)
		}
		key := token.(string) // the decoder takes nothing else for a key
		if _, twice := row[key]; twice {
			return nil, nil, fmt.Errorf("the key %q is there twice", key)
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, nil, syntax(line, err)
		}
		row[key] = v
		keys = append(keys, key)
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, syntax(line, err)
	}
	if rest := bytes.TrimLeft(line[d.InputOffset():], " \t"); len(rest) > 0 {
		return nil, nil, &byteError{len(line) - len(rest),
			fmt.Errorf("%s follows the object: one object in every line", Excerpt(string(rest)))}
	}
	return row, keys, nil
}

// HalfPair is the error about the lone surrogate at byte i of text.
func HalfPair(text []byte, i int) error {
	return fmt.Errorf("%s is half of a surrogate pair, which is not a character", text[i:min(i+6, len(text))])
}

// syntax says where a line stops being JSON. The decoder's own errors count bytes in two ways, so the line is checked
// again as a whole.
func syntax(line []byte, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	var whole json.RawMessage
	var s *json.SyntaxError
	if !errors.As(json.Unmarshal(line, &whole), &s) {
		return fmt.Errorf("not JSON: %w", err)
	}
	at := int(s.Offset) - 1
	word := line[min(at, len(line)):]
	if bytes.HasPrefix(word, []byte("NaN")) || bytes.HasPrefix(word, []byte("Infinity")) {
		return &byteError{at, errors.New("not JSON: it has no NaN or Infinity, which Python writes; write null, or leave " +
			"the row out")}
	}
	return &byteError{at, fmt.Errorf("not JSON: %w", s)}
}

// TokenName returns what a JSON token begins or is, for a message.
func TokenName(t json.Token) string {
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return "an object"
		}
		return "a list"
	case string:
		return "a string"
	case float64:
		return "a number"
	case bool:
		return strconv.FormatBool(t)
	}
	return "null"
}

// LoneSurrogate returns the index of the first \uD800–\uDFFF escape in JSON that is not part of a pair, -1 if there
// is none. encoding/json would replace it silently.
func LoneSurrogate(b []byte) int {
	for i := 0; i+1 < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		u, ok := escaped(b[i:])
		switch {
		case !ok:
			i++ // another escape: skip what it escapes
		case u >= 0xDC00 && u < 0xE000:
			return i
		case u >= 0xD800 && u < 0xDC00:
			if low, ok := escaped(b[i+6:]); !ok || low < 0xDC00 || low >= 0xE000 {
				return i
			}
			i += 11
		default:
			i += 5
		}
	}
	return -1
}

// escaped reads \uXXXX.
func escaped(b []byte) (uint64, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	u, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return u, err == nil
}

// Text returns the string of a key.
func (o Object) Text(key string) (string, error) {
	v, ok := o[key]
	if !ok {
		return "", fmt.Errorf("the row has no %q", key)
	}
	if v[0] != '"' {
		return "", fmt.Errorf("%q is %s, not a string", key, Excerpt(string(v)))
	}
	var s string
	if err := json.Unmarshal(v, &s); err != nil {
		return "", fmt.Errorf("%q: %w", key, err)
	}
	return s, nil
}

// Texts returns the list of strings of a key.
func (o Object) Texts(key string) ([]string, error) {
	v, ok := o[key]
	if !ok {
		return nil, fmt.Errorf("the row has no %q", key)
	}
	list, err := Elements(v, key)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i, v := range list {
		if v[0] != '"' {
			return nil, fmt.Errorf("element %d of %q is %s, not a string", i+1, key, Excerpt(string(v)))
		}
		if err := json.Unmarshal(v, &out[i]); err != nil {
			return nil, fmt.Errorf("element %d of %q: %w", i+1, key, err)
		}
	}
	return out, nil
}

// Elements returns the elements of a JSON list, which is the value of key.
func Elements(v json.RawMessage, key string) ([]json.RawMessage, error) {
	if v[0] != '[' {
		return nil, fmt.Errorf("%q is %s, not a list", key, Excerpt(string(v)))
	}
	var list []json.RawMessage
	if err := json.Unmarshal(v, &list); err != nil {
		return nil, fmt.Errorf("%q: %w", key, err)
	}
	return list, nil
}

// Rejected reports whether a row is one of Prodigy's that the annotator did not accept: its "answer", if that is not
// one of the keys that are read, is "reject" or "ignore".
func (o Object) Rejected(read ...string) bool {
	answer := string(o["answer"])
	return (answer == `"reject"` || answer == `"ignore"`) && !slices.Contains(read, "answer")
}

// Null reports whether the value of a key is null or missing.
func Null(v json.RawMessage) bool { return len(v) == 0 || string(v) == "null" }

// Empty reports whether a JSON value is null, or an empty string, list or object. Exporters fill keys that a row does
// not use with these.
func Empty(v json.RawMessage) bool {
	switch string(bytes.TrimSpace(v)) {
	case "null", `""`, "[]", "{}":
		return true
	}
	return false
}
