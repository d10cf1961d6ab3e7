package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/spalora/spalora/checkpoint/internal/magic"
	"github.com/spalora/spalora/checkpoint/internal/strictjson"
)

// DecodeJSON decodes a JSON object into the struct that v points to, more strictly than encoding/json: a byte order
// mark, invalid UTF-8, comments, a duplicate key in any object, text after the end, and a key that differs from a
// field's name only in case are errors with their position. A value of the wrong type is an error with its field. Keys
// without a field in v are ignored. The errors begin with name, which is the name of the file.
func DecodeJSON(name string, data []byte, v any) error {
	if err := decode(data, v); err != nil {
		return fmt.Errorf("checkpoint: %s: %w", name, err)
	}
	return nil
}

// checkJSON returns an error unless data is one strict JSON object.
func checkJSON(data []byte) error {
	err := strictjson.Check(data)
	if err == nil {
		_, err = strictjson.Keys(data)
	}
	if err == nil {
		return nil
	}
	if what := magic.Explain(data); what != "" {
		return errors.New(what)
	}
	if len(data) == 0 {
		return errors.New("the file is empty")
	}
	return position(data, err)
}

// position adds line and column to an error of strictjson.
func position(data []byte, err error) error {
	var at *strictjson.Error
	if !errors.As(err, &at) {
		return err
	}
	before := string(data[:min(at.Offset, len(data))])
	line := 1 + strings.Count(before, "\n")
	column := len(before) - strings.LastIndex(before, "\n")
	return fmt.Errorf("line %d, column %d: %w", line, column, err)
}

func decode(data []byte, v any) error {
	if err := checkJSON(data); err != nil {
		return err
	}
	if err := checkCase(data, reflect.TypeOf(v)); err != nil {
		return err
	}
	err := json.Unmarshal(data, v)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		if wrong.Field == "" {
			return fmt.Errorf("got %s, want %s", wrong.Value, kind(wrong.Type))
		}
		return fmt.Errorf("field %s: got %s, want %s", wrong.Field, wrong.Value, kind(wrong.Type))
	}
	return err
}

// checkCase returns an error if encoding/json would match a key at the top level with a field that is spelled
// differently.
func checkCase(data []byte, t reflect.Type) error {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct {
		return nil
	}
	fields := map[string]string{} // lower case → name
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = f.Name
		}
		if name != "-" && f.IsExported() {
			fields[strings.ToLower(name)] = name
		}
	}
	keys, err := strictjson.Keys(data)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if name, ok := fields[strings.ToLower(key)]; ok && name != key {
			return fmt.Errorf("key %q: write it as %q", key, name)
		}
	}
	return nil
}

// kind returns the JSON value that a Go type accepts, in words.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "an integer that is not negative"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Pointer:
		return kind(t.Elem())
	}
	return t.String()
}
