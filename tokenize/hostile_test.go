package tokenize

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// What tokenizers must survive, and the tests that check it:
//
//   - ids that are missing, duplicate, out of range or have gaps: TestLoadErrors, TestLoadBPEErrors, TestTokenTwice;
//     a vocabulary smaller or larger than the model's table: tasks.TestTokenizerFits
//   - tokens of roles that are missing, or one token in two roles: TestRolesAndWarnings, TestRolesByClass,
//     TestNoSpecialTokens
//   - empty and blank texts: TestNothingToRead; long ones of one word or character: TestLinearTime, TestBPELinearTime,
//     TestUnigramLinearTime, TestWindowsLinearTime; BERT's longest word: the texts of TestParity
//   - bytes that are not UTF-8, NUL, byte order marks, joiners, marks: TestHostileTexts, TestInvalidUTF8,
//     TestLoneSurrogate; all code points: the parity tests
//   - special tokens spelled out in a text: TestSpelledTokens, the texts of the parity tests
//   - texts longer than the model's positions: TestTruncation, tasks.TestLongTexts
//   - a text that leaves its pair no room, a stride that leaves none: TestTruncation, TestWindowsRefused,
//     tasks.TestQAStride
//   - merges of unknown tokens, many merges, malformed files, unknown parts, slow regular expressions: TestLoadErrors,
//     TestLoadBPEErrors, TestLoadUnigramErrors, TestCharsMapErrors, TestMerges, TestManyMerges, the Fuzz functions

// families lists tokenizers of every kind.
func families(t testing.TB) map[string]*Tokenizer {
	return map[string]*Tokenizer{
		"bert": loadDir(t, minilm), "gpt2": bpeCase(t, "gpt2"), "roberta": bpeCase(t, "roberta"),
		"llama2":      bpeCase(t, "llama2"),
		"xlm-roberta": unigramCase(t, "xlm-roberta"), "whole texts": unigramCase(t, "whole texts"),
		"bytes": unigramCase(t, "bytes"),
	}
}

// TestHostileTexts checks that bad bytes are read as U+FFFD, that nothing
// panics, and that ranges lie in the text and in order.
func TestHostileTexts(t *testing.T) {
	texts := []string{
		"a\xff\xfe b", "\xe2\x82", "\xed\xa0\x80", "\xed\xa0\xbd\xed\xb8\x80", "\xf4\x90\x80\x80", "\xc0\x80", "é\xc3 é",
		"[SEP\xff]</s\xff>",
		"\x00", "a\x00b", "\x00\x00 \x00", "\ufeffa b\ufeff", "\ufffe\uffff", "\U0010ffff",
		"👨\u200d👩\u200d👧", "\u200d", "👍🏽", "🇩🇪🇩", "1\ufe0f\u20e3", "e\u0301\u0301\u0301", "\u0301a",
		"\u0600\u0661", "क्\u200dष", "각\u11a8",
		"İstanbul ıI İİ", "ẞßŉ", "ﷺ", "\u2028\u2029\u0085", "中文字 かな한글", "\u202eabc\u202c", "\r\n\r",
		strings.Repeat("\u0e33", 40), "ａ\u0301 ﬁ\u0301",
	}
	for name, tok := range families(t) {
		for _, text := range texts {
			clean := string([]rune(text))
			have, want := encodeAll(t, tok, text), encodeAll(t, tok, clean)
			if !reflect.DeepEqual(have, want) {
				t.Errorf("%s: %q: %v, want %v", name, text, have, want)
			}
			n, before := len([]rune(text)), 0
			for i, o := range have.Offsets {
				if have.Sequences[i] < 0 {
					continue
				}
				if o[0] < before || o[1] < o[0] || o[1] > n {
					t.Errorf("%s: %q: token %d has range %v after %d of %d", name, text, i, o, before, n)
				}
				before = o[0]
			}
			tok.Decode(have.IDs, true)
		}
	}
}

// TestNothingToRead checks texts without words: a pair of them gives only the template's tokens and at most blanks.
func TestNothingToRead(t *testing.T) {
	for name, tok := range families(t) {
		for _, text := range []string{"", " ", "     ", "\n\t \r\n"} {
			e, err := tok.EncodePair(text, text, Options{Offsets: true, Words: true})
			if err != nil {
				t.Fatal(err)
			}
			if text == "" && len(e.IDs) != added(tok.template.pair) {
				t.Errorf("%s: tokens %v of no text", name, e.IDs)
			}
			if s := tok.Decode(e.IDs, true); strings.TrimSpace(s) != "" {
				t.Errorf("%s: %q became %q", name, text, s)
			}
			for i, o := range e.Offsets {
				if o[1] > len(text) {
					t.Errorf("%s: %q: token %d has range %v", name, text, i, o)
				}
			}
		}
	}
}

