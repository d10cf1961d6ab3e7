package tokenize

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// The fixtures of these tests are written by reference/bpe_fixtures.py.

func loadBPE(t testing.TB) (fixtures, []string) {
	t.Helper()
	return readFixtures(t, "testdata/bpe_cases.json", "testdata/strings.json.gz", "testdata/bpe_strings.json.gz")
}

// bpeCase loads the tokenizer of a case.
func bpeCase(t testing.TB, name string) *Tokenizer {
	t.Helper()
	f, _ := loadBPE(t)
	i := slices.IndexFunc(f.Cases, func(c fixtureCase) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no case %q", name)
	}
	return loadPatched(t, f.Cases[i].File, f.Cases[i].Patch)
}

// TestBPEPipelines checks what the models see of each text, as TestPipelines does. A text holds eight code points.
func TestBPEPipelines(t *testing.T) {
	f, texts := loadBPE(t)
	for _, c := range f.Pipelines {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			checkPipeline(t, c, texts)
		})
	}
}

// checkPipeline checks what a model sees of each text.
func checkPipeline(t *testing.T, c fixturePipeline, texts []string) {
	tok := pipeline(t, c.Normalizer, c.PreTokenizer)
	checkPoints(t, c.Name, c.Points, tok)
	check{t, c.Name, "strings", c.Strings, 128, len(texts)}.run(func(i int) any { return encodeAll(t, tok, texts[i]) })
}

// checkPoints checks the result for every code point, with eight in a text.
func checkPoints(t *testing.T, name, want string, tok *Tokenizer) {
	check{t, name, "points", want, 1024, lastPoint / 8}.run(func(i int) any {
		text := ""
		for p := 8 * i; p < 8*i+8; p++ {
			text += pointText(p)
		}
		return encodeAll(t, tok, text)
	})
}

// TestBPEParity checks complete tokenizers, as TestParity does.
func TestBPEParity(t *testing.T) {
	f, texts := loadBPE(t)
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			tok := loadPatched(t, c.File, c.Patch)
			check{t, c.Name, "points", c.Points, pointBlock, lastPoint}.run(func(i int) any {
				return encodeAll(t, tok, pointText(i))
			})
			checkCase(t, c, tok, texts, 32)
		})
	}
}

// TestStream checks that decoding in pieces gives the same text as decoding at once, and never a part of a character.
func TestStream(t *testing.T) {
	f, texts := loadBPE(t)
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			tok := loadPatched(t, c.File, c.Patch)
			lists := c.IDs
			for i := 0; i < len(texts); i += 16 {
				ids := encodeAll(t, tok, texts[i]).IDs
				lists = append(lists, ids, ids[:r.IntN(len(ids)+1)])
			}
			for i, ids := range lists {
				skip := i%2 == 0
				s := tok.Stream(skip)
				for again := range 2 { // a stream can be used again after Flush
					have := ""
					for _, id := range ids {
						piece := s.Next(id)
						if !utf8.ValidString(piece) {
							t.Fatalf("%v: piece %q", ids, piece)
						}
						have += piece
					}
					have += s.Flush()
					if want := tok.Decode(ids, skip); have != want {
						t.Fatalf("%v, time %d: %q, want %q", ids, again+1, have, want)
					}
				}
			}
		})
	}
}

// TestStreamIsPrompt checks that a stream returns text with the token that completes it.
func TestStreamIsPrompt(t *testing.T) {
	for _, name := range []string{"gpt2", "llama2"} {
		tok := bpeCase(t, name)
		e, err := tok.Encode("Hello \U00010348 world", Options{NoSpecial: true})
		if err != nil {
			t.Fatal(err)
		}
		s, have, late := tok.Stream(false), "", 0
		for i, id := range e.IDs {
			have += s.Next(id)
			if want := tok.Decode(e.IDs[:i+1], false); have != want {
				if late++; !strings.HasPrefix(want, have) ||
					!strings.HasSuffix(want, "\ufffd") && !strings.HasSuffix(want, "\U00010348") {
					t.Errorf("%s: after %d tokens %q, want %q", name, i+1, have, want)
				}
			}
		}
		if rest := s.Flush(); rest != "" {
			t.Errorf("%s: %q came at the end only", name, rest)
		}
		if late == 0 {
			t.Errorf("%s: no character was of several tokens", name)
		}
	}
}

