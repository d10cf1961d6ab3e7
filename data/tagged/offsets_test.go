package tagged

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// words returns the words of all entities, with their types.
func entityWords(f *File) []string {
	var out []string
	for e := range f.Values() {
		for _, entity := range Entities(e.Tags) {
			words := e.WordTexts()[entity.From:entity.To]
			out = append(out, entity.Type+" "+strings.Join(words, " "))
		}
	}
	return out
}

// TestOffsets reads files whose spans count in another way than code points from 0 with the end exclusive.
func TestOffsets(t *testing.T) {
	const emoji, umlaut = `😀🚀 Ann ran to Bö 😀 home`, `Größe: Ann küsst Bö oft`
	// In code points, emoji has Ann at 3 to 6 and Bö at 14 to 16, umlaut has them at 7 to 10 and 17 to 19.
	row := func(text string, spans ...string) string {
		return fmt.Sprintf(`{"text":%q,"spans":[%s]}`, text, strings.Join(spans, ",")) + "\n"
	}
	at := func(from, to int) string { return fmt.Sprintf(`[%d,%d,"X"]`, from, to) }
	says := func(from, to int, key, text string) string {
		return fmt.Sprintf(`{"start":%d,"end":%d,"label":"X",%q:%q}`, from, to, key, text)
	}
	ascii := row("Ann ran", at(0, 3))
	both := []string{"X Ann", "X Bö"}
	tests := []struct {
		name, content        string
		offsets              string
		converted, relocated int
		want                 []string
	}{
		{"code points", row(emoji, says(3, 6, "text", "Ann"), says(14, 16, "text", "Bö")), "", 0, 0, both},
		{"case and white space of the text", row(emoji, says(3, 6, "text", "ANN "), says(14, 16, "text", " bÖ")),
			"", 0, 0, both},
		{"UTF-16 that falls on words", row("😀🚀💩👍 Ann ran", says(9, 12, "text", "Ann")),
			"count units of UTF-16", 1, 0, []string{"X Ann"}},
		{"UTF-16 behind the end", row("😀🚀💩👍 Ann", says(9, 12, "text", "Ann")), "count units of UTF-16", 1, 0,
			[]string{"X Ann"}},
		{"UTF-16 in one row of two", ascii + row(emoji, says(5, 8, "text", "Ann")), "count units of UTF-16", 1, 0,
			[]string{"X Ann", "X Ann"}},
		{"UTF-16, inclusive", row(emoji, says(5, 7, "text", "Ann"), says(16, 17, "text", "Bö")),
			"count units of UTF-16, the end inclusive", 2, 0, both},
		{"bytes", row(umlaut, says(9, 12, "text", "Ann"), says(20, 23, "text", "Bö")), "count bytes of UTF-8", 2, 0, both},
		{"bytes, from 1", row(umlaut, says(10, 13, "text", "Ann"), says(21, 24, "text", "Bö")),
			"count bytes of UTF-8 from 1", 2, 0, both},
		{"inclusive", row("Ann ran", says(0, 2, "text", "Ann")), "count code points, the end inclusive", 1, 0,
			[]string{"X Ann"}},
		{"inclusive, one character", row("I ran", says(0, 0, "text", "I")), "count code points, the end inclusive", 1, 0,
			[]string{"X I"}},
		{"from 1", row("Ann ran", says(1, 4, "text", "Ann")), "count code points from 1", 1, 0, []string{"X Ann"}},
		{"from 1, inclusive", row("Ann ran", says(1, 3, "text", "Ann")), "count code points from 1, the end inclusive", 1,
			0, []string{"X Ann"}},
		{"words of a model", row(umlaut, says(9, 12, "word", "ann"), says(20, 23, "word", "bö")), "count bytes of UTF-8", 2,
			0, both},
		{"words of a model without accents", row(umlaut, says(7, 10, "word", "ann"), says(17, 19, "word", "bo")), "", 0, 0,
			both},
		{"synonyms", row("Ann ran", says(0, 3, "value", "Anna Smith")), "", 0, 0, []string{"X Ann"}},
		{"one that is elsewhere", row("Ann saw Bob run", says(0, 3, "text", "Ann"), says(4, 7, "text", "Bob")), "", 0, 1,
			[]string{"X Ann", "X Bob"}},
		{"one that is elsewhere, UTF-16",
			row(emoji, says(5, 8, "text", "Ann"), says(16, 18, "text", "Bö"), says(0, 1, "text", "home")),
			"count units of UTF-16", 2, 1, append(slices.Clone(both), "X home")},
		// Without texts: the borders of words.
		{"UTF-16 off the words", row(emoji, at(5, 8), at(16, 18)), "count units of UTF-16", 2, 0, both},
		{"bytes off the words", row(umlaut, at(9, 12), at(13, 19), at(20, 23)), "count bytes of UTF-8", 3, 0,
			[]string{"X Ann", "X küsst", "X Bö"}},
		{"UTF-16 of doccano", `{"text":"😀😀😀 Anna ran home","label":[[7,11,"X"],[12,15,"X"]]}`,
			"count units of UTF-16", 2, 0, []string{"X Anna", "X ran"}},
		{"LF as two", row("one\ntwo\nAnn ran", at(10, 13), at(0, 3), at(5, 8)), "count code points, a line end as two",
			2, 0, []string{"X one", "X two", "X Ann"}},
		{"LF as two, with texts", row("a\n\nAnn é Ann", says(5, 8, "text", "Ann")), "count code points, a line end as two",
			1, 0, []string{"X Ann"}},
		{"CRLF as one", row("one\r\ntwo\r\nAnn ran", at(8, 11), at(0, 3), at(4, 7)), "count code points, CRLF as one", 2, 0,
			[]string{"X one", "X two", "X Ann"}},
		{"grapheme clusters", strings.Repeat(row("👨\u200d👩\u200d👧 then Ann ran", at(7, 10)), 2),
			"count grapheme clusters", 2, 0, []string{"X Ann", "X Ann"}},
		{"clusters of marks, flags and skins", strings.Repeat(row("e\u0301 🇩🇪🇫🇷 👍🏽 Ann ran", at(7, 10)), 2),
			"count grapheme clusters", 2, 0, []string{"X Ann", "X Ann"}},
		{"one span proves nothing", row("😀😀 Ann ran", at(5, 8)), "", 0, 0, []string{"X Ann ran"}},
		{"inclusive off the words", row("Ann saw Bob", at(0, 2), at(4, 6), at(8, 10)),
			"count code points, the end inclusive", 3, 0, []string{"X Ann", "X saw", "X Bob"}},
		{"from 1 off the words", row("Ann saw Bob", at(1, 4), at(5, 8), at(9, 12)), "count code points from 1", 3, 0,
			[]string{"X Ann", "X saw", "X Bob"}},
		{"two are not enough for a shift", row("Ann saw Bob", at(0, 2), at(4, 6)), "", 0, 0, []string{"X Ann", "X saw"}},
		{"one on words", row("Ann saw Bob", at(0, 2), at(4, 6), at(8, 11)), "", 0, 0,
			[]string{"X Ann", "X saw", "X Bob"}},
	}
	for _, tt := range tests {
		f := readTokens(t, "f.jsonl", tt.content, Options{})
		if got := entityWords(f); f.Offsets != tt.offsets || f.Converted != tt.converted || f.Relocated != tt.relocated ||
			!slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, offsets %q, %d converted, %d relocated; want %q, %q, %d, %d", tt.name, got, f.Offsets,
				f.Converted, f.Relocated, tt.want, tt.offsets, tt.converted, tt.relocated)
		}
		warned := len(Warnings(nil, f, nil, nil)) > 0
		if wrong := tt.converted+tt.relocated+f.Moved > 0; warned != wrong {
			t.Errorf("%s: warnings %v", tt.name, Warnings(nil, f, nil, nil))
		}
	}
}

