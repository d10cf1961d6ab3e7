package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
)

// tiny is a tokenizer.json with placeholders %name%.
const tiny = `{"version": "1.0", "truncation": %truncation%, "padding": %padding%,
"added_tokens": [%added%],
"normalizer": %normalizer%, "pre_tokenizer": %pre_tokenizer%,
"post_processor": %post_processor%, "decoder": %decoder%,
"model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
"max_input_chars_per_word": 100, "vocab": %vocab%}}`

// tinyParts holds the values of placeholders that a test does not replace.
var tinyParts = map[string]string{
	"truncation": "null", "padding": "null", "added": "",
	"normalizer": `{"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": ` +
		`null, "lowercase": true}`,
	"pre_tokenizer":  `{"type": "BertPreTokenizer"}`,
	"post_processor": `{"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]}`,
	"decoder":        `{"type": "WordPiece", "prefix": "##", "cleanup": true}`,
	"vocab":          `{"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4}`,
}

// tinyWith fills in tiny; parts are given as name, value pairs.
func tinyWith(parts ...string) string {
	s := tiny
	for i := 0; i < len(parts); i += 2 {
		s = strings.ReplaceAll(s, "%"+parts[i]+"%", parts[i+1])
	}
	for name, value := range tinyParts {
		s = strings.ReplaceAll(s, "%"+name+"%", value)
	}
	return s
}

// addedJSON returns an entry of added_tokens.
func addedJSON(id, content, more string) string {
	e := `{"id": ` + id + `, "content": "` + content +
		`", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}`
	if more != "" {
		e = strings.Replace(e, `"normalized": false`, more, 1)
	}
	return e
}

