package base

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestParseTokens reads both formats.
func TestParseTokens(t *testing.T) {
	plain := func(text string, line int) NewToken { return NewToken{Content: text, Normalized: true, Line: line} }
	for _, x := range []struct {
		name, text string
		want       []NewToken
		notes      int
	}{
		{"a.txt", "\ufeff\n foo \r\n\n[X]\nfoo\nmany words", []NewToken{plain("foo", 2), plain("[X]", 4),
			plain("many words", 6)}, 1},
		{"a.json", "[\"foo\",\n \" \", {\"content\": \"[X]\", \"special\": true, \"lstrip\": true},\n" +
			"{\"content\": \"y\", \"single_word\": true, \"rstrip\": true, \"normalized\": false}, \"foo\"]\n",
			[]NewToken{plain("foo", 1), plain(" ", 2), {Content: "[X]", Special: true, LStrip: true, Line: 2},
				{Content: "y", SingleWord: true, RStrip: true, Line: 3}}, 1},
		{"A.JSON", `[{"__type": "AddedToken", "content": "é", "normalized": true, "special": true}]`,
			[]NewToken{{Content: "é", Normalized: true, Special: true, Line: 1}}, 0},
	} {
		f, err := parseTokens(x.name, []byte(x.text))
		if err != nil || !slices.Equal(f.tokens, x.want) || len(f.notes) != x.notes {
			t.Errorf("%s: %+v, %v, want %+v", x.text, f, err, x.want)
		}
	}
	for _, x := range [][3]string{
		{"a.txt", " \n\n", "a.txt: the file has no tokens"},
		{"a.json", "[]", "a.json: the file has no tokens"},
		{"a.txt", "foo\nb\xffr\n", "a.txt:2: the text is not valid UTF-8"},
		{"a.json", "foo", "a.json:1: want a list of tokens"},
		{"a.json", `{"content": "x"}`, "a.json:1: want a list of tokens"},
		{"a.json", "[\"a\",\n3]", "a.json:2: want a string, or an object with content"},
		{"a.json", "[\"a\",\n\n{\"content\": \"b\", \"strip\": true}]", `a.json:3: want a string, or an ` +
			`object with content: json: unknown field "strip"`},
		{"a.json", "[null]", "a.json:1: a token has no content"},
		{"a.json", `[{}]`, "a.json:1: a token has no content"},
		{"a.json", "[\"a\"\n", "a.json:1: the list has no end"},
		{"a.json", "[\"a\",\n", "a.json:1: a token is not valid JSON"},
		{"a.json", "[\"a\"]\n[\"b\"]", "a.json:2: there is more after the list"},
	} {
		if _, err := parseTokens(x[0], []byte(x[1])); err == nil || !strings.Contains(err.Error(), x[2]) {
			t.Errorf("%q: %v, want %q", x[1], err, x[2])
		}
	}
}

// FuzzParseTokens: no file makes the reader panic, and the tokens that it returns differ, have content, and are listed
// in a tokenizer.json that is valid JSON again.
func FuzzParseTokens(f *testing.F) {
	for _, text := range []string{"a\nb\n", "\ufeff[\n", `["a", {"content": "b", "special": true}]`,
		`[{"content": 3}]`, "[\"\xff\"]"} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, list bool) {
		name := "a.txt"
		if list {
			name = "a.json"
		}
		file, err := parseTokens(name, []byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "data: "+name) {
				t.Errorf("%v does not name the file", err)
			}
			return
		}
		seen := map[string]bool{}
		var entries [][]byte
		for i, x := range file.tokens {
			if seen[x.Content] || x.Content == "" || !utf8.ValidString(x.Content) || x.Line < 1 {
				t.Errorf("token %+v", x)
			}
			seen[x.Content] = true
			e, err := addedToken{int32(i), x}.entry(true)
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
		if len(seen) == 0 {
			t.Error("no token and no error")
		}
		if got := addedIn(t, extended(t, `{"version": "1.0"}`, entries...)); len(got) != len(seen) {
			t.Errorf("%d of %d tokens are listed", len(got), len(seen))
		}
	})
}
