package predict

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/data/text"
)

func TestGroupRows(t *testing.T) {
	for _, c := range []struct {
		content string
		want    []group
	}{
		{"", []group{{}}},
		{"{\"a\":1}\n", []group{{content: []byte("{\"a\":1}\n")}}},
		{"{\"p\":1}\n{\"p\":2}", []group{{pairs: true, content: []byte("{\"p\":1}\n{\"p\":2}")}}},
		{"\n{\"p\":1}\n{}\n\nx\n{\"p\":2}\n", []group{
			{pairs: true, content: []byte("\n{\"p\":1}\n")}, {before: 2, content: []byte("{}\n\nx\n")},
			{pairs: true, before: 5, content: []byte("{\"p\":2}\n")},
		}},
	} {
		got := groupRows([]byte(c.content), "p")
		if len(got) != len(c.want) {
			t.Errorf("%q: %d groups, want %d", c.content, len(got), len(c.want))
			continue
		}
		for i, w := range c.want {
			if g := got[i]; g.pairs != w.pairs || g.before != w.before || string(g.content) != string(w.content) {
				t.Errorf("%q: group %d is %+v %q, want %+v %q", c.content, i, g, g.content, w, w.content)
			}
		}
	}
}

// The rows of a list are all texts or all pairs, also if its lines look like rows.
func TestReadTextsOfAList(t *testing.T) {
	content := "[\n{\"text\":\"a\",\"text_pair\":\"b\"},\n{\"text\":\"c\",\"text_pair\":\"d\"}\n]"
	list, err := readTexts("-", []byte(content), text.Options{NoLabels: true})
	if err != nil || len(list) != 2 || !list[0].HasPair || list[1].Pair != "d" {
		t.Errorf("%+v, %v", list, err)
	}
}

// FuzzReadTexts looks for panics, and for bytes that get lost between groups.
func FuzzReadTexts(f *testing.F) {
	for _, seed := range []string{
		"", "a\nb\n", "{\"text\": \"a\"}\n{\"text\": \"b\", \"text_pair\": \"c\"}\n",
		"\uFEFF{\"text\": \"a\"}\r\n\r\n{\"text\": \"b\"}\r", "{\"text\": 1}\n",
		"{\"text\"", "{\"text_pair\": null, \"text\": \"a\"}\n\n", "[1]\n{}", "\x00", "{\"text\": \"\\ud800\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		var all strings.Builder
		lines := 0
		for _, g := range groupRows(content, "text_pair") {
			if g.before != lines {
				t.Fatalf("%d lines before the group, counted %d", g.before, lines)
			}
			lines += strings.Count(string(g.content), "\n")
			all.Write(g.content)
		}
		if all.String() != string(content) {
			t.Fatalf("groups hold %q, not %q", all.String(), content)
		}
		for _, name := range []string{"-", "a.txt", "a.jsonl", "a.csv"} {
			list, err := readTexts(name, content, text.Options{NoLabels: true})
			if err == nil && name == "a.txt" && len(list) < strings.Count(string(content), "\n") {
				t.Fatalf("%d texts of %q", len(list), content)
			}
		}
	})
}
