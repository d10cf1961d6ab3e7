package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// parseTokenizer reads a tokenizer.json.
func parseTokenizer(raw []byte) (*spec, error) {
	doc, err := parseJSON(tokenizerFile, raw)
	if err != nil {
		return nil, err
	}
	var errs []error
	f := field{"", doc, &errs}
	s := &spec{}
	if f.object() != nil {
		f.only("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
			"post_processor", "decoder", "model")
		if v := f.get("version"); v.is() && v.text() != "1.0" {
			v.fail("want 1.0, have %q", v.text())
		}
		parseStored(f)
		parseModel(f.get("model"), s)
		s.added = parseAdded(f.get("added_tokens"))
		s.normalizer = parseNormalizer(f.get("normalizer"))
		s.preTokenizer = parsePreTokenizer(f.get("pre_tokenizer"))
		s.template = parseTemplate(f.get("post_processor"))
		s.decoder = parseDecoder(f.get("decoder"))
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("tokenize: %s: %w", tokenizerFile, errors.Join(errs...))
	}
	return s, nil
}

// parseStored checks the padding and truncation in the file, which are not used.
func parseStored(f field) {
	if t := f.get("truncation"); t.is() && t.object() != nil {
		t.only("direction", "max_length", "strategy", "stride")
		t.get("max_length").id()
		t.get("stride").id()
		t.get("strategy").oneOf("LongestFirst", "OnlyFirst", "OnlySecond")
		if d := t.get("direction"); d.is() {
			d.oneOf("Left", "Right")
		}
	}
	if p := f.get("padding"); p.is() && p.object() != nil {
		p.only("strategy", "direction", "pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token")
		if s := p.get("strategy"); s.value != "BatchLongest" && s.object() != nil {
			s.only("Fixed")
			s.get("Fixed").id()
		}
		p.get("direction").oneOf("Left", "Right")
		if m := p.get("pad_to_multiple_of"); m.is() {
			m.id()
		}
		p.get("pad_id").id()
		p.get("pad_type_id").id()
		p.get("pad_token").text()
	}
}

// parseModel reads the vocabulary and settings of a WordPiece model.
func parseModel(f field, s *spec) {
	if f.object() == nil {
		return
	}
	// Old files leave out the type.
	if t := f.get("type"); t.is() && t.text() != "WordPiece" {
		t.fail("%q is not supported, only WordPiece", t.text())
		return
	}
	f.only("type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab")
	s.unk = f.get("unk_token").text()
	s.prefix = f.get("continuing_subword_prefix").text()
	s.maxChars = int(f.get("max_input_chars_per_word").id())
	s.vocab = parseVocabulary(f.get("vocab"))
}

// parseVocabulary returns the tokens of an object of ids by their id. The ids
// must be 0 … n-1.
func parseVocabulary(f field) []string {
	m := f.object()
	vocab := make([]string, len(m))
	taken := make([]bool, len(m))
	free := len(m)
	for token, v := range m {
		n, _ := v.(json.Number)
		id, err := strconv.Atoi(n.String())
		if err == nil && id >= 0 && id < len(m) && !taken[id] {
			vocab[id], taken[id] = token, true
			free--
		}
	}
	if free > 0 {
		explainVocabulary(f, m)
	}
	return vocab
}

// explainVocabulary notes what is wrong with the ids of m.
func explainVocabulary(f field, m map[string]any) {
	var bad []string
	first := map[int64]string{}
	for _, token := range slices.Sorted(maps.Keys(m)) {
		n, _ := m[token].(json.Number)
		id, err := strconv.ParseInt(n.String(), 10, 64)
		other, twice := first[id]
		switch {
		case err != nil:
			bad = append(bad, fmt.Sprintf("token %q: want an integer, have %v", token, m[token]))
		case id < 0 || id >= int64(len(m)):
			bad = append(bad, fmt.Sprintf("token %q: id %d, but the ids of %d tokens are 0 … %d without gaps", token, id, len(m), len(m)-1))
		case twice:
			bad = append(bad, fmt.Sprintf("token %q: id %d is also that of %q", token, id, other))
		default:
			first[id] = token
		}
	}
	for i, what := range bad {
		if i == maxErrors {
			f.fail("and %d more", len(bad)-i)
			break
		}
		f.fail("%s", what)
	}
}

func parseAdded(f field) []addedToken {
	if !f.is() {
		return nil
	}
	var out []addedToken
	for _, a := range f.list() {
		if a.object() == nil {
			continue
		}
		a.only("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special")
		out = append(out, parseAddedToken(a, a.get("id").id()))
	}
	return out
}

// parseAddedToken reads the properties of an added token.
func parseAddedToken(f field, id int32) addedToken {
	return addedToken{
		id: id, content: f.get("content").text(),
		singleWord: f.get("single_word").truth(), lstrip: f.get("lstrip").truth(), rstrip: f.get("rstrip").truth(),
		normalized: f.get("normalized").truth(), special: f.get("special").truth(),
	}
}

func parseNormalizer(f field) normalizer {
	if !f.is() || f.object() == nil {
		return sequence(nil)
	}
	switch t := f.get("type"); t.text() {
	case "BertNormalizer":
		f.only("type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase")
		n := &bertNormalizer{
			clean: f.get("clean_text").truth(), chinese: f.get("handle_chinese_chars").truth(),
			lower: f.get("lowercase").truth(),
		}
		n.strip = n.lower
		if s := f.get("strip_accents"); s.is() {
			n.strip = s.truth()
		}
		return n
	case "Sequence":
		f.only("type", "normalizers")
		var s sequence
		for _, n := range f.get("normalizers").list() {
			s = append(s, parseNormalizer(n))
		}
		return s
	case "Lowercase":
		f.only("type")
		return lowercase{}
	case "StripAccents":
		f.only("type")
		return dropClass(isMark)
	case "NFC", "NFD", "NFKC", "NFKD":
		f.only("type")
		return form{compat: t.text()[2] == 'K', compose: t.text()[len(t.text())-1] == 'C'}
	default:
		t.fail("normalizer %q is not supported", t.value)
		return sequence(nil)
	}
}

// bertPreTokenizer splits at white space and sets punctuation apart.
var bertPreTokenizer = splitter{remove: isSpace, isolate: isPunct}

func parsePreTokenizer(f field) preTokenizer {
	if !f.is() || f.object() == nil {
		return preSequence(nil)
	}
	switch t := f.get("type"); t.text() {
	case "BertPreTokenizer":
		f.only("type")
		return bertPreTokenizer
	case "WhitespaceSplit":
		f.only("type")
		return splitter{remove: isSpace}
	case "Whitespace":
		f.only("type")
		return wordsOrSymbols{}
	case "Punctuation":
		f.only("type", "behavior")
		if b := f.get("behavior"); b.is() && b.text() != "Isolated" {
			b.fail("%q is not supported, only Isolated", b.text())
		}
		return splitter{isolate: isPunct}
	case "Sequence":
		f.only("type", "pretokenizers")
		var s preSequence
		for _, p := range f.get("pretokenizers").list() {
			s = append(s, parsePreTokenizer(p))
		}
		return s
	default:
		t.fail("pre-tokenizer %q is not supported", t.value)
		return preSequence(nil)
	}
}

func parseDecoder(f field) decoder {
	if !f.is() || f.object() == nil {
		return blanks{}
	}
	if t := f.get("type"); t.text() != "WordPiece" {
		t.fail("decoder %q is not supported, only WordPiece", t.value)
		return blanks{}
	}
	f.only("type", "prefix", "cleanup")
	return wordPieceDecoder{f.get("prefix").text(), f.get("cleanup").truth()}
}
