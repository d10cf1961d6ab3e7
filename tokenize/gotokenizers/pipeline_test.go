package gotokenizers

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/nlpodyssey/gotokenizers/models"
	"github.com/nlpodyssey/gotokenizers/models/bpemodel"
	"github.com/nlpodyssey/gotokenizers/models/wordpiecemodel"
	"github.com/nlpodyssey/gotokenizers/normalizedstring"
	"github.com/nlpodyssey/gotokenizers/normalizers"
	"github.com/nlpodyssey/gotokenizers/normalizers/bertnormalizer"
	"github.com/nlpodyssey/gotokenizers/normalizers/lowercasenormalizer"
	"github.com/nlpodyssey/gotokenizers/normalizers/sequencenormalizer"
	"github.com/nlpodyssey/gotokenizers/normalizers/stripnormalizer"
	"github.com/nlpodyssey/gotokenizers/pretokenizedstring"
	"github.com/nlpodyssey/gotokenizers/pretokenizers/bertpretokenizer"
	"github.com/nlpodyssey/gotokenizers/pretokenizers/metaspacepretokenizer"
	"github.com/nlpodyssey/gotokenizers/strutils"
	"github.com/nlpodyssey/gotokenizers/vocabulary"

	"github.com/spalora/spalora/embedded"
	"github.com/spalora/spalora/tokenize"
)

func equal(t *testing.T, text string, have, want tokenize.Encoding) {
	t.Helper()
	if !reflect.DeepEqual(have, want) {
		t.Fatalf("%q:\n%+v, want\n%+v", text, have, want)
	}
}

// words returns a vocabulary of tokens.
func words(tokens ...string) *vocabulary.Vocabulary {
	v := vocabulary.NewVocabulary()
	for _, t := range tokens {
		v.AddTerm(t)
	}
	return v
}

// bert returns gotokenizers' parts of BERT for a vocabulary, and the description of the rest.
func bert(v *vocabulary.Vocabulary) (Pipeline, tokenize.Custom) {
	return Pipeline{
			Normalizer: bertnormalizer.DefaultBertNormalizer(), PreTokenizer: bertpretokenizer.New(),
			Model: wordpiecemodel.New(v, "[UNK]", "##", 100), Vocabulary: v,
		}, tokenize.Custom{
			Name:   "bert",
			Added:  []tokenize.AddedToken{{Content: "[CLS]", Special: true}, {Content: "[SEP]", Special: true}},
			Single: "[CLS] $A [SEP]", Pair: "[CLS] $A [SEP] $B:1 [SEP]:1", Decoder: tokenize.DecodeWordPiece("##", true),
			PadToken: "[PAD]", UnkToken: "[UNK]", ClsToken: "[CLS]", SepToken: "[SEP]", MaskToken: "[MASK]",
		}
}

