package models

import (
	"reflect"
	"slices"
	"strings"
)

// ConfigKeys returns the keys of config.json that the architecture of a model type reads, beside those of [Info], in
// ascending order. It returns nil if the model type is not supported.
func ConfigKeys(modelType string) []string {
	a, ok := architectures.find(modelType)
	if !ok {
		return nil
	}
	var keys []string
	_, err := a.Config(modelType, func(into any) error {
		keys = append(keys, jsonKeys(reflect.TypeOf(into))...)
		return nil
	})
	if err != nil {
		return nil
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// jsonKeys returns the keys of the fields of a struct, of embedded structs too.
func jsonKeys(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			keys = append(keys, jsonKeys(f.Type)...)
		case name != "" && name != "-":
			keys = append(keys, name)
		}
	}
	return keys
}
