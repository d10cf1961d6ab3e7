package tokenize

import (
	"compress/bzip2"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The fixtures of these tests are written by reference/unigram_fixtures.py.

func loadUnigram(t testing.TB) (fixtures, []string) {
	t.Helper()
	return readFixtures(t, "testdata/unigram_cases.json", "testdata/strings.json.gz", "testdata/bpe_strings.json.gz")
}

// unigramCase loads the tokenizer of a case.
func unigramCase(t testing.TB, name string) *Tokenizer {
	t.Helper()
	f, _ := loadUnigram(t)
	i := slices.IndexFunc(f.Cases, func(c fixtureCase) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no case %q", name)
	}
	return loadPatched(t, f.Cases[i].File, f.Cases[i].Patch)
}

// charsMapOf returns the precompiled_charsmap with the given name in the fixtures, where it is written "@" + name.
func charsMapOf(t testing.TB, name string) string {
	t.Helper()
	f, err := os.Open("testdata/unigram_" + name + ".bin.bz2")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(bzip2.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// withCharsMaps replaces the names of tables in a JSON value by the tables.
func withCharsMaps(t testing.TB, v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withCharsMaps(t, v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = withCharsMaps(t, v[key])
		}
		if s, ok := v["precompiled_charsmap"].(string); ok && strings.HasPrefix(s, "@") {
			v["precompiled_charsmap"] = charsMapOf(t, s[1:])
		}
	}
	return v
}

// TestUnigramPipelines checks what the models see of each text, as TestBPEPipelines does.
func TestUnigramPipelines(t *testing.T) {
	f, texts := loadUnigram(t)
	for _, c := range f.Pipelines {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			checkPipeline(t, c, texts)
		})
	}
}

// TestUnigramParity checks complete tokenizers, as TestParity does; some with every code point and with words.
func TestUnigramParity(t *testing.T) {
	f, texts := loadUnigram(t)
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			tok := loadPatched(t, c.File, c.Patch)
			if c.Points != "" {
				checkPoints(t, c.Name, c.Points, tok)
			}
			if c.Words != "" {
				checkWords(t, c, tok, texts)
			}
			checkCase(t, c, tok, texts, 32)
		})
	}
}

// patchUnigram changes a vocabulary as the entry "model" of a case's patch says.
func patchUnigram(vocab []any, what string, value any) {
	for _, v := range vocab {
		pair := v.([]any)
		switch score, _ := pair[1].(json.Number).Float64(); {
		case what == "drop" && slices.Contains(value.([]any), pair[0]):
			pair[0] = "dropped " + pair[0].(string)
		case value == "rounded":
			pair[1] = json.Number(strconv.Itoa(int(math.RoundToEven(score))))
		case value == "positive":
			pair[1] = json.Number(strconv.FormatFloat(score+20, 'g', -1, 64))
		}
	}
}

// TestUnigramLinearTime is TestLinearTime for Unigram models and the steps before them.
func TestUnigramLinearTime(t *testing.T) {
	words, whole, bytes := unigramCase(t, "xlm-roberta"), unigramCase(t, "whole texts"), unigramCase(t, "bytes")
	for _, c := range []struct {
		name string
		tok  *Tokenizer
		unit string
		n    int
	}{
		{"no space", words, "supercalifragilistic", 500_000}, // 10 MB in one word
		{"one letter", whole, "a", 1_000_000},
		{"one blank", whole, " ", 1_000_000},
		{"one word", whole, "word ", 200_000},
		{"unknown", whole, "\u1e9f", 300_000},
		{"bytes", bytes, "\u1e9f", 300_000},
		{"one mark", words, "\u0301", 1_000_000}, // one grapheme cluster
		{"prepended", words, "\u0600", 500_000},
		{"flags", words, "\U0001f1e9", 250_000},
		{"family", words, "\U0001f468\u200d", 140_000},
		{"controls", words, "\x01", 1_000_000},
		{"longest replacement", words, "\ufdfa", 100_000},
		{"half a token", words, "<mask", 200_000},
	} {
		t.Run(c.name, func(t *testing.T) { checkLinearTime(t, c.tok, c.unit, c.n) })
	}
}

// FuzzUnigram checks that no tokenizer.json of a Unigram model makes Load panic, and that the tokens of accepted
// tokenizers cover the text.
func FuzzUnigram(f *testing.F) {
	f.Add([]byte(tinyUnigram()), "ab a b x y", true)
	f.Add([]byte(tinyUnigram("fallback", "true", "type", "", "pre", "null")), "AB AxA\u00e9", false)
	f.Add([]byte(tinyUnigram("vocab", `[["<unk>", 5], ["▁", 1e300], ["a", -1e300], ["xy", -7], ["aaaa", 1.7e308]]`)),
		"xyxy <unk> aaaaa", true)
	f.Add([]byte(tinyUnigram("normalizer", `{"type": "Precompiled", "precompiled_charsmap": "`+charsMapOf(f,
		"rules")+`"}`)), "bab\r\n\u0600a", true)
	f.Fuzz(func(t *testing.T, doc []byte, text string, words bool) {
		tok, err := Load(files{tokenizerFile: string(doc)}.open)
		if err != nil {
			return
		}
		e, err := tok.EncodePair(text, "ab", Options{Offsets: true, Words: words})
		if err != nil {
			t.Fatal(err)
		}
		tok.Decode(e.IDs, true)
		m, ok := tok.model.(*unigram)
		if word := strings.ToValidUTF8(text, ""); ok && word != "" {
			end := 0
			for _, p := range m.encode(nil, []byte(word), new(buffers)) {
				if p.from != end && p.to != end || p.to <= p.from {
					t.Fatalf("%q: piece of bytes %d … %d after one that ends at %d", word, p.from, p.to, end)
				}
				end = p.to
			}
			if end != len(word) {
				t.Fatalf("%q: pieces end at byte %d", word, end)
			}
		}
	})
}