// TestSpelledTokens checks special tokens that are spelled out in a text: they become the special token everywhere, and
// nothing else does.
func TestSpelledTokens(t *testing.T) {
	all := families(t)
	for family, tokens := range map[string][]string{
		"bert": {"[SEP]", "[CLS]", "[PAD]", "[MASK]"}, "xlm-roberta": {"<s>", "</s>", "<pad>", "<mask>"},
		"roberta": {"<|endoftext|>"},
	} {
		tok := all[family]
		for _, token := range tokens {
			id, _ := tok.ID(token)
			count := func(text string) (n int) {
				e, err := tok.Encode(text, Options{NoSpecial: true})
				if err != nil {
					t.Fatal(err)
				}
				for _, k := range e.IDs {
					if k == id {
						n++
					}
				}
				return n
			}
			for text, want := range map[string]int{
				token: 1, "a" + token + "b": 1, token + token + " " + token: 3, token[:len(token)-1]: 0, token[1:]: 0,
				token[:2] + " " + token[2:]: 0, token[:2] + "\u200b" + token[2:]: 0,
			} {
				if n := count(text); n != want {
					t.Errorf("%s: %q has %s %d times, want %d", family, text, token, n, want)
				}
			}
			if !tok.IsSpecial(id) {
				t.Errorf("%s: %s is not special", family, token)
			}
		}
	}
}

// TestNoSpecialTokens checks tokenizers that lack the tokens of roles or have one token for two roles.
func TestNoSpecialTokens(t *testing.T) {
	tok, err := Load(files{tokenizerFile: tinyBPE()}.open)
	if err != nil {
		t.Fatal(err)
	}
	if have, want := roles(tok), "bos -1 pad -1 eos -1 unk -1 cls -1 sep -1 mask -1"; have != want {
		t.Errorf("%s, want %s", have, want)
	}
	e := encodeAll(t, tok, "abcx")
	if want := []int32{4}; !slices.Equal(e.IDs, want) {
		t.Errorf("%v, want %v: characters without a token vanish", e.IDs, want)
	}
	tok, err = Load(files{tokenizerFile: tinyBPE(),
		configFile: `{"pad_token": "c", "eos_token": "c", "bos_token": "c"}`}.open)
	if err != nil {
		t.Fatal(err)
	}
	if tok.PadID() != 2 || tok.EosID() != 2 || tok.BosID() != 2 {
		t.Error(roles(tok))
	}
	// A padding token in the text is treated like any other token.
	if e := encodeAll(t, tok, "cac"); !slices.Equal(e.IDs, []int32{2, 0, 2}) {
		t.Errorf("%v", e.IDs)
	}
}

// TestMerges checks merges whose order contradicts their dependencies, or that give the same token in two ways. The ids
// are those of the reference.
func TestMerges(t *testing.T) {
	for _, c := range []struct {
		merges, text string
		want         []int32
	}{
		{`["aa a", "a a", "aaa a", "aa aa"]`, "aaaaaaa", []int32{1, 2}},
		{`["a aa", "aa a", "a a"]`, "aaa", []int32{1}},
		{`["a a", "a a", "a a"]`, "aaa", []int32{3, 0}},
		{`["aaa a", "a aaa"]`, "aaaa", []int32{0, 0, 0, 0}}, // the first merge cannot apply
	} {
		tok, err := Load(files{tokenizerFile: tinyBPE("vocab", `{"a": 0, "aaa": 1, "aaaa": 2, "aa": 3}`, "merges",
			c.merges)}.open)
		if err != nil {
			t.Fatal(err)
		}
		if e := encodeAll(t, tok, c.text); !slices.Equal(e.IDs, c.want) {
			t.Errorf("%s: %v, want %v", c.merges, e.IDs, c.want)
		}
	}
}

// TestManyMerges checks that the time to load a vocabulary grows linearly with its size, and that the error for a
// vocabulary with many errors lists only some of them.
func TestManyMerges(t *testing.T) {
	load := func(n int) time.Duration {
		var vocab, merges strings.Builder
		vocab.WriteString(`{"a": 0, "b": 1`)
		for i := range n {
			fmt.Fprintf(&vocab, `, "a%07d": %d, "ba%07d": %d`, i, 2*i+2, i, 2*i+3)
			fmt.Fprintf(&merges, `,"b a%07d"`, i)
		}
		doc := tinyBPE("vocab", vocab.String()+"}", "merges", "["+merges.String()[1:]+"]")
		start := cpuTime()
		if _, err := Load(files{tokenizerFile: doc}.open); err != nil {
			t.Fatal(err)
		}
		return cpuTime() - start
	}
	small := load(1_000)
	if big := load(200_000 / blockStep); big > max(20*200*small, 5*time.Second) {
		t.Errorf("1,000 merges take %v, 200,000 take %v", small, big)
	}
	bad := `["a x"` + strings.Repeat(`,"a x"`, 99_999) + "]"
	_, err := Load(files{tokenizerFile: tinyBPE("merges", bad)}.open)
	if err == nil || len(err.Error()) > 2000 || !strings.HasSuffix(err.Error(), "and 99990 more errors") {
		t.Errorf("error of %d bytes", len(fmt.Sprint(err)))
	}
}
