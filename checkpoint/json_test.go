package checkpoint

import (
	"strings"
	"testing"
)

// settings represents a model's configuration.
type settings struct {
	HiddenSize int     `json:"hidden_size"`
	Eps        float32 `json:"layer_norm_eps"`
	Act        string  `json:"hidden_act"`
	Cache      bool    `json:"use_cache"`
	Heads      uint8   `json:"heads"`
	Labels     map[string]string
	Sizes      []int `json:"sizes"`
	Inner      struct {
		Depth int `json:"depth"`
	} `json:"inner"`
	Hidden string `json:"-"`
}

func TestDecodeJSON(t *testing.T) {
	var s settings
	err := DecodeJSON("config.json", []byte(`{"hidden_size":4,"layer_norm_eps":1e-12,"unknown":[{"x":1}],`+
		`"hidden":1,"hidden_act":null,"inner":{"depth":2}}`), &s)
	if err != nil || s.HiddenSize != 4 || s.Eps != 1e-12 || s.Inner.Depth != 2 || s.Act != "" {
		t.Errorf("%+v, %v", s, err)
	}
	for text, want := range map[string]string{
		`{"hidden_size":"4"}`:                 "field hidden_size: got string, want an integer",
		`{"hidden_size":4.5}`:                 "field hidden_size: got number 4.5, want an integer",
		`{"hidden_size":1e99}`:                "field hidden_size",
		`{"hidden_size":9223372036854775808}`: "field hidden_size",
		`{"layer_norm_eps":"x"}`:              "field layer_norm_eps: got string, want a number",
		`{"layer_norm_eps":1e99}`:             "field layer_norm_eps",
		`{"hidden_act":1}`:                    "field hidden_act: got number, want a string",
		`{"use_cache":1}`:                     "field use_cache: got number, want true or false",
		`{"heads":-1}`:                        "field heads: got number -1, want an integer that is not negative",
		`{"Labels":[]}`:                       "field Labels: got array, want an object",
		`{"sizes":{}}`:                        "field sizes: got object, want a list",
		`{"inner":{"depth":"x"}}`:             "field inner.depth: got string, want an integer",
		`{"Hidden_Size":4}`:                   `key "Hidden_Size": write it as "hidden_size"`,
		`{"hidden_size":4,"HIDDEN_SIZE":4}`:   `key "HIDDEN_SIZE"`,
		`{"labels":{}}`:                       `key "labels": write it as "Labels"`,
		`{"hidden_size":NaN}`:                 "line 1, column 16",
		"{\n \"a\": 1,\n \"a\": 2}":           "line 3, column 6",
		`[]`:                                  "object",
		``:                                    "empty",
	} {
		err := DecodeJSON("x/config.json", []byte(text), &settings{})
		if err == nil || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "checkpoint: x/config.json: ") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	var any map[string]any
	if err := DecodeJSON("x", []byte(`{"a":1}`), &any); err != nil || any["a"] != 1.0 {
		t.Errorf("%v, %v", any, err)
	}
	var list []int
	if err := DecodeJSON("x", []byte(`{"a":1}`), &list); err == nil || strings.Contains(err.Error(), "field :") {
		t.Error(err)
	}
}

func TestDecodeConfig(t *testing.T) {
	s, err := FromBytes(map[string][]byte{
		"config.json": []byte(`{"hidden_size":"x"}`), "model.safetensors": pack(t, tensor("a", 1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DecodeConfig(&settings{}); err == nil ||
		!strings.Contains(err.Error(), "(in memory): config.json: field hidden_size") {
		t.Error(err)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add([]byte(`{"hidden_size":4,"layer_norm_eps":1e-12}`))
	f.Add([]byte(`{"hidden_size":"4","inner":{"depth":[]}}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := DecodeJSON("config.json", data, &settings{}); err != nil && strings.Contains(err.Error(), "\n") {
			t.Fatalf("the message has several lines: %q", err)
		}
	})
}