func TestLoadErrors(t *testing.T) {
	doc := func(parts ...string) files { return files{tokenizerFile: tinyWith(parts...)} }
	for _, c := range []struct {
		name  string
		files files
		want  string // part of the message
	}{
		{"nothing", files{}, "found none of tokenizer.json, vocab.json and vocab.txt"},
		{"empty file", files{tokenizerFile: ""}, "tokenizer.json: byte 0: unexpected EOF"},
		{"cut off", files{tokenizerFile: tinyWith()[:300]}, "unexpected EOF"},
		{"text after", files{tokenizerFile: tinyWith() + "x"}, "tokenizer.json: byte"},
		{"two values", files{tokenizerFile: tinyWith() + "{}"}, "text after the JSON value"},
		{"byte order mark", files{tokenizerFile: "\ufeff" + tinyWith()}, "invalid character"},
		{"not UTF-8", files{tokenizerFile: "{\"\xff\": 1}"}, "not UTF-8"},
		{"lone surrogate", doc("vocab", `{"[UNK]": 0, "\ud800": 1}`), `lone surrogate \ud800`},
		{"array", files{tokenizerFile: "[]"}, "tokenize: tokenizer.json: want an object, got an array"},
		{"deep", files{tokenizerFile: strings.Repeat("[", 1000)}, "[0][0]: nested deeper than 64 levels"},
		{"key twice", doc("vocab", `{"[UNK]": 0, "a": 1, "a": 1}`), `model.vocab: duplicate key "a"`},
		{"unknown field", files{tokenizerFile: `{"x": 1,` + tinyWith()[1:]}, "unknown field x"},
		{"version", files{tokenizerFile: strings.Replace(tinyWith(), `"1.0"`, `"2.0"`, 1)}, `version: want 1.0, got "2.0"`},
		{"no model", files{tokenizerFile: `{"version": "1.0"}`}, "model: want an object, got nothing"},
		{
			"model type", files{tokenizerFile: strings.Replace(tinyWith(), `"WordPiece", "unk`, `"WordLevel", "unk`, 1)},
			`model.type: "WordLevel" is not supported`,
		},
		{"id twice", doc("vocab", `{"[UNK]": 0, "a": 1, "b": 1}`), `token "b": id 1 is also that of "a"`},
		{"gap", doc("vocab", `{"[UNK]": 0, "a": 2}`), `token "a": id 2, but the ids of 2 tokens are 0 … 1 without gaps`},
		{"negative id", doc("vocab", `{"[UNK]": -1}`), `token "[UNK]": id -1`},
		{"fraction", doc("vocab", `{"[UNK]": 0.5}`), `token "[UNK]": want an integer, got 0.5`},
		{"string id", doc("vocab", `{"[UNK]": "0"}`), `token "[UNK]": want an integer, got 0`},
		{"no vocabulary", doc("vocab", "null"), "model.vocab: want an object, got nothing"},
		{"unk missing", doc("vocab", `{"a": 0}`), `unknown token "[UNK]" is not in the vocabulary`},
		{
			"added id", doc("added", addedJSON("7", "[SEP]", "")),
			`added_tokens[0] "[SEP]": id 7, but the vocabulary gives it 2`,
		},
		{"added gap", doc("added", addedJSON("9", "<x>", "")), `added_tokens[0] "<x>": id 9, but the next free id is 5`},
		{"added twice", doc("added", addedJSON("5", "<x>", "")+","+addedJSON("5", "<x>", "")), "listed more than once"},
		{"added empty", doc("added", addedJSON("5", "", "")), "empty"},
		{
			"added vanishes", doc("added", addedJSON("5", "\u0301", `"normalized": true`)),
			"normalization leaves nothing of it",
		},
		{
			"added alike", doc("added", addedJSON("5", "Q", `"normalized": true`)+","+addedJSON("6", "q", `"normalized": true`)),
			`is "q" after normalization, as "Q" is`,
		},
		{
			"added fields", doc("added", `{"id": 5, "content": "x"}`),
			"added_tokens[0].special: want true or false, got nothing",
		},
		{"normalizer", doc("normalizer", `{"type": "ByteLevel"}`), `normalizer "ByteLevel" is not supported`},
		{
			"inner normalizer",
			doc("normalizer", `{"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "ByteLevel"}]}`),
			`normalizer.normalizers[1].type: normalizer "ByteLevel" is not supported`,
		},
		{"normalizer field", doc("normalizer", `{"type": "NFC", "form": 1}`), "normalizer: unknown field form"},
		{"normalizer type", doc("normalizer", `{}`), "normalizer.type: want a string, got nothing"},
		{
			"pre-tokenizer", doc("pre_tokenizer", `{"type": "UnicodeScripts"}`),
			`pre-tokenizer "UnicodeScripts" is not supported`,
		},
		{
			"behavior", doc("pre_tokenizer", `{"type": "Punctuation", "behavior": "Glued"}`),
			`pre_tokenizer.behavior: split behavior "Glued" is not supported`,
		},
		{
			"post-processor", doc("post_processor", `{"type": "T5Processing"}`),
			`post-processor "T5Processing" is not supported`,
		},
		{
			"post-processor id", doc("post_processor", `{"type": "BertProcessing", "sep": ["[SEP]", 99], "cls": ["[CLS]", 1]}`),
			`post_processor: "[SEP]" has id 99, but the vocabulary gives it 2`,
		},
		{
			"post-processor token", doc("post_processor", `{"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["[CLS]", 1]}`),
			`post_processor: "</s>" is not in the vocabulary`,
		},
		{
			"post-processor values", doc("post_processor", `{"type": "BertProcessing", "sep": ["[SEP]"], "cls": true}`),
			"post_processor.sep: want a token and its id, got 1 values",
		},
		{
			"post-processor value", doc("post_processor", `{"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": true}`),
			"post_processor.cls: want an array, got a boolean",
		},
		{
			"added object", files{tokenizerFile: strings.Replace(tinyWith(), `"added_tokens": []`, `"added_tokens": {}`, 1)},
			"added_tokens: want an array, got an object",
		},
		{"added entry", doc("added", "[]"), "added_tokens[0]: want an object, got an array"},
		{
			"template text",
			doc("post_processor", `{"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}`),
			"post_processor.single: sequence A occurs 0 times and B 0 times, want 1 and 0",
		},
		{
			"template token",
			doc("post_processor",
				`{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}], "pair": [], `+
					`"special_tokens": {}}`), `"x" is not among the special_tokens`,
		},
		{
			"template lengths",
			doc("post_processor",
				`{"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {"x": {"id": "x", "ids": [1, 2], `+
					`"tokens": ["[CLS]"]}}}`), "2 ids for 1 tokens",
		},
		{"decoder", doc("decoder", `{"type": "CTC"}`), `decoder "CTC" is not supported`},
		{
			"stored truncation", doc("truncation", `{"max_length": -1, "strategy": "x", "stride": 0}`),
			`truncation.strategy: want LongestFirst or OnlyFirst or OnlySecond, got "x"`,
		},
		{"stored padding", doc("padding", `{"strategy": "BatchLongest"}`), "padding.pad_id: want an integer, got nothing"},
		{"settings", files{tokenizerFile: tinyWith(), configFile: "{"}, "tokenizer_config.json: byte 1: unexpected EOF"},
		{
			"settings array", files{tokenizerFile: tinyWith(), configFile: "[]"},
			"tokenizer_config.json: want an object, got an array",
		},
		{
			"max length", files{tokenizerFile: tinyWith(), configFile: `{"model_max_length": 0}`},
			"tokenize: tokenizer_config.json: model_max_length: want a whole number above 0, got 0",
		},
		{
			"max length text", files{tokenizerFile: tinyWith(), configFile: `{"model_max_length": "512"}`},
			"model_max_length: want a number, got a string",
		},
		{
			"role list", files{tokenizerFile: tinyWith(), configFile: `{"eos_token": ["<a>", "<b>"]}`},
			"tokenize: tokenizer_config.json: eos_token: want a string, got an array",
		},
		{
			"side", files{tokenizerFile: tinyWith(), configFile: `{"truncation_side": "top"}`},
			`tokenizer_config.json: truncation_side: want right or left, got "top"`,
		},
		{
			"input names", files{tokenizerFile: tinyWith(), configFile: `{"model_input_names": "input_ids"}`},
			"tokenizer_config.json: model_input_names: want an array, got a string",
		},
		{
			"extra tokens", files{tokenizerFile: tinyWith(), configFile: `{"extra_special_tokens": "<x>"}`},
			"tokenizer_config.json: extra_special_tokens: want an array or an object, got a string",
		},
		{
			"old id", files{tokenizerFile: tinyWith(), addedFile: `{"<x>": "5"}`},
			`added_tokens.json: "<x>": want an integer, got a string`,
		},
		{
			"old array", files{tokenizerFile: tinyWith(), addedFile: `[]`},
			"added_tokens.json: want an object, got an array",
		},
		{
			"model settings", files{tokenizerFile: tinyWith(), modelFile: `{"model_type": 1}`},
			"config.json: model_type: want a string, got a number",
		},
		{
			"role type", files{tokenizerFile: tinyWith(), specialFile: `{"pad_token": 3}`},
			"tokenize: special_tokens_map.json: pad_token: want a string, got a number",
		},
		{"vocab empty", files{vocabFile: "\n"}, "vocab.txt: empty"},
		{"vocab bytes", files{vocabFile: "[UNK]\n\xff\n"}, "vocab.txt: the file is not UTF-8"},
		{"vocab mark", files{vocabFile: "\ufeff[UNK]\n"}, "byte order mark"},
		{"vocab twice", files{vocabFile: "[UNK]\na\na\n"}, `vocab.txt: line 3: "a" is also on line 2`},
		{"vocab special", files{vocabFile: "[UNK]\na\n"}, `cls_token "[CLS]" is missing`},
		{
			"vocab setting", files{vocabFile: "[UNK]\n[CLS]\n[SEP]\n", configFile: `{"do_lower_case": "yes"}`},
			"do_lower_case: want true or false, got a string",
		},
		{
			"vocab and added", files{vocabFile: "[UNK]\n[CLS]\n[SEP]\n", addedFile: `{"<x>": 7}`},
			`added_tokens.json: "<x>" has id 7, but the vocabulary gives it 3`,
		},
		{
			"vocab decoder key", files{vocabFile: "[UNK]\n[CLS]\n[SEP]\n", configFile: `{"added_tokens_decoder": {"x": {}}}`},
			"want an id as the key",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.files.open)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if !strings.HasPrefix(err.Error(), "tokenize: ") {
				t.Errorf("error %q lacks the package", err)
			}
		})
	}
}

