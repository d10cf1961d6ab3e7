package strictjson

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct{ text, want string }{ // want is a part of the message, or "" for no error
		{`{}`, ""},
		{` {"a":[1,-0.5e+10,"\u00e9\ud83d\ude00\/",true,false,null,{"a":{}}]} ` + "\n", ""},
		{`[]`, ""},
		{"\ufeff{}", "byte order mark"},
		{"{\"a\":\"\xff\"}", "invalid UTF-8 at byte 6"},
		{`{"a":1,"a":2}`, `duplicate key "a"`},
		{`{"x":[{"b":1,"b":1}]}`, `duplicate key "b"`},
		{`{"a":1,"\u0061":2}`, `duplicate key "a"`},
		{`{"a":1}x`, "text after the end of the JSON value at byte 7"},
		{`{"a":1}{}`, "after the end"},
		{`{"a":1,}`, "'}' where a key"},
		{`{"a" 1}`, "':'"},
		{`{a:1}`, "'a' where a key"},
		{`{"a":1 "b":2}`, "',' or '}'"},
		{`[1 2]`, "',' or ']'"},
		{`[1,]`, "a value"},
		{`{"a":01}`, "',' or '}'"},
		{`{"a":1.}`, "a digit"},
		{`{"a":-}`, "a digit"},
		{`{"a":1e}`, "a digit"},
		{`{"a":+1}`, "a value"},
		{`{"a":NaN}`, "a value"},
		{`{"a":tru}`, "a value"},
		{`{"a":"x`, "ends inside a string"},
		{`{"a":"\`, "escape"},
		{`{"a":"\u12`, "escape"},
		{`{"a":"\u12g4"}`, "escape"},
		{`{"a":"\ud800"}`, "lone surrogate"},
		{`{"a":"\udc00\ud800"}`, "lone surrogate"},
		{"{\"a\":\"\x1f\"}", "control character 0x1f"},
		{"{\"a\":1}\x00", "after the end"},
		{`{"a":1`, "ends inside an object"},
		{`[`, "ends inside an array"},
		{``, "ends where a value"},
		{"// x\n{}", "JSON has no comments"},
		{"{\n# x\n}", "JSON has no comments"},
		{strings.Repeat("[", 128) + strings.Repeat("]", 128), ""},
		{strings.Repeat("[", 129) + strings.Repeat("]", 129), "deeper than 128"},
		{strings.Repeat(`{"a":`, 100000), "deeper than 128"},
	} {
		err := Check([]byte(c.text))
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.text, err, c.want)
		}
	}
}

func TestUint(t *testing.T) {
	for text, want := range map[string]uint64{"0": 0, " 7": 7, "18446744073709551615": 1<<64 - 1,
		"9007199254740993": 1<<53 + 1} {
		s, err := New([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Uint(); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"-0", "-1", "1.0", "1e0", "18446744073709551616", `"1"`, "null", "",
		strings.Repeat("9", 10000)} {
		s, err := New([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := s.Uint(); err == nil || len(err.Error()) > 200 {
			t.Errorf("%.40q: %d, %.200v", text, got, err)
		}
	}
}

func TestKeys(t *testing.T) {
	keys, err := Keys([]byte(`{"b":{"x":1},"a":[2],"\n":3}`))
	if err != nil || strings.Join(keys, "|") != "b|a|\n" {
		t.Errorf("%q, %v", keys, err)
	}
	for _, text := range []string{"[]", "1", "", "\xff"} {
		if _, err := Keys([]byte(text)); err == nil {
			t.Errorf("%q has keys", text)
		}
	}
}

func TestClip(t *testing.T) {
	if got := Clip("short"); got != "short" {
		t.Error(got)
	}
	if got := Clip("x" + strings.Repeat("é", 100)); got != "x"+strings.Repeat("é", 39)+"..." {
		t.Errorf("%q cuts a character", got)
	}
}

// The standard library also accepts everything that is accepted here, with the same strings.
func FuzzCheck(f *testing.F) {
	for _, text := range []string{`{}`, `{"a":[1,-0.5e+10,"\u00e9\ud83d\ude00"]}`, `[[null,true],{"x":"\ud800"}]`,
		"{\"a\":1}\x00", `{"a":1,"a":2}`, "2" + strings.Repeat("0", 400), `{"a":1e999}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Check(data) != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatal("accepted, but not valid for encoding/json")
		}
		var v any
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber() // compares syntax only, not the range of float64
		if err := d.Decode(&v); err != nil {
			t.Fatalf("accepted, but encoding/json says %v", err)
		}
		keys, err := Keys(data)
		object, ok := v.(map[string]any)
		if ok != (err == nil) && (len(data) > 0) {
			t.Fatalf("object %v, keys %v", ok, err)
		}
		if len(keys) != len(object) {
			t.Fatalf("keys %q of %v", keys, object)
		}
		for _, k := range keys {
			if _, ok := object[k]; !ok {
				t.Fatalf("key %q is not in %v", k, object)
			}
		}
	})
}
