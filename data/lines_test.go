package data

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParseDelimiter(t *testing.T) {
	for in, want := range map[string]rune{",": ',', `\t`: '\t', "\t": '\t', "tab": '\t', "§": '§', " ": ' '} {
		if got, err := ParseDelimiter(in); err != nil || got != want {
			t.Errorf("ParseDelimiter(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", ",,", "\"", "\n", "\xFF", "\x00"} {
		if got, err := ParseDelimiter(in); !errors.Is(err, ErrOption) {
			t.Errorf("ParseDelimiter(%q) = %q, %v; want an error", in, got, err)
		}
	}
}

// endless is a line without an end.
type endless struct{ b byte }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.b
	}
	return len(p), nil
}

// takeAll takes every row of CSV.
type takeAll struct{}

func (takeAll) Resolve(*Header) error      { return nil }
func (takeAll) Enough() bool               { return false }
func (takeAll) Record([][]byte, int) error { return nil }

func TestEndlessLine(t *testing.T) {
	for _, tt := range []struct {
		name, start string
		rest        io.Reader
		want        string
	}{
		{"line", "text,label\na", endless{'a'}, "the line is longer than 1 MiB"},
		{"quoted lines", "text,label\n\"", endless{'\n'}, "not closed within 1 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines, err := NewLines(io.MultiReader(strings.NewReader(tt.start), tt.rest), "f.csv", false)
			if err != nil {
				t.Fatal(err)
			}
			lines.max = 1 << 20
			_, err = ReadRecords(lines, CSV, Layout{}, takeAll{})
			var e *Error
			if !errors.As(err, &e) || e.Line != 2 || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q at line 2", err, tt.want)
			}
			if lines.offset > 3<<20 {
				t.Errorf("read %d bytes before giving up", lines.offset)
			}
		})
	}
}

// Long lines are read in pieces: every length around the buffer's must be whole,
// whatever the ending.
func TestLongLines(t *testing.T) {
	for _, end := range []string{"\n", "\r\n", "\r", ""} {
		for n := 64<<10 - 3; n <= 64<<10+3; n++ {
			content := "h" + strings.Repeat("é", n/2) + strings.Repeat("x", n%2) + end
			for _, r := range []io.Reader{strings.NewReader(content + end),
				iotest.HalfReader(bytes.NewReader([]byte(content + end)))} {
				lines, err := NewLines(r, "f", false)
				if err != nil {
					t.Fatal(err)
				}
				text, gotEnd, err := lines.Next()
				if err != nil || len(text) != n/2*2+n%2+1 || string(gotEnd) != end {
					t.Fatalf("n = %d, end %q: %d bytes, end %q, %v", n, end, len(text), gotEnd, err)
				}
			}
		}
	}
}