// TestBERT checks a whole pipeline for a text: alignment through normalizer and pre-tokenizer, offsets in code points,
// added tokens, the template.
func TestBERT(t *testing.T) {
	p, c := bert(words("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "money", "back", "##s", "!", "日", "本"))
	tok, err := New(p, c)
	if err != nil {
		t.Fatal(err)
	}
	e, err := tok.EncodePair("日本 MONEY\u00ad!", "Backs[SEP] é", tokenize.Options{Offsets: true, Words: true})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "", e, tokenize.Encoding{
		IDs: []int32{2, 9, 10, 5, 8, 3, 6, 7, 3, 1, 3}, Types: []int32{0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1},
		Offsets: [][2]int{{0, 0}, {0, 1}, {1, 2}, {3, 8}, {9, 10}, {0, 0}, {0, 4}, {4, 5}, {5, 10}, {11, 12}, {0, 0}},
		Words:   []int32{-1, 0, 1, 2, 3, -1, 0, 0, 1, 2, -1}, Sequences: []int8{-1, 0, 0, 0, 0, -1, 1, 1, 1, 1, -1},
	})
	if s := tok.Decode(e.IDs, true); s != "日 本 money! backs [UNK]" {
		t.Errorf("decoded %q", s)
	}
}

// TestBeginning checks that texts of which gotokenizers loses the alignment are errors that name them, also where it
// does not panic, and that others are not.
func TestBeginning(t *testing.T) {
	v := words("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "start", "日", "本", "語")
	strip := stripnormalizer.NewStripNormalizer(true, true)
	for _, c := range []struct {
		normalizer normalizers.Normalizer
		text       string
		from       int // offset of the first token; -1: an error
	}{
		{nil, "\ufeffstart", -1},      // panics
		{nil, "\ufeff日本語", -1},        // is shifted
		{nil, "\x01\ufeff日本語", -1},    // the same after a character of one byte
		{nil, "\u00ad日本語日本語", -1},     // soft hyphen
		{strip, "\u3000日本語", -1},      // ideographic space
		{strip, " \u3000 日本語 ", -1},   // the same
		{strip, "\u00a0start", -1},    // panics
		{nil, "\x01start", 1},         // one byte
		{nil, "\x01\x02日本語", 2},       //
		{nil, "日本語", 0},               //
		{nil, "日\ufeff本語\ufeff", 0},   // not at the beginning
		{nil, "Start \ufeffstart", 0}, //
		{strip, "  日本語\u3000", 2},     //
		{strip, "start", 0},           //
		{sequencenormalizer.NewSequenceNormalizer([]normalizers.Normalizer{
			strip, lowercasenormalizer.NewLowerCaseNormalizer(),
		}), "\u3000START", -1},
	} {
		p, d := bert(v)
		if c.normalizer != nil {
			p.Normalizer = c.normalizer
		}
		tok, err := New(p, d)
		if err != nil {
			t.Fatal(err)
		}
		e, err := tok.Encode(c.text, tokenize.Options{Offsets: true, NoSpecial: true})
		if c.from >= 0 {
			if err != nil || e.Offsets[0][0] != c.from {
				t.Errorf("%q: offsets %v, error %v", c.text, e.Offsets, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "the normalizer fails for \"") {
			t.Errorf("%q: offsets %v, error %v", c.text, e.Offsets, err)
		}
		inputs := []tokenize.Input{{Text: "start"}, {Text: c.text}}
		_, err = tok.EncodeBatch(context.Background(), inputs, tokenize.Options{}, 1)
		if at := new(tokenize.InputError); !errors.As(err, &at) || at.Index != 1 {
			t.Errorf("%q: %v does not say which text", c.text, err)
		}
	}
}

// functions as parts of gotokenizers.
type (
	normalizeFunc func(*normalizedstring.NormalizedString) error
	splitFunc     func(*pretokenizedstring.PreTokenizedString) error
	modelFunc     func(string) ([]models.Token, error)
)

func (f normalizeFunc) Normalize(ns *normalizedstring.NormalizedString) error    { return f(ns) }
func (f splitFunc) PreTokenize(pts *pretokenizedstring.PreTokenizedString) error { return f(pts) }
func (f modelFunc) Tokenize(sequence string) ([]models.Token, error)             { return f(sequence) }
func one(id, from, to int) modelFunc {
	return func(string) ([]models.Token, error) {
		return []models.Token{{ID: id, Offsets: strutils.ByteOffsets{Start: from, End: to}}}, nil
	}
}

// TestPartsFail checks that what parts do wrong is an error of the text.
func TestPartsFail(t *testing.T) {
	for _, c := range []struct {
		p    Pipeline
		want string
	}{
		{Pipeline{Model: modelFunc(func(string) ([]models.Token, error) { panic("oh") })}, "gotokenizers panics: oh"},
		{Pipeline{Model: modelFunc(func(string) ([]models.Token, error) { return nil, errors.New("no") })},
			`the model fails for "ab é": no`},
		{Pipeline{Model: one(9, 0, 1)}, "no token with the id 9"},
		{Pipeline{Model: one(0, 2, 2)}, "the range [2 2)"},
		{Pipeline{Model: one(0, 0, 1), Normalizer: normalizeFunc(func(ns *normalizedstring.NormalizedString) error {
			*ns = *normalizedstring.FromString("other")
			return nil
		})}, "replaced the original text"},
		{Pipeline{Model: one(0, 0, 1), Normalizer: normalizeFunc(func(*normalizedstring.NormalizedString) error {
			panic("oh")
		})}, `the normalizer fails for "ab é": gotokenizers panics: oh`},
		{Pipeline{Model: one(0, 0, 1), PreTokenizer: splitFunc(func(*pretokenizedstring.PreTokenizedString) error {
			panic("oh")
		})}, `the pre-tokenizer fails for "ab é": gotokenizers panics: oh`},
		{Pipeline{Model: one(0, 0, 1), PreTokenizer: splitFunc(func(p *pretokenizedstring.PreTokenizedString) error {
			return p.Tokenize(func(*normalizedstring.NormalizedString) ([]models.Token, error) { return nil, nil })
		})}, "describe added tokens in Custom.Added"},
		{Pipeline{Model: one(0, 0, 1), PreTokenizer: splitFunc(func(p *pretokenizedstring.PreTokenizedString) error {
			return p.Split(func(_ int, ns *normalizedstring.NormalizedString) ([]pretokenizedstring.Split, error) {
				a, _ := ns.Slice(normalizedstring.NewNormalizedRange(0, 1))
				b, _ := ns.Slice(normalizedstring.NewNormalizedRange(1, 2))
				return pretokenizedstring.SplitsFromNormalizedStrings([]*normalizedstring.NormalizedString{b, a}), nil
			})
		})}, "want the order of the text"},
		{Pipeline{Model: one(0, 0, 1), PreTokenizer: splitFunc(func(p *pretokenizedstring.PreTokenizedString) error {
			return p.Split(func(int, *normalizedstring.NormalizedString) ([]pretokenizedstring.Split, error) {
				ns := normalizedstring.FromString("a text that is much longer than that of the call")
				return pretokenizedstring.SplitsFromNormalizedStrings([]*normalizedstring.NormalizedString{ns}), nil
			})
		})}, "is aligned with the bytes [5 6) of the text"},
	} {
		c.p.Vocabulary = words("a", "b")
		tok, err := New(c.p, tokenize.Custom{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.Encode("ab é", tokenize.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestNewRefused checks what New refuses, and why.
func TestNewRefused(t *testing.T) {
	merges := bpemodel.NewMergeMap()
	dropped := words("a", "b", "ab")
	merges.Set(0, 1, bpemodel.MergeValue{Rank: 0, ID: 2})
	for _, c := range []struct {
		p    Pipeline
		c    tokenize.Custom
		want string
	}{
		{Pipeline{Vocabulary: words("a")}, tokenize.Custom{}, "no model or no vocabulary"},
		{Pipeline{Model: one(0, 0, 1)}, tokenize.Custom{}, "no model or no vocabulary"},
		{Pipeline{Model: one(0, 0, 1), Vocabulary: words("a")}, tokenize.Custom{Vocabulary: []string{}}, "leave them out"},
		{Pipeline{Model: one(0, 0, 1), Vocabulary: words("a", "")}, tokenize.Custom{}, "an empty token, of id 1"},
		{Pipeline{Model: one(0, 0, 1), Vocabulary: words("a")}, tokenize.Custom{PadToken: "[PAD]"}, `"[PAD]" is not in`},
		{Pipeline{Model: bpemodel.New(dropped, merges, 0, 0.5, "", "", "", false), Vocabulary: dropped},
			tokenize.Custom{}, "a model without dropout"},
	} {
		if _, err := New(c.p, c.c); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestVocabularyFiles checks vocabularies with gaps and with two tokens of one id, which only files can have.
func TestVocabularyFiles(t *testing.T) {
	gaps := readVocabulary(t, `{"a": 0, "b": 3}`)
	tok, err := New(Pipeline{Model: one(3, 0, 1), Vocabulary: gaps}, tokenize.Custom{})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := tok.Encode("x", tokenize.Options{}); err != nil || e.IDs[0] != 3 || tok.VocabSize() != 4 {
		t.Errorf("%v %v", e, err)
	}
	if _, ok := tok.Token(2); ok {
		t.Error("the gap has a token")
	}
	for _, doc := range []string{`{"a": 0, "b": 0}`, `{"a": 0, "b": 999999}`, `{"a": -1, "b": 0}`} {
		if _, err := tokens(readVocabulary(t, doc)); err == nil ||
			!strings.Contains(err.Error(), "the vocabulary has 2 tokens, but only 1 have ids of their own from 0 to") {
			t.Errorf("%s: %v", doc, err)
		}
	}
}

// TestBatch checks that many goroutines can use one tokenizer of gotokenizers' parts.
func TestBatch(t *testing.T) {
	minilm, err := PartsOf(load(t, embedded.MiniLM()))
	if err != nil {
		t.Fatal(err)
	}
	_, gptParts := gpt(t)
	bertParts, bertRest := bert(minilm.Vocabulary)
	for _, c := range []struct {
		p Pipeline
		c tokenize.Custom
	}{
		{bertParts, bertRest}, {minilm, bertRest}, {gptParts, gptDescription()},
	} {
		tok, err := New(c.p, c.c)
		if err != nil {
			t.Fatal(err)
		}
		var inputs []tokenize.Input
		var want []tokenize.Encoding
		o := tokenize.Options{Offsets: true, Words: true}
		for i := 0; i < len(texts()); i += 150 {
			if e, err := tok.Encode(texts()[i], o); err == nil {
				inputs, want = append(inputs, tokenize.Input{Text: texts()[i]}), append(want, e)
			}
		}
		have, err := tok.EncodeBatch(context.Background(), inputs, o, 8)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) < 70 || !reflect.DeepEqual(have, want) {
			t.Errorf("%d texts are encoded differently by 8 goroutines", len(want))
		}
	}
}

// FuzzPipeline checks that no text makes a tokenizer of gotokenizers' parts panic, and that what it returns is sound:
// that the normalizer's characters come from those that they are aligned with, and that offsets are in order.
func FuzzPipeline(f *testing.F) {
	for i := 0; i < len(texts()); i += 400 {
		f.Add(texts()[i], i)
	}
	f.Add("\ufeffstart", 0)
	f.Add(" \u3000日本", 1)
	minilm, err := PartsOf(load(f, embedded.MiniLM()))
	if err != nil {
		f.Fatal(err)
	}
	p, c := bert(minilm.Vocabulary)
	p.Normalizer = sequencenormalizer.NewSequenceNormalizer([]normalizers.Normalizer{
		stripnormalizer.NewStripNormalizer(true, true), p.Normalizer,
	})
	marked := p
	marked.PreTokenizer = metaspacepretokenizer.NewDefault()
	_, bytes := gpt(f)
	var toks []*tokenize.Tokenizer
	for _, x := range []struct {
		p Pipeline
		c tokenize.Custom
	}{{p, c}, {marked, c}, {bytes, gptDescription()}} {
		tok, err := New(x.p, x.c)
		if err != nil {
			f.Fatal(err)
		}
		toks = append(toks, tok)
	}
	f.Fuzz(func(t *testing.T, text string, n int) {
		if text = strings.ToValidUTF8(text, "\ufffd"); text == "" {
			return
		}
		if out, err := (normalizer{p.Normalizer}).Normalize(text); err == nil {
			for i, r := range out.Text {
				from, _ := utf8.DecodeRuneInString(text[out.Origin[i]:])
				if r != unicode.ToLower(from) && r != ' ' {
					t.Fatalf("%q: %q at %d is aligned with %q", text, r, i, from)
				}
			}
		}
		tok := toks[uint(n)%uint(len(toks))]
		e, err := tok.Encode(text, tokenize.Options{Offsets: true, Words: true})
		if err != nil || len(text) > 4096 {
			return
		}
		count := utf8.RuneCountInString(text)
		last := 0
		for i, o := range e.Offsets {
			if e.Sequences[i] < 0 {
				continue
			}
			if o[0] < last || o[1] <= o[0] || o[1] > count {
				t.Fatalf("%q: offsets %v", text, e.Offsets)
			}
			last = o[0]
		}
		tok.Decode(e.IDs, true)
	})
}
