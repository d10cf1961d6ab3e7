package tokenize

import (
	"testing"
	"unicode/utf8"
)

// FuzzLoad checks that no file makes Load panic, and that what it accepts works.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(tinyWith()), []byte(`{"model_max_length": 5}`))
	f.Add([]byte(tinyWith("added", addedJSON("5", " x", `"normalized": true`))), []byte(`{}`))
	f.Add([]byte(tinyWith("normalizer", `{"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "StripAccents"}]}`)), []byte(`{"unk_token": null}`))
	f.Add([]byte(tinyWith("pre_tokenizer", `{"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}]}`, "decoder", "null")), []byte(``))
	f.Add([]byte(tinyWith("post_processor", `{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "B", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 1}}], "special_tokens": {}}`)), []byte(`{"pad_token": "a"}`))
	f.Fuzz(func(t *testing.T, doc, config []byte) {
		tok, err := Load(files{tokenizerFile: string(doc), configFile: string(config)}.open)
		if err != nil {
			return
		}
		for _, text := range []string{"", "a ab [SEP] x É", "\xff\u0301 中"} {
			e, err := tok.EncodePair(text, "ab", Options{Offsets: true, Words: true})
			if err != nil {
				t.Fatal(err)
			}
			checkEncoding(t, e, text, "ab")
			tok.Decode(e.IDs, true)
		}
	})
}

// FuzzVocab checks that no vocab.txt makes Load panic.
func FuzzVocab(f *testing.F) {
	f.Add([]byte("[UNK]\n[CLS]\n[SEP]\na\n##b\n"), []byte(`{"do_lower_case": false}`))
	f.Add([]byte("[UNK]\r\n[CLS]\r\n[SEP]\r\n\r\n"), []byte(`{"added_tokens_decoder": {"4": {"content": "x", "lstrip": true, "rstrip": true, "normalized": true, "single_word": true, "special": false}}}`))
	f.Fuzz(func(t *testing.T, vocab, config []byte) {
		tok, err := Load(files{vocabFile: string(vocab), configFile: string(config)}.open)
		if err != nil {
			return
		}
		checkEncoding(t, encodeAll(t, tok, "a x[SEP] \u0301b"), "a x[SEP] \u0301b")
	})
}

// FuzzEncode checks encodings and decoding of any text.
func FuzzEncode(f *testing.F) {
	_, texts := loadFixtures(f)
	for i := 0; i < len(texts); i += 100 {
		f.Add(texts[i], texts[i+1], i)
	}
	f.Add("\xff\xc3(\xed\xa0\x80", "<both> <left>", 3)
	fix, _ := loadFixtures(f)
	toks := []*Tokenizer{loadDir(f, minilm)}
	for _, c := range fix.Cases {
		toks = append(toks, loadPatched(f, c.File, c.Patch))
	}
	f.Fuzz(func(t *testing.T, text, pair string, n int) {
		tok := toks[uint(n)%uint(len(toks))]
		o := Options{MaxLength: int(uint(n) % 50), Side: Side(uint(n) % 2), Offsets: true, Words: true}
		e, err := tok.EncodePair(text, pair, o)
		if err != nil {
			return // no room for the special tokens
		}
		if o.MaxLength > 0 && len(e.IDs) > o.MaxLength {
			t.Errorf("%d tokens, max length %d", len(e.IDs), o.MaxLength)
		}
		checkEncoding(t, e, text, pair)
		if s := tok.Decode(e.IDs, n%2 == 0); !utf8.ValidString(s) {
			t.Errorf("decoded %q", s)
		}
	})
}
