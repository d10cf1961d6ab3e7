package generate

import (
	"strings"
	"testing"
)

// cutByByte is a plain definition of stopText: the text up to the stop string that is complete first, the longest of
// those that end together.
func cutByByte(text string, stops []string) (string, bool) {
	for end := 1; end <= len(text); end++ {
		longest := ""
		for _, s := range stops {
			if strings.HasSuffix(text[:end], s) && len(s) > len(longest) {
				longest = s
			}
		}
		if longest != "" {
			return text[:end-len(longest)], true
		}
	}
	return text, false
}

// feed adds text in pieces of the given number of bytes, and checks that the text held back is the beginning of a stop
// string.
func feed(t *testing.T, text string, stops []string, size int) (string, bool) {
	t.Helper()
	s := stopText{stops: stops}
	out := ""
	for at := 0; at < len(text); at += size {
		piece, found := s.add(text[at:min(at+size, len(text))])
		if out += piece; found {
			return out, true
		}
		begins := s.held == ""
		for _, stop := range stops {
			begins = begins || strings.HasPrefix(stop, s.held) && len(s.held) < len(stop)
		}
		if !begins {
			t.Fatalf("%q of %q is held back, but none of %q begins with it", s.held, text, stops)
		}
		if out+s.held != text[:min(at+size, len(text))] {
			t.Fatalf("%q and %q held back are not the beginning of %q", out, s.held, text)
		}
	}
	return out + s.flush(), false
}

func TestStopText(t *testing.T) {
	for _, c := range []struct {
		text  string
		stops []string
		want  string
		found bool
	}{
		{"one two three", []string{"two"}, "one ", true},
		{"one two three", []string{"four"}, "one two three", false},
		{"one two three", nil, "one two three", false},
		{"stop", []string{"stop"}, "", true},
		{"aaab", []string{"aab"}, "a", true},           // the beginning fits twice
		{"abcd", []string{"abcd", "bc"}, "a", true},    // bc is complete first
		{"abcd", []string{"cd", "bcd"}, "a", true},     // both at once: the longest
		{"ab", []string{"abc"}, "ab", false},           // only begun
		{"\n\nUser:", []string{"\n\nUser:"}, "", true}, // the whole text
		{"né n", []string{"é"}, "n", true},
	} {
		for size := 1; size <= len(c.text); size++ {
			if got, found := feed(t, c.text, c.stops, size); got != c.want || found != c.found {
				t.Errorf("%q stopped by %q in pieces of %d: got %q %t, want %q %t", c.text, c.stops, size, got, found, c.want,
					c.found)
			}
		}
	}
}

func FuzzStopText(f *testing.F) {
	f.Add("abcabcabd", "abcabd", "ca", uint8(2))
	f.Add("aaaaaaab", "aab", "aaab", uint8(1))
	f.Add("User: no\n\nUser:", "\n\nUser:", "no\n", uint8(3))
	f.Fuzz(func(t *testing.T, text, a, b string, size uint8) {
		var stops []string
		for _, s := range []string{a, b} {
			if s != "" {
				stops = append(stops, s)
			}
		}
		want, wantFound := cutByByte(text, stops)
		if got, found := feed(t, text, stops, int(size)+1); got != want || found != wantFound {
			t.Errorf("%q stopped by %q in pieces of %d: got %q %t, want %q %t", text, stops, int(size)+1, got, found, want,
				wantFound)
		}
	})
}
