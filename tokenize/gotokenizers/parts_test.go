package gotokenizers

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/nlpodyssey/gotokenizers/normalizedstring"
	"github.com/nlpodyssey/gotokenizers/pretokenizedstring"
	"github.com/nlpodyssey/gotokenizers/vocabulary"

	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/tokenize"
)

// readVocabulary reads a vocabulary from a file.
func readVocabulary(t *testing.T, doc string) *vocabulary.Vocabulary {
	t.Helper()
	name := filepath.Join(t.TempDir(), "vocab.json")
	if err := os.WriteFile(name, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := vocabulary.FromJSONFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// everyKind returns tokenizers of each model, normalizer and pre-tokenizer.
func everyKind(t testing.TB) map[string]*tokenize.Tokenizer {
	return map[string]*tokenize.Tokenizer{
		"MiniLM": load(t, embedded.MiniLM()), "GPT": load(t, embedded.GPT()), "cased": load(t, fixture(t, "cased")),
		"bytes": load(t, fixture(t, "bpe_bytes")), "marks": load(t, fixture(t, "bpe_marks")),
		"affixes": load(t, fixture(t, "bpe_affixes")), "unigram": load(t, fixture(t, "unigram_bytes")),
	}
}

// roundTrip returns a tokenizer of the parts of tok, which pass through gotokenizers' types.
func roundTrip(t testing.TB, tok *tokenize.Tokenizer) (*tokenize.Tokenizer, Pipeline) {
	t.Helper()
	p, err := PartsOf(tok)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tok.Custom()
	if err != nil {
		t.Fatal(err)
	}
	c.Parts, c.Vocabulary = tokenize.Parts{}, nil
	back, err := New(p, c)
	if err != nil {
		t.Fatal(err)
	}
	return back, p
}

// TestRoundTrip checks that a tokenizer of our parts which pass through gotokenizers' types is the same tokenizer.
func TestRoundTrip(t *testing.T) {
	for name, tok := range everyKind(t) {
		back, _ := roundTrip(t, tok)
		o := tokenize.Options{Offsets: true, Words: true, MaxLength: 50}
		for i := 1; i < len(texts()); i += 60 {
			text, pair := texts()[i], texts()[i-1]
			want, err := tok.EncodePair(text, pair, o)
			if err != nil {
				t.Fatal(err)
			}
			have, err := back.EncodePair(text, pair, o)
			if err != nil {
				t.Fatalf("%s: %q, %q: %v", name, text, pair, err)
			}
			equal(t, name+": "+text+"|"+pair, have, want)
			want, err = tok.EncodeWords(strings.Fields(text), o)
			if err != nil {
				t.Fatal(err)
			}
			if have, err = back.EncodeWords(strings.Fields(text), o); err != nil {
				t.Fatalf("%s: words of %q: %v", name, text, err)
			}
			equal(t, name+": words of "+text, have, want)
		}
	}
}

// TestPartsInTheirPrograms checks that a program of gotokenizers with our parts makes our ids, offsets and words of a
// text without added tokens.
func TestPartsInTheirPrograms(t *testing.T) {
	for name, tok := range everyKind(t) {
		p, err := PartsOf(tok)
		if err != nil {
			t.Fatal(err)
		}
		c, err := tok.Custom()
		if err != nil {
			t.Fatal(err)
		}
		c.Added, c.TrimOffsets = nil, false
		plain, err := tokenize.New(c)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(texts()); i += 60 {
			text := texts()[i]
			want, err := plain.Encode(text, tokenize.Options{NoSpecial: true, Offsets: true, Words: true})
			if err != nil {
				t.Fatal(err)
			}
			have, err := run(p, text)
			if err != nil {
				t.Fatalf("%s: %q: %v", name, text, err)
			}
			if len(want.IDs) == 0 && len(have.ids) == 0 {
				continue
			}
			if !reflect.DeepEqual(have.ids, want.IDs) || !reflect.DeepEqual(have.offsets, want.Offsets) ||
				!reflect.DeepEqual(have.wordOf, want.Words) {
				t.Fatalf("%s: %q:\n%+v, want\n%+v", name, text, have, want)
			}
		}
	}
}

// TestPartsMix checks our parts beside gotokenizers' own: our normalizer repairs what theirs loses.
func TestPartsMix(t *testing.T) {
	tok := load(t, embedded.MiniLM())
	ours, err := PartsOf(tok)
	if err != nil {
		t.Fatal(err)
	}
	theirs, rest := bert(ours.Vocabulary)
	theirs.Normalizer = ours.Normalizer
	mixed, err := New(theirs, rest)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"Ångström café", "hello, world", "\x01start"} {
		want, err := tok.Encode(text, tokenize.Options{Offsets: true, Words: true})
		if err != nil {
			t.Fatal(err)
		}
		have, err := mixed.Encode(text, tokenize.Options{Offsets: true, Words: true})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, text, have, want)
	}
}

