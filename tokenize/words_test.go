package tokenize

import (
	"context"
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestWordsParity checks texts that are given as words. reference/words_fixtures.py writes the fixture.
func TestWordsParity(t *testing.T) {
	var f struct {
		Cases []fixtureCase
	}
	raw, err := os.ReadFile("testdata/words.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 20 {
		t.Fatalf("only %d cases", len(f.Cases))
	}
	_, texts := loadBPE(t)
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			tok := loadPatched(t, c.File, c.Patch)
			if strings.HasSuffix(c.Name, " prefixed") {
				tok = tok.WithPrefixSpace()
			}
			checkWords(t, c, tok, texts)
		})
	}
}

// checkWords checks texts that are given as words.
func checkWords(t *testing.T, c fixtureCase, tok *Tokenizer, texts []string) {
	check{t, c.Name, "words", c.Words, 128, len(texts)}.run(func(i int) any {
		o := Options{Offsets: true, Words: true}
		if i%3 == 2 {
			o.MaxLength = []int{4, 5, 8, 13}[i/3%4]
		}
		e, err := tok.EncodeWords(strings.Split(texts[i], " "), o)
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}

// TestWordsWithoutTokens checks words of which nothing is left, and inputs that are ambiguous.
func TestWordsWithoutTokens(t *testing.T) {
	tok := loadDir(t, minilm)
	o := Options{Words: true, Offsets: true}
	e, err := tok.EncodeWords([]string{"", "New", "\u200b\x01", "York", " "}, o)
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{-1, 1, 3, -1}; !reflect.DeepEqual(e.Words, want) {
		t.Errorf("words %v, want %v", e.Words, want)
	}
	if e, err = tok.EncodeWords(nil, o); err != nil || len(e.IDs) != 2 {
		t.Errorf("no words: %v, %v", e.IDs, err)
	}
	for _, in := range []Input{{Text: "a", Words: []string{}}, {HasPair: true, Words: []string{"a"}}} {
		if _, err := tok.EncodeBatch(context.Background(), []Input{in}, o, 1); err == nil ||
			!strings.Contains(err.Error(), "must have neither text nor pair") {
			t.Errorf("%+v: %v", in, err)
		}
	}
}

// TestWithPrefixSpace checks which tokenizers need a blank before words, and that the words then have the tokens of a
// sentence.
func TestWithPrefixSpace(t *testing.T) {
	for _, name := range []string{"roberta", "llama2", "mistral", "affixes"} {
		if tok := bpeCase(t, name); tok.WithPrefixSpace() != tok {
			t.Errorf("%s: changed", name)
		}
	}
	words := []string{"I", "don't", "know", "12", "places"}
	for _, name := range []string{"gpt2", "llama3", "qwen2", "smollm2"} {
		tok := bpeCase(t, name)
		sentence, err := tok.Encode(" "+strings.Join(words, " "), Options{})
		if err != nil {
			t.Fatal(err)
		}
		prefixed := tok.WithPrefixSpace()
		e, err := prefixed.EncodeWords(words, Options{Words: true, Offsets: true})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(e.IDs, sentence.IDs) {
			t.Errorf("%s: %v, want %v", name, e.IDs, sentence.IDs)
		}
		if again := prefixed.WithPrefixSpace(); again != prefixed {
			t.Errorf("%s: changed twice", name)
		}
		if name == "gpt2" {
			for i, w := range e.Words {
				if w >= 0 && (i == 0 || e.Words[i-1] != w) && e.Offsets[i][0] != 0 {
					t.Errorf("word %d begins at %d", w, e.Offsets[i][0])
				}
			}
		}
	}
}

// FuzzWords checks encodings of words.
func FuzzWords(f *testing.F) {
	fix, texts := loadBPE(f)
	for i := 0; i < len(texts); i += 200 {
		f.Add(texts[i], i)
	}
	f.Add("\xff a\u0301  \u200b", 3)
	toks := []*Tokenizer{loadDir(f, minilm)}
	for _, c := range fix.Cases {
		tok := loadPatched(f, c.File, c.Patch)
		toks = append(toks, tok, tok.WithPrefixSpace())
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		tok, words := toks[uint(n)%uint(len(toks))], strings.Split(text, " ")
		o := Options{MaxLength: int(uint(n) % 50), Side: Side(uint(n) % 2), Offsets: true, Words: true}
		e, err := tok.EncodeWords(words, o)
		if err != nil {
			return // no room for the special tokens
		}
		last := int32(-1)
		for i, w := range e.Words {
			if w < 0 {
				continue
			}
			if w < last || int(w) >= len(words) {
				t.Fatalf("word %d after %d, of %d", w, last, len(words))
			}
			last = w
			if from, to := e.Offsets[i][0], e.Offsets[i][1]; from < 0 || from > to || to > len([]rune(words[w])) {
				t.Fatalf("token %d is %d to %d of %q", i, from, to, words[w])
			}
		}
	})
}
