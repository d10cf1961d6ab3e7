package data

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzRecords holds the reader of records to encoding/csv: the same records, or an error from both. Contents for which
// the two differ on purpose (a lone CR ends a line; CRLF inside quotes is kept) are left out.
func FuzzRecords(f *testing.F) {
	for _, s := range []string{
		"text,label\n\"a\nb\"\"\",x\n", "a,b\"c\n", "\"a\"b,\n", "\"", "a,\n\n,b\n", "\xEF\xBB\xBFa,b", "a\rb\r\nc", "a\x00",
		"\"a\",\"\",\"",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if strings.ContainsAny(string(content), "\r\x00") || !utf8.Valid(content) ||
			foreign(content[:min(512, len(content))]) != "" {
			return
		}
		lines, err := NewLines(strings.NewReader(string(content)), "f.csv", false)
		if err != nil {
			t.Fatal(err)
		}
		got := &recordReader{lines: lines, delimiter: []byte(","), quotes: true}
		want := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(content), "\uFEFF")))
		want.FieldsPerRecord = -1
		for {
			a, errA := got.next()
			b, errB := want.Read()
			if (errA == nil) != (errB == nil) || errors.Is(errA, io.EOF) != errors.Is(errB, io.EOF) {
				t.Fatalf("got %q, %v; encoding/csv has %q, %v", a, errA, b, errB)
			}
			if errA != nil {
				return
			}
			if !slices.EqualFunc(a, b, func(x []byte, y string) bool { return string(x) == y }) {
				t.Fatalf("got %q; encoding/csv has %q", a, b)
			}
			if line, _ := want.FieldPos(0); line != got.start {
				t.Fatalf("line %d; encoding/csv has %d", got.start, line)
			}
		}
	})
}

// FuzzParseObject holds what is read of an object to encoding/json.
func FuzzParseObject(f *testing.F) {
	for _, s := range []string{
		`{"text":"a","label":["x","y"]}`, `{"text":"\ud83d\ude00","text_pair":"","label":1.5}`, `{"text":"a","label":1,}`,
		`{"text":"a","text":"b"}`,
		`{"te`, `[1]`, `{"text":"\ud800"}`, "{}\n{}", `{"a":{"b":[{}]}} `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		row, keys, err := ParseObject(content)
		if err != nil || !utf8.Valid(content) {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(content, &want); err != nil {
			t.Fatalf("%q is taken, but %v", content, err)
		}
		if !reflect.DeepEqual(map[string]json.RawMessage(row), want) || len(keys) != len(want) {
			t.Fatalf("%q: got %q, want %q", content, row, want)
		}
	})
}
