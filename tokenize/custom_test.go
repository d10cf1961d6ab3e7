package tokenize

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// opaque hides where parts come from, so that a tokenizer treats its own parts as another library's.
func opaque(p Parts) Parts {
	return Parts{
		Normalizer:   struct{ Normalizer }{p.Normalizer},
		PreTokenizer: struct{ PreTokenizer }{p.PreTokenizer},
		Model:        struct{ Model }{p.Model},
	}
}

// TestCustomEqualsOwn checks that a tokenizer which is made of the parts of another one returns the same: with the
// parts as they are, and with parts that pass through the exported interfaces.
func TestCustomEqualsOwn(t *testing.T) {
	plain, texts := loadBPE(t)
	f, _ := loadFixtures(t)
	uni, _ := loadUnigram(t)
	for _, c := range slices.Concat(f.Cases, plain.Cases, uni.Cases) {
		t.Run(c.Name, func(t *testing.T) {
			own := loadPatched(t, c.File, c.Patch)
			d, err := own.Custom()
			if err != nil {
				t.Fatal(err)
			}
			direct, err := New(d)
			if err != nil {
				t.Fatal(err)
			}
			d.Parts = opaque(d.Parts)
			through, err := New(d)
			if err != nil {
				t.Fatal(err)
			}
			if direct.Identity() != through.Identity() || !strings.HasPrefix(direct.Identity(), "custom ") {
				t.Errorf("identities %q and %q", direct.Identity(), through.Identity())
			}
			for i := 0; i < len(texts)-1; i += 211 {
				in, o := Input{Text: texts[i], Pair: texts[i+1], HasPair: true}, Options{Offsets: true, Words: true, MaxLength: 40}
				want, err := own.encode(in, o)
				if err != nil {
					t.Fatal(err)
				}
				for name, tok := range map[string]*Tokenizer{"direct": direct, "through": through} {
					have, err := tok.encode(in, o)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if !reflect.DeepEqual(have, want) {
						t.Fatalf("%s: %+v\n%+v, want\n%+v", name, in, have, want)
					}
					if have, want := tok.Decode(have.IDs, true), own.Decode(want.IDs, true); have != want {
						t.Fatalf("%s: decoded %q, want %q", name, have, want)
					}
				}
			}
		})
	}
}

// letters is a model whose vocabulary is letters; it fails for digits.
type letters struct{}

func (letters) Tokenize(word string) (out []Piece, err error) {
	for i, r := range word {
		if r >= '0' && r <= '9' {
			return nil, errors.New("digits are not for it")
		}
		id := 0
		if r >= 'a' && r <= 'c' {
			id = int(r-'a') + 1
		}
		out = append(out, Piece{id, i, i + utf8.RuneLen(r)})
	}
	return out, nil
}

// atBlanks splits at blanks.
type atBlanks struct{}

func (atBlanks) Split(text string, _ bool) (words []AlignedText, _ error) {
	for i, r := range text {
		if r == ' ' {
			words = append(words, AlignedText{})
			continue
		}
		if len(words) == 0 {
			words = append(words, AlignedText{})
		}
		w := &words[len(words)-1]
		w.Text += string(r)
		for range utf8.RuneLen(r) {
			w.Origin = append(w.Origin, i)
		}
	}
	return words, nil
}

// normalize is a function as a Normalizer.
type normalize func(text string) (AlignedText, error)

func (f normalize) Normalize(text string) (AlignedText, error) { return f(text) }

// preTokenize is a function as a PreTokenizer.
type preTokenize func(text string) ([]AlignedText, error)

func (f preTokenize) Split(text string, _ bool) ([]AlignedText, error) { return f(text) }

// pieces is a function as a Model.
type pieces func(word string) ([]Piece, error)

func (f pieces) Tokenize(word string) ([]Piece, error) { return f(word) }

func lettersCustom() Custom {
	return Custom{
		Name: "letters", Parts: Parts{PreTokenizer: atBlanks{}, Model: letters{}},
		Vocabulary: []string{"?", "a", "b", "c", "[C]", "[S]"},
		Added:      []AddedToken{{Content: "<x>", Special: true, LStrip: true}},
		UnkToken:   "?", ClsToken: "[C]", SepToken: "[S]", Single: "[C] $A [S]", Pair: "[C] $A [S] $B:1 [S]:1",
		Decoder: DecodeSuffix("!"), MaxLength: 9, Side: Left,
	}
}

