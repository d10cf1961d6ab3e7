// Package settings knows the keys of the JSON files that stand beside the weights of a checkpoint, such as
// generation_config.json: for each file a table says what becomes of every key that transformers or
// sentence-transformers can write. The readers of a file call [File.Check], so that no setting that changes the
// reference's results has no effect in silence.
package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Effect says what becomes of a key.
type Effect int

const (
	// Acts marks a key that is honoured as the reference does.
	Acts Effect = iota + 1
	// Neutral marks a key that cannot change results here.
	Neutral
	// Warned marks a key that is not honoured; a value that changes the reference's results is reported.
	Warned
	// Refused marks a key that is not honoured; a value that changes the reference's results is an error.
	Refused
)

// String returns the effect in words.
func (e Effect) String() string {
	return [...]string{"", "acts", "cannot matter", "warning", "error"}[e]
}

// Key is a key of a file.
type Key struct {
	Name   string // "*_token" stands for every name that ends like this
	Effect Effect
	// Silent are the JSON values, beside null, with which a Warned or Refused key changes nothing: `1`, `false`, `"none"`.
	Silent []string
	// Note says what the key does here, why it cannot matter, or what is not done and what to do instead. A message about
	// the key ends with it.
	Note string
}

// File is a file with all keys that the reference knows.
type File struct {
	Name string
	Keys []Key
}

// Key returns the key of a name, and whether the file has one.
func (f File) Key(name string) (Key, bool) {
	i := slices.IndexFunc(f.Keys, func(k Key) bool { return k.Name == name })
	if i < 0 {
		i = slices.IndexFunc(f.Keys, func(k Key) bool {
			end, many := strings.CutPrefix(k.Name, "*")
			return many && strings.HasSuffix(name, end)
		})
	}
	if i < 0 {
		return Key{}, false
	}
	return f.Keys[i], true
}

// Check compares the content of the file, a JSON object, with the table. It returns a warning for each Warned key whose
// value matters and one that lists the keys that are not known, and an error for the first Refused key whose value
// matters. Both begin with the name of the file.
func (f File) Check(content []byte) (warnings []string, err error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(content, &object); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	var unknown []string
	for name := range object {
		if _, ok := f.Key(name); !ok {
			unknown = append(unknown, oneLine(name))
		}
	}
	for _, k := range f.Keys { // in the order of the table, which is the same in every run
		value, ok := object[k.Name]
		if !ok {
			continue
		}
		problem := k.Problem(value)
		switch {
		case problem == "":
		case k.Effect == Warned:
			warnings = append(warnings, f.Name+": "+problem)
		case err == nil:
			err = fmt.Errorf("%s: %s", f.Name, problem)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		warnings = append(warnings, fmt.Sprintf("%s: not known and without effect: %s", f.Name, strings.Join(unknown, ", ")))
	}
	return warnings, err
}

// Problem returns what there is to say about a value of a Warned or Refused key, or "" if the value changes nothing or
// the key has another effect.
func (k Key) Problem(value json.RawMessage) string {
	if k.Effect == Acts || k.Effect == Neutral || k.silent(value) {
		return ""
	}
	return fmt.Sprintf("%s is %s: %s", k.Name, Shortened(value), k.Note)
}

// oneLine returns the name of a key, quoted if it would break a line.
func oneLine(name string) string {
	if strings.ContainsFunc(name, unicode.IsControl) {
		return strconv.Quote(name)
	}
	return name
}

// silent reports whether a value changes nothing.
func (k Key) silent(value json.RawMessage) bool {
	var v any
	if json.Unmarshal(value, &v) != nil || v == nil {
		return true
	}
	return slices.ContainsFunc(k.Silent, func(s string) bool {
		var w any
		return json.Unmarshal([]byte(s), &w) == nil && reflect.DeepEqual(v, w)
	})
}

// Shortened returns a value of JSON for a message, in one line.
func Shortened(value json.RawMessage) string {
	const limit = 60
	var line bytes.Buffer
	if json.Compact(&line, value) != nil {
		line.Reset()
		line.WriteString(strconv.Quote(string(value)))
	}
	if s := []rune(line.String()); len(s) > limit {
		return string(s[:limit]) + "…"
	}
	return line.String()
}
