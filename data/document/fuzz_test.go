package document

import (
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// FuzzDocuments: every list that is read obeys the laws of documents, and reading
// what it says again gives the same hash.
func FuzzDocuments(f *testing.F) {
	for _, s := range []string{
		"a\r\nb", `{"text":"a"}`, `{"prompt":"a","completion":"b"}`,
		`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`,
		`{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b","name":"x"}]}`,
		`{"messages":[{"from":"a","value":"b"}]}`,
		"prompt,completion\na,\"b\"\n", "text\n\"a\nb\"\n", `{"messages":[[]]}`, `{"messages":[null]}`,
		`{"conversations":[{}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, file := range []string{"f.txt", "f.jsonl", "f.csv"} {
			d, err := ReadBytes(content, file, Options{})
			if err != nil {
				var e *data.Error
				if !errors.As(err, &e) && !errors.Is(err, data.ErrOption) {
					t.Fatalf("the error %v is of no known kind", err)
				}
				continue
			}
			last := 0
			again := New(d.Name, d.Kind)
			for e := range d.Values() {
				if e.Line <= last || e.Line > len(content)+1 || e.Given > len(e.Messages) ||
					!utf8.ValidString(e.Text+e.Prompt+e.Completion) {
					t.Fatalf("document %+v after line %d", e, last)
				}
				last = e.Line
				if (d.Kind == Chat) != (len(e.Messages) > 0) {
					t.Fatalf("%v: %+v", d.Kind, e)
				}
				again.Append(e)
			}
			if again.Hash() != d.Hash() {
				t.Fatal("equal documents, two hashes")
			}
			Warnings(d, nil, d)
			if rest, held, err := d.SplitOff(0.3, 1); err == nil && rest.Len()+held.Len() < d.Len() {
				t.Fatal("a split lost documents")
			}
		}
	})
}
