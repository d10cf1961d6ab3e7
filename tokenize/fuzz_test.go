package tokenize

import (
	"testing"
	"unicode/utf8"
)

// FuzzLoad checks that no file makes Load panic, and that accepted tokenizers work.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(tinyWith()), []byte(`{"model_max_length": 5}`))
	f.Add([]byte(tinyWith("added", addedJSON("5", " x", `"normalized": true`))), []byte(`{}`))
	f.Add([]byte(tinyWith("normalizer",
		`{"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "StripAccents"}]}`)), []byte(`{"unk_token": null}`))
	f.Add([]byte(tinyWith("pre_tokenizer", `{"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}]}`,
		"decoder", "null")), []byte(``))
	f.Add([]byte(tinyWith("post_processor",
		`{"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": `+
			`"B", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 1}}], "special_tokens": {}}`)),
		[]byte(`{"pad_token": "a"}`))
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
	f.Add([]byte("[UNK]\r\n[CLS]\r\n[SEP]\r\n\r\n"),
		[]byte(`{"added_tokens_decoder": {"4": {"content": "x", "lstrip": true, "rstrip": true, "normalized": true, `+
			`"single_word": true, "special": false}}}`))
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
		o := Options{MaxLength: int(uint(n) % 50), Side: Side(uint(n) % 3), Offsets: true, Words: true}
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

// FuzzLoadBPE checks that no tokenizer.json of a BPE model makes Load panic, and that accepted tokenizers work.
func FuzzLoadBPE(f *testing.F) {
	f.Add([]byte(tinyBPE()))
	f.Add([]byte(tinyBPE("pre",
		`{"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true}, {"type": "Split", `+
			`"pattern": {"Regex": " ?\\p{L}+|[^a-c\\s]{1,3}"}, "behavior": "MergedWithPrevious", "invert": true}, `+
			`{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true}]}`)))
	f.Add([]byte(tinyBPE("normalizer",
		`{"type": "Sequence", "normalizers": [{"type": "Strip", "strip_left": true, "strip_right": true}, `+
			`{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}`,
		"fallback", "true")))
	f.Add([]byte(tinyBPE("pre", `{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true}`,
		"decoder",
		`{"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", `+
			`"start": 1, "stop": 2}]}`)))
	f.Add([]byte(tinyBPE("prefix", `"##"`, "suffix", `"</w>"`, "decoder", `{"type": "BPEDecoder", "suffix": "</w>"}`,
		"merges", `[]`)))
	f.Fuzz(func(t *testing.T, doc []byte) {
		tok, err := Load(files{tokenizerFile: string(doc)}.open)
		if err != nil {
			return
		}
		for _, text := range []string{"", "ab abc  12 É\n", "\xff\u0301 中▁ <0x41>"} {
			e, err := tok.EncodePair(text, "ab", Options{Offsets: true, Words: true})
			if err != nil {
				t.Fatal(err)
			}
			s := tok.Stream(true)
			for _, id := range e.IDs {
				s.Next(id)
			}
			s.Flush()
		}
	})
}

// FuzzVocabJSON checks that no vocab.json and merges.txt make Load panic.
func FuzzVocabJSON(f *testing.F) {
	f.Add([]byte(`{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}`), []byte("#version: 0.2\na b\n"),
		[]byte(`{"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true}`))
	f.Add([]byte(`{"a": 0, "b": 9}`), []byte("a b"),
		[]byte(`{"tokenizer_class": "Qwen2Tokenizer", "pad_token": {"content": "é", "lstrip": true}}`))
	f.Add([]byte(`{}`), []byte("\r\n"),
		[]byte(`{"tokenizer_class": "GPT2Tokenizer", "added_tokens_decoder": {"0": {"content": "x", "single_word": true, `+
			`"lstrip": true, "rstrip": true, "normalized": true, "special": true}}}`))
	f.Fuzz(func(t *testing.T, vocab, merges, config []byte) {
		tok, err := Load(files{bpeFile: string(vocab), mergesFile: string(merges), configFile: string(config)}.open)
		if err != nil {
			return
		}
		e, err := tok.Encode("ab x <|endoftext|> é", Options{Offsets: true})
		if err != nil {
			t.Fatal(err)
		}
		tok.Decode(e.IDs, false)
	})
}