// TestPartsRefused checks vocabularies that gotokenizers cannot have, and texts that are not UTF-8.
func TestPartsRefused(t *testing.T) {
	model := model{one(0, 0, 1)}
	tok, err := tokenize.New(tokenize.Custom{Vocabulary: []string{"a", "", "b"}, Parts: tokenize.Parts{Model: model}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := PartsOf(tok); err == nil || !strings.Contains(err.Error(), "no token with the id 1, but 3 tokens") {
		t.Errorf("a gap: %v", err)
	}
	p, err := PartsOf(load(t, embedded.MiniLM()))
	if err != nil {
		t.Fatal(err)
	}
	bad := normalizedstring.FromString("a\xffb")
	if err := p.Normalizer.Normalize(bad); err == nil || !strings.Contains(err.Error(), "not UTF-8") {
		t.Errorf("normalizer: %v", err)
	}
	if err := p.PreTokenizer.PreTokenize(pretokenizedstring.FromNormalizedString(bad)); err == nil {
		t.Error("the pre-tokenizer accepts bytes that are not UTF-8")
	}
	for _, text := range []string{"", "\ufeff", "\u0301"} {
		e, err := run(p, text)
		if err != nil || len(e.ids) != 0 {
			t.Errorf("%q: %v %v", text, e, err)
		}
	}
}

// FuzzParts checks that programs of gotokenizers with our parts make our ids and offsets of any text.
func FuzzParts(f *testing.F) {
	for i := 0; i < len(texts()); i += 400 {
		f.Add(texts()[i], i)
	}
	type pair struct {
		own *tokenize.Tokenizer
		p   Pipeline
	}
	var list []pair
	for _, tok := range []*tokenize.Tokenizer{
		load(f, embedded.MiniLM()), load(f, fixture(f, "bpe_bytes")), load(f, fixture(f, "bpe_marks")),
	} {
		p, err := PartsOf(tok)
		if err != nil {
			f.Fatal(err)
		}
		c, err := tok.Custom()
		if err != nil {
			f.Fatal(err)
		}
		c.Added, c.TrimOffsets = nil, false
		own, err := tokenize.New(c)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, pair{own, p})
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		x := list[uint(n)%uint(len(list))]
		text = strings.ToValidUTF8(text, "\ufffd")
		want, err := x.own.Encode(text, tokenize.Options{NoSpecial: true, Offsets: true})
		if err != nil {
			t.Fatal(err)
		}
		have, err := run(x.p, text)
		if err != nil {
			t.Fatal(err)
		}
		if len(want.IDs)+len(have.ids) > 0 &&
			(!reflect.DeepEqual(have.ids, want.IDs) || !reflect.DeepEqual(have.offsets, want.Offsets)) {
			t.Fatalf("%q:\n%+v, want\n%+v", text, have, want)
		}
	})
}
