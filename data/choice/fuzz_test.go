package choice

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
)

// FuzzRead reads anything as a file of questions: no panic, and every question that is read is whole.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`{"context":"c","choices":["a","b"],"label":1}`, `{"sent1":"c","sent2":"q","ending0":"a","ending1":"b","label":1}`,
		"o\tc\ta\tb\t0\n", "[{\"ctx\":\"c\",\"endings\":[\"a\",\"b\"],\"label\":\"1\"}]",
		`{"question":{"stem":"q","choices":[{"text":"a","label":"A"},{"text":"b","label":"B"}]},"answerKey":"B"}`,
		`{"question":"q","choices":{"text":["a","b"],"label":["1","2"]},"answerKey":"2"}`,
		"{\n\"answers\":[\"B\"],\"options\":[[\"a\",\"b\"]],\"questions\":[\"q\"],\"article\":\"c\"}",
		"context,ending0,ending1,label\nc,a,b,1\n", "context,answerA,answerB,label\nc,a,,\n",
		"\t\t\tca\tb\t0\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		for _, o := range []Options{{Format: data.JSONLines}, {Format: data.CSV}, {Format: Codah},
			{Format: data.JSONLines, OptionalLabels: true}} {
			c, err := ReadBytes(content, "f", o)
			if err != nil {
				var e *data.Error
				if !errors.As(err, &e) && !errors.Is(err, data.ErrOption) {
					t.Fatalf("the error %v is of no known kind", err)
				}
				continue
			}
			last, blank := 1, false
			for e := range c.Values() {
				if e.Line < last || e.Line > len(content)+1 || len(e.Endings) < 2 || e.Label < -1 || e.Label >= len(e.Endings) ||
					e.Label < 0 && !o.OptionalLabels {
					t.Fatalf("question %+v after line %d", e, last)
				}
				last = e.Line
				for i := range e.Endings {
					blank = blank || data.Blank(e.Endings[i])
					if first, second := e.Pair(i); !utf8.ValidString(first + second + e.ID) {
						t.Fatalf("question %+v", e)
					}
				}
			}
			warned := slices.ContainsFunc(Warnings(c, nil, c), func(w data.Warning) bool {
				return strings.Contains(w.String(), "with an empty choice")
			})
			if warned != blank {
				t.Fatalf("an empty choice: %v, warned of: %v", blank, warned)
			}
			if rest, held, err := c.SplitOff(0.3, 1); err == nil && rest.Len()+held.Len() != c.Len() {
				t.Fatal("a split lost questions")
			}
		}
	})
}
