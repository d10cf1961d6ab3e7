package pair

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// FuzzPairs: every list that is read obeys the laws of pairs, and what it has again gives the same hash.
func FuzzPairs(f *testing.F) {
	for _, s := range []string{
		"a\r\nb", "", "\n\n", "source,target\na,\"b\"\n", "en\tsv\na\tb\n", `{"source":"a","target":"b"}`,
		`{"source":["a","b"],"target":["c",""]}`, `{"translation":{"en":"a","sv":"b"}}`, `{"translation":[]}`,
		`{"document":"a","summary":null}`, `[{"text":"a","summary":[]},{"text":"a","summary":"b"}]`, `{"source":{}}`,
	} {
		f.Add([]byte(s), []byte("x\ny\n"))
	}
	f.Fuzz(func(t *testing.T, content, other []byte) {
		for _, o := range []Options{{}, {SourceLang: "en", TargetLang: "sv", OptionalLabels: true}, {GroupSources: true}} {
			for _, name := range []string{"f.jsonl", "f.csv", "f.tsv", "f.en"} {
				p, err := ReadBytes(content, name, o)
				check(t, p, err, len(content), o)
			}
			p, err := readParallel(bytes.NewReader(content), "f.en", bytes.NewReader(other), "f.sv", o)
			check(t, p, err, len(content), o)
			if err == nil && !o.OptionalLabels && strings.ContainsAny(p.At(0).Source, "\r\n") {
				t.Fatalf("a line is %q", p.At(0).Source)
			}
		}
	})
}

// check holds what was read of n bytes to the laws of pairs.
func check(t *testing.T, p *File, err error, n int, o Options) {
	if err != nil {
		var e *data.Error
		if !errors.As(err, &e) && !errors.Is(err, data.ErrOption) {
			t.Fatalf("the error %v is of no known kind", err)
		}
		return
	}
	last, sources := 0, map[string]bool{}
	for e := range p.Values() {
		if e.Line < max(last, 1) || e.Line > n+1 || !utf8.ValidString(e.Source+strings.Join(e.Targets, "")) {
			t.Fatalf("pair %+v after line %d", e, last)
		}
		if !o.OptionalLabels && len(e.Targets) == 0 || o.GroupSources && sources[e.Source] {
			t.Fatalf("pair %+v with %+v", e, o)
		}
		last, sources[e.Source] = e.Line, true
	}
	if again := New(p.Name, slices.Collect(p.Values())...); again.Hash() != p.Hash() {
		t.Fatal("equal pairs, two hashes")
	}
	Warnings(p, nil, p)
	if rest, held, err := p.SplitOff(0.3, 1); err == nil && rest.Len()+held.Len() != p.Len() {
		t.Fatal("a split lost pairs")
	}
}