// TestNew checks everything around custom parts.
func TestNew(t *testing.T) {
	tok, err := New(lettersCustom())
	if err != nil {
		t.Fatal(err)
	}
	e, err := tok.EncodePair("ab é", "c <x>b", Options{Offsets: true, Words: true})
	if err != nil {
		t.Fatal(err)
	}
	want := Encoding{
		IDs: []int32{4, 1, 2, 0, 5, 3, 6, 2, 5}, Types: []int32{0, 0, 0, 0, 0, 1, 1, 1, 1},
		Offsets: [][2]int{{0, 0}, {0, 1}, {1, 2}, {3, 4}, {0, 0}, {0, 1}, {1, 5}, {5, 6}, {0, 0}},
		Words:   []int32{-1, 0, 0, 1, -1, 0, 1, 2, -1}, Sequences: []int8{-1, 0, 0, 0, -1, 1, 1, 1, -1},
	}
	if !reflect.DeepEqual(e, want) {
		t.Errorf("%+v, want\n%+v", e, want)
	}
	if s := tok.Decode(e.IDs, true); s != "[C]ab?[S]cb[S]" {
		t.Errorf("decoded %q", s)
	}
	if e, err := tok.Encode("abc", Options{MaxLength: 4}); err != nil || !slices.Equal(e.IDs, []int32{4, 2, 3, 5}) {
		t.Errorf("cut on the left: %v %v", e.IDs, err)
	}
	if w, err := tok.Windows(Input{Text: "a b c a b c"}, Windowing{MaxLength: 4}); err != nil || len(w.List) != 3 {
		t.Errorf("windows: %+v %v", w, err)
	}
	if tok.MaxLength() != 9 || tok.TruncationSide() != Left || tok.ClsID() != 4 || tok.PadID() != -1 || !tok.IsSpecial(6) {
		t.Error("settings are lost")
	}
}

