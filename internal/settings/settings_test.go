package settings

import (
	"slices"
	"testing"
)

func TestCheck(t *testing.T) {
	f := File{Name: "x.json", Keys: []Key{
		{Name: "a", Effect: Acts, Note: "is read"},
		{Name: "n", Effect: Neutral, Note: "names the program that wrote the file"},
		{Name: "w", Effect: Warned, Silent: []string{"1", `"off"`, "[]"}, Note: "it is not supported"},
		{Name: "*_end", Effect: Acts, Note: "are read"},
		{Name: "r", Effect: Refused, Silent: []string{"false"}, Note: "it is not supported; remove it"},
	}}
	for _, c := range []struct {
		content  string
		warnings []string
		err      string
	}{
		{`{}`, nil, ""},
		{`{"a": 1, "n": "x", "w": 1.0, "r": false}`, nil, ""},
		{`{"one_end": 1, "_end": 2, "end": 3}`, []string{"x.json: not known and without effect: end"}, ""},
		{`{"w": null, "r": null}`, nil, ""},
		{`{"w": "off"}`, nil, ""},
		{`{"w": [ ]}`, nil, ""},
		{`{"w": 2, "z": 1, "b": 2}`,
			[]string{"x.json: w is 2: it is not supported", "x.json: not known and without effect: b, z"}, ""},
		{"{\"w\": {\n  \"c\": [1,\n 2]\n}, \"y\\nz\": 1}", []string{`x.json: w is {"c":[1,2]}: it is not supported`,
			`x.json: not known and without effect: "y\nz"`}, ""},
		{`{"r": true}`, nil, "x.json: r is true: it is not supported; remove it"},
		{`[1]`, nil, "x.json: json: cannot unmarshal array into Go value of type map[string]json.RawMessage"},
	} {
		warnings, err := f.Check([]byte(c.content))
		got := ""
		if err != nil {
			got = err.Error()
		}
		if !slices.Equal(warnings, c.warnings) || got != c.err {
			t.Errorf("%s: got %q, %q; want %q, %q", c.content, warnings, got, c.warnings, c.err)
		}
	}
}

// TestTables holds the tables to what their readers rely on: every key has its own name, an effect and a note.
func TestTables(t *testing.T) {
	for _, f := range Files {
		seen := map[string]bool{}
		for _, k := range f.Keys {
			if seen[k.Name] {
				t.Errorf("%s: %s is there twice", f.Name, k.Name)
			}
			seen[k.Name] = true
			if k.Effect < Acts || k.Effect > Refused || k.Note == "" {
				t.Errorf("%s: %s has no effect or no note", f.Name, k.Name)
			}
			if len(k.Silent) > 0 && k.Effect != Warned && k.Effect != Refused {
				t.Errorf("%s: %s lists silent values without being able to speak", f.Name, k.Name)
			}
		}
	}
}