// TestRoundTrip checks that byte-level models lose nothing.
func TestRoundTrip(t *testing.T) {
	_, texts := loadBPE(t)
	for _, name := range []string{"gpt2", "llama3", "smollm2"} {
		tok := bpeCase(t, name)
		for _, text := range texts {
			e, err := tok.Encode(text, Options{NoSpecial: true})
			if err != nil {
				t.Fatal(err)
			}
			if have := tok.Decode(e.IDs, false); have != text {
				t.Fatalf("%s: %q became %q", name, text, have)
			}
		}
	}
}

// TestVocabJSON checks vocab.json with merges.txt against the tokenizer.json of the same model, whose results the
// fixtures compare with the reference.
func TestVocabJSON(t *testing.T) {
	_, texts := loadBPE(t)
	vocab, merges := splitModel(t, "testdata/bpe_bytes.json")
	const roberta = `"add_prefix_space": true, "bos_token": "<|begin|>", "cls_token": "<|begin|>",
	"eos_token": "<|endoftext|>", "sep_token": "<|endoftext|>",
		"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "mask_token": "<|endoftext|>"}`
	for _, c := range []struct{ name, config, model, as string }{
		{"roberta", `{"tokenizer_class": "RobertaTokenizer", ` + roberta, "", "roberta"},
		{"roberta by model", `{` + roberta, `{"model_type": "roberta"}`, "roberta"},
		{"gpt2", `{"tokenizer_class": "GPT2Tokenizer"}`, "", "gpt2"},
		{"gpt2 by model", `{}`, `{"model_type": "gpt2"}`, "gpt2"},
		{"qwen2", `{"tokenizer_class": "Qwen2TokenizerFast", "bos_token": null}`, "", "qwen2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := files{bpeFile: vocab, mergesFile: merges, configFile: c.config}
			if c.model != "" {
				dir[modelFile] = c.model
			}
			have, err := Load(dir.open)
			if err != nil {
				t.Fatal(err)
			}
			want := bpeCase(t, c.as)
			some := blockStep
			if c.model != "" {
				some = 16 // the texts do not depend on how the class is found
			}
			for i := 0; i < len(texts); i += some {
				text := texts[i]
				if have.BosID() != 1 && strings.Contains(text, "<|begin|>") {
					continue // special only in tokenizer.json
				}
				a, b := encodeAll(t, have, text), encodeAll(t, want, text)
				if c.as != "roberta" {
					a.Offsets, b.Offsets = nil, nil // trimmed only in tokenizer.json
				}
				if !reflect.DeepEqual(a, b) {
					t.Fatalf("%q: have %v, want %v", text, a, b)
				}
				if x, y := have.Decode(a.IDs, true), want.Decode(b.IDs, true); x != y {
					t.Fatalf("%q: decoded %q, want %q", text, x, y)
				}
			}
			if have.EosID() != 0 {
				t.Errorf("end token %d", have.EosID())
			}
		})
	}
}

// splitModel returns the vocab.json and merges.txt of a tokenizer.json.
func splitModel(t testing.TB, name string) (vocab, merges string) {
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Model struct {
			Vocab  map[string]int
			Merges []string
		}
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	v, err := json.Marshal(doc.Model.Vocab)
	if err != nil {
		t.Fatal(err)
	}
	return string(v), "#version: 0.2\n" + strings.Join(doc.Model.Merges, "\n") + "\n"
}