// TestNewRefused checks the messages about settings that cannot work.
func TestNewRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*Custom)
		want   string
	}{
		{func(c *Custom) { c.Model = nil }, "the model is missing"},
		{func(c *Custom) { c.Vocabulary[1] = "b" }, `the vocabulary has "b" with the ids 1 and 2`},
		{func(c *Custom) { c.Pair = "" }, "give both or none"},
		{func(c *Custom) { c.Single = "[C] $A [D]" }, `"[D]" is not in the vocabulary`},
		{func(c *Custom) { c.Pair = "[C] $A $A" }, "$A occurs 2 times and $B 0 times, want 1 and 1"},
		{func(c *Custom) { c.PadToken = "[P]" }, `pad_token "[P]" is not in the vocabulary`},
		{func(c *Custom) { c.MaxLength = -1 }, "want at least 0"},
		{func(c *Custom) { c.Added = append(c.Added, AddedToken{Content: "<x>"}) }, "listed more than once"},
		{func(c *Custom) { c.Added = append(c.Added, AddedToken{}) }, "empty"},
		{func(c *Custom) {
			c.Added[0].Normalized = true
			c.Normalizer = normalize(func(string) (AlignedText, error) { return AlignedText{}, errors.New("never") })
		}, `added_tokens[0] "<x>": the normalizer fails for "<x>": never`},
		{func(c *Custom) {
			calls := 0
			c.Model = pieces(func(word string) ([]Piece, error) {
				calls++
				return []Piece{{calls % 3, 0, len(word)}}, nil
			})
		}, "give parts without chance"},
		{func(c *Custom) { c.Model = ownModel{&Tokenizer{tokens: make([]string, 99)}} }, "the model has 99 tokens"},
	} {
		d := lettersCustom()
		c.change(&d)
		if _, err := New(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

// TestCustomFails checks that what parts do wrong is an error of the input that names the place.
func TestCustomFails(t *testing.T) {
	same := func(text string) AlignedText {
		w, _ := atBlanks{}.Split(text, true)
		return w[0]
	}
	returns := func(id, from, to int) Model {
		return pieces(func(string) ([]Piece, error) { return []Piece{{id, from, to}}, nil })
	}
	for _, c := range []struct {
		parts Parts
		text  string
		want  string
	}{
		{Parts{Model: letters{}}, "a1", `the model fails for "a1": digits are not for it`},
		{Parts{Model: returns(77, 0, 1)}, "a", "no token with the id 77"},
		{Parts{Model: returns(1, 0, 9)}, "a", "[0 9) of a word of 1 bytes"},
		{Parts{Model: returns(1, 1, 1)}, "ab", "[1 1)"},
		{Parts{Model: letters{}, Normalizer: normalize(func(string) (AlignedText, error) {
			return AlignedText{"ab", []int{0}}, nil
		})}, "ab", "2 bytes and the origins of 1"},
		{Parts{Model: letters{}, Normalizer: normalize(func(string) (AlignedText, error) {
			return AlignedText{"\xff", []int{0}}, nil
		})}, "ab", `the result "\xff" is not UTF-8`},
		{Parts{Model: letters{}, Normalizer: normalize(func(string) (AlignedText, error) {
			return AlignedText{"a", []int{1}}, nil
		})}, "é", "has the origin 1, where no character"},
		{Parts{Model: letters{}, Normalizer: normalize(func(string) (AlignedText, error) {
			return AlignedText{"ab", []int{1, 0}}, nil
		})}, "ab", "want the order of the text"},
		{Parts{Model: letters{}, PreTokenizer: preTokenize(func(text string) ([]AlignedText, error) {
			return []AlignedText{{"b", []int{1}}, same(text)}, nil
		})}, "ab", "the pre-tokenizer fails"},
		{Parts{Model: letters{}, PreTokenizer: preTokenize(func(string) ([]AlignedText, error) {
			return nil, errors.New("out of order")
		})}, strings.Repeat("é", 50), `for "` + strings.Repeat("é", 40) + `"…: out of order`},
	} {
		d := Custom{Parts: c.parts, Vocabulary: []string{"?", "a", "b", "c"}}
		tok, err := New(d)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.Encode(c.text, Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
		if _, err := tok.Windows(Input{Text: c.text}, Windowing{MaxLength: 2}); err == nil {
			t.Errorf("%s: windows without an error", c.want)
		}
		in := []Input{{Text: ""}, {Text: c.text}}
		_, err = tok.EncodeBatch(context.Background(), in, Options{}, 2)
		if at := new(InputError); !errors.As(err, &at) || at.Index != 1 {
			t.Errorf("%v does not say which input", err)
		}
		if _, err := tok.Encode("", Options{}); err != nil {
			t.Errorf("the error of a text returns for the next one: %v", err)
		}
	}
}

// TestIdentity checks that everything that changes a tokenizer changes its identity, and nothing else.
func TestIdentity(t *testing.T) {
	seen := map[string]int{}
	for i, change := range []func(*Custom){
		func(c *Custom) {},
		func(c *Custom) { c.Name = "other" },
		func(c *Custom) { c.Vocabulary[3] = "d" },
		func(c *Custom) { c.Added[0].RStrip = true },
		func(c *Custom) { c.SepToken = "" },
		func(c *Custom) { c.Single = "$A [S]" },
		func(c *Custom) { c.Decoder = Decoder{} },
		func(c *Custom) { c.MaxLength = 8 },
		func(c *Custom) { c.Side = Right },
		func(c *Custom) { c.PreTokenizer = nil },
		func(c *Custom) {
			c.Normalizer = normalize(func(text string) (AlignedText, error) {
				out := AlignedText{strings.ReplaceAll(text, "q", "a"), make([]int, len(text))}
				for i, r := range text {
					for k := range utf8.RuneLen(r) {
						out.Origin[i+k] = i
					}
				}
				return out, nil
			})
		},
	} {
		d := lettersCustom()
		change(&d)
		for range 2 {
			tok, err := New(d)
			if err != nil {
				t.Fatal(err)
			}
			if first, ok := seen[tok.Identity()]; ok && first != i {
				t.Errorf("tokenizers %d and %d have the identity %s", first, i, tok.Identity())
			}
			seen[tok.Identity()] = i
		}
	}
	if len(seen) != 11 {
		t.Errorf("%d identities of 11 tokenizers", len(seen))
	}
	if own := loadDir(t, minilm); own.Identity() != "" {
		t.Errorf("a tokenizer of files has the identity %q", own.Identity())
	}
}

// TestDecoders checks the decoders that a description can name.
func TestDecoders(t *testing.T) {
	for _, c := range []struct {
		decoder Decoder
		tokens  []string
		want    string
	}{
		{Decoder{}, []string{"a", "b"}, "a b"},
		{DecodeWordPiece("##", false), []string{"a", "##b", "."}, "ab ."},
		{DecodeWordPiece("##", true), []string{"a", "##b", "."}, "ab."},
		{DecodeByteLevel(), []string{"Ġa", "Ã", "©"}, " aé"},
		{DecodeMetaspace('▁', true), []string{"▁a", "▁b"}, "a b"},
		{DecodeSuffix("</w>"), []string{"a", "b</w>", "c</w>"}, "ab c"},
	} {
		model := pieces(func(word string) ([]Piece, error) { return []Piece{{0, 0, len(word)}}, nil })
		tok, err := New(Custom{Vocabulary: c.tokens, Decoder: c.decoder, Parts: Parts{Model: model}})
		if err != nil {
			t.Fatal(err)
		}
		var ids []int32
		for i := range c.tokens {
			ids = append(ids, int32(i))
		}
		if have := tok.Decode(ids, false); have != c.want {
			t.Errorf("%q, want %q", have, c.want)
		}
	}
}
