package tokenize

import (
	"slices"
	"testing"
)

// TestLoadLowercased maps texts to lower case before the normalizer, unless the normalizer does so itself. Added tokens
// that are not normalized keep their case.
func TestLoadLowercased(t *testing.T) {
	const (
		lower = `{"type": "Lowercase"}`
		cased = `{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, ` +
			`"strip_accents": null, "lowercase": false}`
		prepends = `{"type": "Prepend", "prepend": "A"}`
	)
	sequence := func(n string) string { return `{"type": "Sequence", "normalizers": [` + n + `]}` }
	vocab := `{"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4, "A": 5, "B": 6, "##b": 7, "##B": 8, ` +
		` "ι": 9, "##̇": 10, "i": 11}`
	for _, c := range []struct {
		normalizer, text string
		ids, lowered     []int32
	}{
		{"null", "A B X", []int32{1, 5, 6, 12, 2}, []int32{1, 3, 4, 12, 2}},
		{cased, "A B", []int32{1, 5, 6, 2}, []int32{1, 3, 4, 2}},
		{lower, "A B", []int32{1, 3, 4, 2}, []int32{1, 3, 4, 2}},
		{prepends, "B", []int32{1, 5, 8, 2}, []int32{1, 5, 7, 2}},
		{sequence(prepends + "," + lower), "B", []int32{1, 3, 7, 2}, []int32{1, 3, 7, 2}},           // as it is
		{sequence(sequence(lower) + "," + prepends), "B", []int32{1, 5, 7, 2}, []int32{1, 5, 7, 2}}, // twice
		{sequence(""), "Ι İ", []int32{1, 0, 0, 2}, []int32{1, 9, 11, 10, 2}},                        // one makes two
	} {
		f := files{tokenizerFile: tinyWith("normalizer", c.normalizer, "vocab", vocab, "added", addedJSON("12", "X", ""))}
		for _, x := range []struct {
			load func(func(string) ([]byte, error)) (*Tokenizer, error)
			want []int32
		}{{Load, c.ids}, {LoadLowercased, c.lowered}} {
			tok, err := x.load(f.open)
			if err != nil {
				t.Fatal(err)
			}
			if e, err := tok.Encode(c.text, Options{}); err != nil || !slices.Equal(e.IDs, x.want) {
				t.Errorf("%s: %q has the ids %v, want %v: %v", c.normalizer, c.text, e.IDs, x.want, err)
			}
		}
	}
}