// TestVocabJSONSettings checks special tokens and templates from the settings beside vocab.json. The ids are those of
// transformers 5.23.0.
func TestVocabJSONSettings(t *testing.T) {
	vocab, merges := splitModel(t, "testdata/bpe_bytes.json")
	tok, err := Load(files{bpeFile: vocab, mergesFile: merges, configFile: `{
		"tokenizer_class": "GPT2Tokenizer", "model_max_length": 1024, "add_bos_token": true, "add_eos_token": true,
		"model_input_names": ["input_ids", "token_type_ids"],
		"add_prefix_space": true,
		"bos_token": "<|begin|>", "pad_token": "<pad>", "additional_special_tokens": ["<x>"],
		"added_tokens_decoder": {"2400": {"content": "<new>", "single_word": false, "lstrip": true, "rstrip": false,
		"normalized": false, "special": true}}}`}.open)
	if err != nil {
		t.Fatal(err)
	}
	roles := []int32{tok.BosID(), tok.EosID(), tok.UnkID(), tok.PadID(), tok.ClsID()}
	if want := []int32{1, 0, 0, 2401, -1}; !slices.Equal(roles, want) {
		t.Errorf("roles %v, want %v", roles, want)
	}
	e, err := tok.EncodePair("a <new><x>", "a<pad>", Options{})
	if err != nil {
		t.Fatal(err)
	}
	space, _ := tok.ID("Ġa")
	want := []int32{1, space, 2400, 2402, 0, 1, space, 2401, 0}
	if !slices.Equal(e.IDs, want) || !slices.Equal(e.Types, []int32{0, 0, 0, 0, 0, 1, 1, 1, 1}) {
		t.Errorf("%v of types %v, want %v", e.IDs, e.Types, want)
	}
}

// TestRealTokenizer compares a tokenizer of realistic size with the results of the reference. Whoever runs the test
// provides both: SPALORA_TOKENIZER is a directory with the tokenizer's files and expected.jsonl, which has rows of
// text, ids and offsets as described in docs/tokenizers.md.
func TestRealTokenizer(t *testing.T) {
	dir := os.Getenv("SPALORA_TOKENIZER")
	if dir == "" {
		t.Skip("SPALORA_TOKENIZER is not set")
	}
	tok := loadDir(t, dir)
	raw, err := fs.ReadFile(os.DirFS(dir), "expected.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(raw) {
		var want struct {
			Text    string
			IDs     []int32
			Offsets [][2]int
			Decoded string
		}
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatal(err)
		}
		e := encodeAll(t, tok, want.Text)
		if !slices.Equal(e.IDs, want.IDs) || len(e.IDs) > 0 && !reflect.DeepEqual(e.Offsets, want.Offsets) {
			t.Fatalf("%q: have %v %v, want %v %v", want.Text, e.IDs, e.Offsets, want.IDs, want.Offsets)
		}
		if s := tok.Decode(e.IDs, true); s != want.Decoded {
			t.Fatalf("%q: decoded %q, want %q", want.Text, s, want.Decoded)
		}
		n++
	}
	t.Logf("%d texts", n)
}

// TestBPELinearTime is TestLinearTime for BPE models and the steps before them.
func TestBPELinearTime(t *testing.T) {
	gpt2, llama3, smol, llama2 := bpeCase(t, "gpt2"), bpeCase(t, "llama3"), bpeCase(t, "smollm2"), bpeCase(t, "llama2")
	slow := `{"type": "Split", "pattern": {"Regex": " ?\\p{L}+|\\d{1,3}|[^\\s\\p{L}]"}, "behavior": "MergedWithNext", ` +
		`"invert": false}`
	regex, err := Load(files{tokenizerFile: tinyBPE("pre", slow)}.open)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		tok  *Tokenizer
		unit string
		n    int
	}{
		{"no space", gpt2, "supercalifragilistic", 100_000}, // 2 MB in one word
		{"no space llama2", llama2, "supercalifragilistic", 100_000},
		{"one letter", gpt2, "a", 200_000},
		{"one letter llama2", llama2, "a", 200_000},
		{"unknown", llama2, "\u1e9f", 100_000},
		{"one blank", gpt2, " ", 200_000},
		{"one blank llama3", llama3, " ", 200_000},
		{"one line", llama3, "\n", 200_000},
		{"line then blanks", llama3, "\n   a", 200_000},
		{"blanks llama2", llama2, " ", 200_000},
		{"digits", llama3, "7", 200_000},
		{"digits alone", smol, "7", 200_000},
		{"apostrophes", llama3, "'", 200_000},
		{"marks", gpt2, "\u0301", 100_000},
		{"regex letters", regex, "a", 200_000},
		{"regex digits", regex, "1", 100_000},
		{"regex spaces", regex, " ", 200_000},
	} {
		t.Run(c.name, func(t *testing.T) { checkLinearTime(t, c.tok, c.unit, c.n) })
	}
}