// TestOffsetsRefused holds the errors about spans whose text is not where any way to count has it.
func TestOffsetsRefused(t *testing.T) {
	tests := []struct {
		name, content string
		options       Options
		line          string
		want          string
	}{
		{"not in the text", `{"text":"Ann ran","spans":[{"start":0,"end":3,"label":"X","text":"Eve"}]}`, Options{},
			"data: f.jsonl:1: ", `the span "X" from 0 to 3 says that its text is "Eve", but the text has "Ann" there`},
		{"twice in the text", "{\"text\":\"b\",\"spans\":[]}\n" +
			`{"text":"a b a b","spans":[{"start":0,"end":3,"label":"X","text":"b"}]}`, Options{}, "data: f.jsonl:2: ",
			`says that its text is "b", but the text has "a b" there`},
		{"strict, another unit", `{"text":"😀 Ann","spans":[{"start":3,"end":6,"label":"X","text":"Ann"}]}`,
			Options{Strict: true}, "data: f.jsonl:1: ",
			"which count units of UTF-16: in code points from 0, the end exclusive, they are 2 and 5"},
		{"strict, elsewhere", `{"text":"Ann ran","spans":[{"start":0,"end":2,"label":"X","text":"ran"}]}`,
			Options{Strict: true}, "data: f.jsonl:1: ", `says that its text is "ran"`},
	}
	for _, tt := range tests {
		_, err := ReadBytes([]byte(tt.content), "f.jsonl", tt.options)
		if err == nil || !strings.HasPrefix(err.Error(), tt.line) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s … %s", tt.name, err, tt.line, tt.want)
		}
	}
}

// TestSpanKeys reads spans as annotation tools write them.
func TestSpanKeys(t *testing.T) {
	for _, span := range []string{
		`"label":[[4,7,"X"]]`,
		`"label":[{"start":4,"end":7,"text":"ran","labels":["X"]}]`,
		`"entities":[{"start_offset":4,"end_offset":7,"label":"X","id":3}]`,
		`"entities":[{"start":4,"end":7,"entity":"X","value":"run"}]`,
		`"spans":[{"start":4,"end":7,"label":"X","token_start":1,"token_end":1}],"tokens":[{"text":"Ann","start":0}]`,
		`"ents":[{"start":4,"end":7,"label":"X"}],"tokens":[{"id":0,"start":0,"end":3}]`,
	} {
		f := readTokens(t, "f.jsonl", `{"text":"Ann ran",`+span+`}`, Options{})
		if got := entityWords(f); !slices.Equal(got, []string{"X ran"}) || f.Moved > 0 {
			t.Errorf("%s: %q, %d moved", span, got, f.Moved)
		}
	}
}