// FuzzSettings checks that no settings beside a tokenizer.json make Load panic, and that accepted tokenizers work.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"tokenizer_class": "BertTokenizer", "do_lower_case": false, "cls_token": "<c>", "max_len": 9}`),
		[]byte(`{"pad_token": {"content": "<p>", "lstrip": true}, "additional_special_tokens": ["<x>"]}`),
		[]byte(`{"<n>": 7}`))
	f.Add([]byte(`{"tokenizer_class": "RobertaTokenizer", "add_prefix_space": true, "trim_offsets": false, `+
		`"x_token": "é"}`),
		[]byte(`{"sep_token": null}`), []byte(`{}`))
	f.Add([]byte(`{"tokenizer_class": "LlamaTokenizer", "legacy": true, "split_special_tokens": true}`), []byte(`{}`),
		[]byte(`{"": 1}`))
	f.Add([]byte(`{"added_tokens_decoder": {"5": {"content": "x", "single_word": true, "lstrip": true, "rstrip": true, `+
		`"normalized": true, "special": true}}, "truncation_side": "left", "clean_up_tokenization_spaces": true}`),
		[]byte(`{}`), []byte(`{"x": 2}`))
	f.Fuzz(func(t *testing.T, config, special, older []byte) {
		for _, doc := range []string{tinyWith(), tinyBPE(), tinyUnigram()} {
			tok, err := Load(files{
				tokenizerFile: doc, configFile: string(config), specialFile: string(special), addedFile: string(older),
			}.open)
			if err != nil {
				continue
			}
			e, err := tok.EncodePair("ab <c> x. é", "b <x>", Options{Offsets: true, Words: true})
			if err != nil {
				t.Fatal(err)
			}
			tok.Decode(e.IDs, true)
			tok.Warnings()
		}
	})
}

// FuzzCleanUp checks that text that is cleaned up in parts is the text that is cleaned up as a whole.
func FuzzCleanUp(f *testing.F) {
	f.Add("I do n't  , know ' s what you 're ' . saying n ' t  ' m", 3)
	f.Add(" . ? ! ,,  '  ' x", 1)
	f.Fuzz(func(t *testing.T, text string, n int) {
		if n = int(uint(n)%9) + 1; !utf8.ValidString(text) {
			return
		}
		have := ""
		c := &cleaner{joiner: output(nil), out: func(s string) { have += s }}
		runes := []rune(text)
		for len(runes) > 0 {
			c.write(string(runes[:min(n, len(runes))]))
			runes = runes[min(n, len(runes)):]
		}
		c.flush(len(c.pending))
		if want := cleanSpaces(text); have != want {
			t.Errorf("%q in parts of %d: %q, as a whole %q", text, n, have, want)
		}
	})
}

// FuzzByteLevel checks that byte-level models lose nothing of a text, and that a stream over any part of its ids
// returns the same text as Decode.
func FuzzByteLevel(f *testing.F) {
	_, texts := loadBPE(f)
	for i := 0; i < len(texts); i += 200 {
		f.Add(texts[i], i)
	}
	toks := []*Tokenizer{bpeCase(f, "gpt2"), bpeCase(f, "llama3"), bpeCase(f, "smollm2")}
	f.Fuzz(func(t *testing.T, text string, n int) {
		tok := toks[uint(n)%uint(len(toks))]
		e, err := tok.Encode(text, Options{NoSpecial: true, Offsets: true, Words: true})
		if err != nil {
			t.Fatal(err)
		}
		if have := tok.Decode(e.IDs, false); utf8.ValidString(text) && have != text {
			t.Errorf("%q became %q", text, have)
		}
		ids := e.IDs[:uint(n)%uint(len(e.IDs)+1)]
		s, have := tok.Stream(false), ""
		for _, id := range ids {
			have += s.Next(id)
		}
		if have += s.Flush(); have != tok.Decode(ids, false) {
			t.Errorf("%v: stream %q, at once %q", ids, have, tok.Decode(ids, false))
		}
	})
}