func TestLoadReportsAll(t *testing.T) {
	_, err := Load(files{tokenizerFile: tinyWith("normalizer", `{"type": "ByteLevel"}`, "decoder", `{"type": "CTC"}`,
		"vocab", `{"a": 1}`)}.open)
	for _, want := range []string{`"ByteLevel"`, `"CTC"`, `token "a": id 1`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

// TestLoadManyErrors checks that the error for a completely wrong vocabulary lists only some of its errors.
func TestLoadManyErrors(t *testing.T) {
	vocab := `{"[UNK]": 0`
	for i := range 1000 {
		vocab += fmt.Sprintf(`, "t%03d": "x"`, i)
	}
	_, err := Load(files{tokenizerFile: tinyWith("vocab", vocab+"}")}.open)
	if err == nil || !strings.Contains(err.Error(), `token "t009"`) ||
		!strings.HasSuffix(err.Error(), "and 990 more errors") {
		t.Errorf("error %v", err)
	}
}

func TestLoadPassesOnErrors(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, file := range []string{tokenizerFile, vocabFile, configFile, specialFile, addedFile, modelFile} {
		_, err := Load(func(name string) ([]byte, error) {
			if name == file {
				return nil, broken
			}
			return nil, fs.ErrNotExist
		})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: error %v", file, err)
		}
	}
}

// TestVocabText compares a tokenizer of vocab.txt and its settings with the tokenizer.json that transformers makes of
// them.
func TestVocabText(t *testing.T) {
	f, texts := loadFixtures(t)
	var doc struct {
		Model struct{ Vocab map[string]int }
	}
	raw, err := os.ReadFile(minilm + "/" + tokenizerFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	lines := make([]string, len(doc.Model.Vocab))
	for token, id := range doc.Model.Vocab {
		lines[id] = token
	}
	want := loadPatched(t, f.Cases[0].File, nil)
	for _, ending := range []string{"\n", "\r\n"} {
		have, err := Load(files{vocabFile: strings.Join(lines, ending) + ending}.open)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range texts[:2000] {
			a, b := encodeAll(t, have, text), encodeAll(t, want, text)
			if !reflect.DeepEqual(a, b) {
				t.Fatalf("%q: have %v, want %v", text, a, b)
			}
			if x, y := have.Decode(a.IDs, true), want.Decode(a.IDs, true); x != y {
				t.Fatalf("%q: decoded %q, want %q", text, x, y)
			}
		}
	}
}

// TestVocabTextSettings checks the effect of tokenizer_config.json beside vocab.txt. The ids are those of transformers
// 5.23.0.
func TestVocabTextSettings(t *testing.T) {
	const vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nA\na\n##b\nÀ\n[X]\n漢字\n"
	tok, err := Load(files{vocabFile: vocab, configFile: `{
		"do_lower_case": false, "tokenize_chinese_chars": false, "model_max_length": 77,
		"added_tokens_decoder": {"11": {"content": "<new>", "single_word": false, "lstrip": false, "rstrip": false,
		"normalized": false, "special": true}},
		"additional_special_tokens": ["[X]", "<zz>"]}`}.open)
	if err != nil {
		t.Fatal(err)
	}
	e, err := tok.Encode("A a ab À 漢字 [X]<new><zz>", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []int32{2, 5, 6, 6, 7, 8, 10, 9, 11, 12, 3}; !reflect.DeepEqual(e.IDs, want) {
		t.Errorf("ids %v, want %v", e.IDs, want)
	}
	if tok.VocabSize() != 13 || tok.MaxLength() != 77 {
		t.Errorf("%d tokens, max length %d", tok.VocabSize(), tok.MaxLength())
	}
}

func TestRolesAndWarnings(t *testing.T) {
	tok, err := Load(files{
		tokenizerFile: tinyWith("vocab", `{"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "<p>": 3, "a": 4}`),
		configFile: `{"pad_token": {"content": "<p>"}, "do_lower_case": false, "model_max_length": ` +
			`1000000000000000019884624838656}`,
	}.open)
	if err != nil {
		t.Fatal(err)
	}
	have := []int32{tok.UnkID(), tok.ClsID(), tok.SepID(), tok.PadID(), tok.MaskID()}
	if want := []int32{0, 1, 2, 3, -1}; !reflect.DeepEqual(have, want) {
		t.Errorf("roles %v, want %v", have, want)
	}
	if tok.MaxLength() != 0 {
		t.Errorf("max length %d, want none", tok.MaxLength())
	}
	if w := tok.Warnings(); len(w) != 2 || !strings.Contains(w[0], "lower case") ||
		!strings.Contains(w[1], "strip_accents") {
		t.Errorf("warnings %q", w)
	}
	if !tok.IsSpecial(3) || tok.IsSpecial(4) || tok.IsSpecial(99) {
		t.Error("of the tokens, <p> alone is special: the settings name it")
	}
	if mini := loadDir(t, minilm); !mini.IsSpecial(mini.SepID()) || mini.IsSpecial(2000) {
		t.Error("of [SEP] and an ordinary word, [SEP] alone is special")
	}
	if id, ok := tok.ID("<p>"); id != 3 || !ok {
		t.Errorf("id of <p>: %d %t", id, ok)
	}
	if _, ok := tok.ID("nothing"); ok {
		t.Error("id of a token that is not there")
	}
	if s, ok := tok.Token(4); s != "a" || !ok {
		t.Errorf("token 4: %q %t", s, ok)
	}
	for _, id := range []int32{-1, 5} {
		if s, ok := tok.Token(id); ok {
			t.Errorf("token %d: %q", id, s)
		}
	}
}

// TestStoredTruncation checks that the truncation and the padding of tokenizer.json are not applied automatically:
// MiniLM's file says 128.
func TestStoredTruncation(t *testing.T) {
	tok := loadDir(t, minilm)
	for text, want := range map[string]int{"a": 3, strings.Repeat("a ", 500): 502} {
		if e := encodeAll(t, tok, text); len(e.IDs) != want {
			t.Errorf("%d tokens, want %d", len(e.IDs), want)
		}
	}
	if tok.MaxLength() != 512 {
		t.Errorf("max length %d, want 512", tok.MaxLength())
	}
}

func TestLoneSurrogate(t *testing.T) {
	for text, want := range map[string]int{
		`"plain \\ \n \u00e9"`: -1,
		`"\ud83d\ude00"`:       -1,
		`"\ud83d"`:             1,
		`"\ude00\ud83d"`:       1,
		`"a\ud83d\u0041"`:      2,
		`"\\ud83d"`:            -1,
		`"\`:                   -1,
	} {
		if have := loneSurrogate([]byte(text)); have != want {
			t.Errorf("%s: %d, want %d", text, have, want)
		}
	}
}

// tinyBPE fills in a tokenizer.json of a BPE model; parts are given as name, value pairs.
func tinyBPE(parts ...string) string {
	s := `{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [%added%], "normalizer": %normalizer%,
"pre_tokenizer": %pre%, "post_processor": %post%, "decoder": %decoder%, "model": {"type": "BPE",
"dropout": %dropout%, "unk_token": %unk%,
"continuing_subword_prefix": %prefix%, "end_of_word_suffix": %suffix%, "fuse_unk": false,
"byte_fallback": %fallback%, "vocab": %vocab%, "merges": %merges%}}`
	for _, list := range [][]string{parts, {
		"added", "", "normalizer", "null", "pre", "null", "post", "null", "decoder", "null", "dropout", "null", "unk", "null",
		"prefix", "null",
		"suffix", "null", "fallback", "false", "vocab", `{"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4, "▁": 5, "<0x41>": 6}`,
		"merges", `["a b", ["ab", "c"]]`,
	}} {
		for i := 0; i < len(list); i += 2 {
			s = strings.ReplaceAll(s, "%"+list[i]+"%", list[i+1])
		}
	}
	return s
}

func TestLoadBPEErrors(t *testing.T) {
	doc := func(parts ...string) files { return files{tokenizerFile: tinyBPE(parts...)} }
	regex := func(p string) files {
		return doc("pre", `{"type": "Split", "pattern": {"Regex": "`+p+`"}, "behavior": "Isolated", "invert": false}`)
	}
	const gpt2 = `{"tokenizer_class": "GPT2Tokenizer"}`
	for _, c := range []struct {
		name  string
		files files
		want  string // part of the message; "" = no error
	}{
		{"good", doc(), ""},
		{"no type", files{tokenizerFile: strings.Replace(tinyBPE(), `"type": "BPE", `, "", 1)}, ""},
		{"dropout", doc("dropout", "0.1"), "model.dropout: got 0.1, want null"},
		{"unk", doc("unk", `"<unk>"`), `model: unknown token "<unk>" is not in the vocabulary`},
		{"merge words", doc("merges", `["a b c"]`), "model.merges[0]: want two tokens with a blank between"},
		{"merge pair", doc("merges", `[["a", "b"], ["a"]]`), "model.merges[1]: want two tokens"},
		{"merge number", doc("merges", `[3]`), "model.merges[0]: want two tokens"},
		{"merges", doc("merges", `{}`), "model.merges: want an array, got an object"},
		{"merge left", doc("merges", `["x b"]`), `model.merges: "x" "b": "x" is not in the vocabulary`},
		{"merge whole", doc("merges", `["b a"]`), `"ba" is not in the vocabulary`},
		{"merge short", doc("prefix", `"##"`, "merges", `["a b"]`), `"b" is shorter than continuing_subword_prefix`},
		{"gap", doc("vocab", `{"a": 0, "b": 1, "ab": 7}`, "merges", `["a b"]`), ""},
		{
			"far", doc("vocab", `{"a": 0, "b": 1, "ab": 70000}`, "merges", `["a b"]`),
			`token "ab": id 70000; want 0 … 65541 for 3 tokens`,
		},
		{"id twice", doc("vocab", `{"a": 0, "b": 0}`), `token "b": id 0 is also that of "a"`},
		{
			"gap taken", doc("vocab", `{"a": 0, "b": 1, "ab": 3, "x": 4}`, "merges", `[]`, "added", addedJSON("4", "<x>", "")),
			`id 4 is that of "x" in the vocabulary, whose ids have gaps`,
		},
		{"fallback", doc("fallback", "true", "prefix", `"##"`), "byte_fallback with continuing_subword_prefix"},
		{"look-behind", regex(`(?<=a)b`), `is not supported: (?<`},
		{
			"look-ahead", regex(`\\s+(?!\\S)`), `pre_tokenizer.pattern.Regex: regular expression "\\s+(?!\\S)" is not supported`,
		},
		{"possessive", regex(`a++`), "a quantifier after a quantifier"},
		{"lazy", regex(`a+?b`), "a quantifier after a quantifier"},
		{"anchor", regex(`^a`), "is not supported: ^"},
		{"category", regex(`\\p{Lu}`), `is not supported: \p{Lu}`},
		{"back reference", regex(`(a)\\1`), `is not supported: \1`},
		{"boundary", regex(`\\ba`), `is not supported: \b`},
		{"class in class", regex(`[a[b]]`), "[ inside brackets"},
		{"intersection", regex(`[a-z&&b]`), "& inside brackets"},
		{"brace", regex(`a{,2}`), "a brace that is not a quantifier"},
		{"many", regex(`a{2000}`), "invalid repeat count"},
		{"empty match", regex(`a?`), "it matches the empty text"},
		{"slow", regex(`a+b|a`), "can take quadratic time"},
		{"slow group", regex(`(?:ab)+`), "can take quadratic time"},
		{"open", regex(`[a`), "a bracket that is not closed"},
		{"parenthesis", regex(`a)`), "unexpected )"},
		{
			"pattern", doc("normalizer", `{"type": "Replace", "pattern": {}, "content": ""}`),
			"normalizer.pattern: want String or Regex",
		},
		{
			"empty pattern", doc("normalizer", `{"type": "Replace", "pattern": {"String": ""}, "content": ""}`),
			"normalizer.pattern.String: empty",
		},
		{"prepend", doc("normalizer", `{"type": "Prepend", "prepend": ""}`), "normalizer.prepend: nothing to prepend"},
		{
			"mark", doc("pre", `{"type": "Metaspace", "replacement": "__"}`),
			`pre_tokenizer.replacement: want one character, got "__"`,
		},
		{
			"scheme", doc("pre", `{"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}`),
			"want always or first or never",
		},
		{
			"scheme twice", doc("pre", `{"type": "Metaspace", "replacement": "_", "add_prefix_space": false}`),
			"false needs prepend_scheme never",
		},
		{
			"trimmed twice",
			doc("post",
				`{"type": "Sequence", "processors": [{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}, `+
					`{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}]}`), "offsets are trimmed twice",
		},
		{
			"after template",
			doc("post",
				`{"type": "Sequence", "processors": [{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", `+
					`"type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}], `+
					`"special_tokens": {}}, {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}]}`),
			"after one with a template",
		},
		{
			"strip decoder", doc("decoder", `{"type": "Strip", "content": "", "start": -1, "stop": 0}`),
			"decoder.start: want an integer of 0",
		},
		{"suffix", doc("decoder", `{"type": "BPEDecoder", "suffix": ""}`), "decoder.suffix: empty"},
		{
			"no merges.txt", files{bpeFile: `{"a": 0}`, configFile: gpt2},
			"merges.txt, which vocab.json needs: file does not exist",
		},
		{
			"merges line", files{bpeFile: `{"a": 0}`, mergesFile: "#version: 0.2\na\n", configFile: gpt2},
			`merges.txt: line 2: want two tokens with a blank between, got "a"`,
		},
		{
			"merges token", files{bpeFile: `{"a": 0}`, mergesFile: "a a\n", configFile: gpt2},
			`vocab.json: model.merges: "a" "a": "aa" is not in the vocabulary`,
		},
		{
			"vocab.json ids", files{bpeFile: `{"a": "0"}`, mergesFile: "", configFile: gpt2},
			`vocab.json: token "a": want an integer, got 0`,
		},
		{
			"class", files{bpeFile: `{}`, configFile: `{"tokenizer_class": "XLMTokenizer"}`},
			`tokenizer_class: it is not known how "XLMTokenizer" splits text, only how GPT2Tokenizer, Qwen2Tokenizer ` +
				`and RobertaTokenizer do`,
		},
		{
			"model", files{bpeFile: `{}`, modelFile: `{"model_type": "xlm"}`},
			`it is not known how model_type "xlm" reads vocab.json`,
		},
		{
			"decoder id",
			files{bpeFile: `{"a": 0}`, mergesFile: "",
				configFile: `{"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": {"9": {"content": "x", "single_word": ` +
					`false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}}}`},
			`added_tokens_decoder: "x" has id 9, but the vocabulary gives it 1`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.files.open)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if !strings.HasPrefix(err.Error(), "tokenize: ") {
				t.Errorf("error %q lacks the package", err)
			}
		})
	}
}
