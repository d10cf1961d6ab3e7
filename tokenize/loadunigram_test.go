package tokenize

import (
	"reflect"
	"strings"
	"testing"
)

// tinyUnigram fills in a tokenizer.json of a Unigram model; parts are given as name, value pairs.
func tinyUnigram(parts ...string) string {
	s := `{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [%added%],
	"normalizer": %normalizer%, "pre_tokenizer": %pre%,
"post_processor": %post%, "decoder": %decoder%, "model": {%type%"unk_id": %unk%, "vocab": %vocab%,
"byte_fallback": %fallback%}}`
	for _, list := range [][]string{parts, {
		"added", "", "normalizer", "null", "pre",
		`{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}`, "post", "null",
		"decoder", "null", "type", `"type": "Unigram", `, "unk", "0", "fallback", "false",
		"vocab", `[["<unk>", 0], ["▁", -2], ["a", -3.5], ["b", -4], ["ab", -5e0], ["▁ab", -9], ["<0x41>", 0]]`,
	}} {
		for i := 0; i < len(list); i += 2 {
			s = strings.ReplaceAll(s, "%"+list[i]+"%", list[i+1])
		}
	}
	return s
}

func TestLoadUnigramErrors(t *testing.T) {
	doc := func(parts ...string) files { return files{tokenizerFile: tinyUnigram(parts...)} }
	for _, c := range []struct {
		name  string
		files files
		want  string // part of the message; "" = no error
	}{
		{"good", doc(), ""},
		{"no type", doc("type", ""), ""},
		{"token twice", doc("vocab", `[["<unk>", 0], ["a", -1], ["a", -2]]`), ""},
		{"empty token", doc("vocab", `[["<unk>", 0], ["", -1]]`), ""},
		{"no unk", doc("unk", "null"), "model.unk_id: missing"},
		{"unk outside", doc("unk", "7"), "model.unk_id: got 7, but the vocabulary has 7 tokens"},
		{"unk negative", doc("unk", "-1"), "model.unk_id: want an integer of 0"},
		{"empty", doc("vocab", "[]"), "model.vocab: empty"},
		{"object", doc("vocab", `{"a": 0}`), "model.vocab: want an array, got an object"},
		{"no pair", doc("vocab", `["a"]`), "model.vocab[0]: want a token and its score, got a string"},
		{"triple", doc("vocab", `[["a", 1, 2]]`), "model.vocab[0]: want a token and its score, got an array"},
		{
			"id for score", doc("vocab", `[["a", "1"]]`),
			"model.vocab[0]: want a token and its score, got a string and a string",
		},
		{
			"null score", doc("vocab", `[["<unk>", 0], ["a", null]]`),
			"model.vocab[1]: want a token and its score, got a string and nothing",
		},
		{"large score", doc("vocab", `[["<unk>", 0], ["a", -1e999]]`), `model.vocab[1]: score -1e999 of "a" is too large`},
		{"many", doc("vocab", "[["+strings.Repeat("[], ", 30)+"[]]]"), "model.vocab[0]: want"},
		{"lone surrogate", doc("vocab", `[["\ud800", 0]]`), `lone surrogate \ud800`},
		{"fallback", doc("fallback", "1"), "model.byte_fallback: want true or false"},
		{"unknown field", doc("unk", `0, "alpha": 0.1`), "model: unknown field alpha"},
		{
			"charsmap", doc("normalizer", `{"type": "Precompiled", "precompiled_charsmap": "AAAA"}`),
			"normalizer.precompiled_charsmap: 3 bytes are shorter than the 4-byte header",
		},
		{
			"charsmap null", doc("normalizer", `{"type": "Precompiled", "precompiled_charsmap": null}`),
			"normalizer.precompiled_charsmap: want a string, got nothing",
		},
		{
			"class type", files{tokenizerFile: tinyUnigram(), configFile: `{"tokenizer_class": 3}`},
			"tokenizer_config.json: tokenizer_class: want a string, got a number",
		},
		{"model type", files{tokenizerFile: tinyUnigram(), modelFile: `[]`}, ""},
		{"config", files{tokenizerFile: tinyUnigram(), modelFile: `{`}, "config.json: byte 1: unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.files.open)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "tokenize: ") ||
				!strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestVocabTextClasses checks which tokenizer classes read vocab.txt as BERT does.
func TestVocabTextClasses(t *testing.T) {
	const vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n"
	for _, c := range []struct{ config, model, want string }{
		{"", "", ""},
		{`{"tokenizer_class": "BertTokenizerFast"}`, "", ""},
		{`{"tokenizer_class": "DistilBertTokenizer"}`, `{"model_type": "distilbert"}`, ""},
		{`{"tokenizer_class": "ElectraTokenizerFast"}`, `{"model_type": "electra"}`, ""},
		{"", `{"model_type": "electra"}`, ""},
		{`{}`, `{"model_type": "distilbert"}`, ""},
		{"", `{}`, ""},
		{
			`{"tokenizer_class": "BertJapaneseTokenizer"}`, `{"model_type": "bert"}`,
			`tokenizer_class: it is not known how "BertJapaneseTokenizer" splits text, only how BertTokenizer, `,
		},
		{
			"", `{"model_type": "mpnet"}`,
			`tokenizer_class is missing, and it is not known how model_type "mpnet" reads vocab.txt`,
		},
		{"", `{"model_type": 1}`, "config.json: model_type: want a string, got a number"},
	} {
		dir := files{vocabFile: vocab}
		if c.config != "" {
			dir[configFile] = c.config
		}
		if c.model != "" {
			dir[modelFile] = c.model
		}
		tok, err := Load(dir.open)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s %s: error %v, want %q", c.config, c.model, err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", c.config, c.model, err)
			continue
		}
		e := encodeAll(t, tok, "Ab [MASK]")
		if want := []int32{2, 5, 6, 4, 3}; !reflect.DeepEqual(e.IDs, want) {
			t.Errorf("%s %s: %v, want %v", c.config, c.model, e.IDs, want)
		}
	}
}
