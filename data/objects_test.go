package data

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// objectList keeps rows of JSON and their lines.
type objectList struct {
	rows  []string
	lines []int
	first *Header
	limit int
}

func (o *objectList) Resolve(h *Header) error { o.first = h; return nil }
func (o *objectList) Enough() bool            { return o.limit > 0 && len(o.rows) >= o.limit }
func (o *objectList) Object(row Object, line int) error {
	b, err := json.Marshal(row)
	o.rows, o.lines = append(o.rows, string(b)), append(o.lines, line)
	return err
}

func readObjects(t *testing.T, content string, replace bool, limit int) (*objectList, *Lines, error) {
	t.Helper()
	lines, err := NewLines(iotest.OneByteReader(strings.NewReader(content)), "f.json", replace)
	if err != nil {
		t.Fatal(err)
	}
	lines.max = 1 << 10
	o := &objectList{limit: limit}
	_, err = ReadObjects(lines, o)
	return o, lines, err
}

// Lists and objects over several lines give the rows of JSON Lines, whatever white space and line ends are between.
func TestObjectValues(t *testing.T) {
	const a, b = `{"a":"x\"}]"}`, `{"b":[{"c":"]"},[1]],"é":"\\"}`
	for _, tt := range []struct {
		content string
		limit   int
		rows    []string
		lines   []int
	}{
		{"[" + a + "," + b + "]", 0, []string{a, b}, []int{1, 1}},
		{"\uFEFF [\r\n" + a + "\r\n,\r\n\r\n" + b + "\r\n]\r\n", 0, []string{a, b}, []int{2, 5}},
		{"[\r " + a + ",\r" + b + "\r]", 0, []string{a, b}, []int{2, 3}},
		{"[\n  {\n    \"a\": \"x\\\"}]\"\n  },\n" + b + "]\n\n", 0, []string{a, b}, []int{2, 5}},
		{"{\n\"a\":\n\"x\\\"}]\"}\n" + b, 0, []string{a, b}, []int{1, 4}},
		{"[" + a + ", nothing", 1, []string{a}, []int{1}},
		{" [ ] ", 0, nil, nil},
	} {
		o, _, err := readObjects(t, tt.content, false, tt.limit)
		if err != nil || !reflect.DeepEqual(o.rows, tt.rows) || !reflect.DeepEqual(o.lines, tt.lines) {
			t.Errorf("%q: %q at %v, %v", tt.content, o.rows, o.lines, err)
		}
		if len(tt.rows) > 0 && !reflect.DeepEqual(o.first, &Header{File: "f.json", Line: tt.lines[0], Names: []string{"a"},
			What: "key"}) {
			t.Errorf("%q: the keys are %+v", tt.content, o.first)
		}
	}
	o, lines, err := readObjects(t, "[{\"a\":\n\"x\xFF\"},\n{\"a\":\"\xFE\"}]", true, 0)
	if err != nil || lines.Replaced() != 2 || !reflect.DeepEqual(o.rows, []string{`{"a":"x�"}`, `{"a":"�"}`}) {
		t.Errorf("%q, %d lines replaced, %v", o.rows, lines.Replaced(), err)
	}
}

func TestBadObjectValues(t *testing.T) {
	for _, tt := range []struct {
		content string
		line    int
		want    string
	}{
		{"[", 1, "the file ends before its JSON does"},
		{"[\n{\"a\":1}", 2, "the file ends before its JSON does"},
		{"[{\"a\":1},\n", 1, "the file ends before its JSON does"},
		{"[{\"a\":[\n\"b", 2, "the file ends before its JSON does"},
		{"[{\"a\":1}\n{\"a\":2}]", 2, "'{' follows a row of the list; a comma or the end of the list is missing"},
		{"[{\"a\":1}]\n{\"a\":2}", 2, "'{' follows the list; remove what is behind it"},
		{"[]\n]", 2, "']' follows the list"},
		{"[{\"a\":1},]", 1, "byte 10 of the line: not JSON: invalid character ']'"},
		{"[{\"a\":1},\n  {\"a\":1]}]", 2, "byte 9 of the line: not JSON: invalid character ']'"},
		{"[{\"a\":\n\n  x}]", 3, "byte 3 of the line: not JSON: invalid character 'x'"},
		{"[{\"a\":\"b\n\"}]", 1, "byte 9 of the line: not JSON: invalid character '\\n'"},
		{"[{\"a\":1},\r\n null]", 2, "the row is null, not an object"},
		{"[{\"a\":1},\n-1.5]", 2, "the row is a number, not an object"},
		{"[{\"a\":1},\r\r[]]", 3, "the row is a list, not an object"},
		{"[{\"a\":1,\n\"a\":2}]", 1, `the key "a" is there twice`},
		{"[{\"a\":\n \"\\ud800\"}]", 2, `byte 3 of the line: \ud800 is half of a surrogate pair`},
		{"[{\"a\":\n \"é\xFF\"}]", 2, "byte 5 of the line (offset 11 of the file) is 0xFF"},
		{"[ {\"a\":\"\x00\"}]", 1, "byte 9 of the line (offset 8 of the file) is NUL"},
		{"[\n{\"a\":\"" + strings.Repeat("b", 2000), 2, "the row is longer than 0 MiB"},
		{"{\n\"a\":1}\n\n{\"a\":", 4, "the file ends before its JSON does"},
	} {
		o, _, err := readObjects(t, tt.content, false, 0)
		var e *Error
		if !errors.As(err, &e) || e.Line != tt.line || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.40q: %q, %v; want %s at line %d", tt.content, o.rows, err, tt.want, tt.line)
		}
	}
}

// FuzzObjects holds the reader of lists to encoding/json: the same rows, or an error from both.
func FuzzObjects(f *testing.F) {
	for _, s := range []string{`{"a":1},{"b":[]}`, "{\"a\":\"\\\\\"}\n,\n{}", `{}]`, `{"a":{"b":"}"}}`,
		`1`, `[`, `{"a":"\ud83d\ude00"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content string) {
		content = "[" + content + "]"
		if foreign([]byte(content[:min(512, len(content))])) != "" {
			return
		}
		lines, err := NewLines(strings.NewReader(content), "f.json", false)
		if err != nil {
			t.Fatal(err)
		}
		o := &objectList{}
		if _, err = ReadObjects(lines, o); err != nil {
			return
		}
		var want []map[string]json.RawMessage
		if err := json.Unmarshal([]byte(content), &want); err != nil {
			t.Fatalf("%q is read, but %v", content, err)
		}
		var rows []string
		for _, row := range want {
			b, _ := json.Marshal(row)
			rows = append(rows, string(b))
		}
		if !reflect.DeepEqual(o.rows, rows) {
			t.Fatalf("%q: got %q, want %q", content, o.rows, rows)
		}
	})
}
