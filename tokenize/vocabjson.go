package tokenize

import (
	"fmt"
	"slices"
	"strings"
)

// bpeClass is a tokenizer class that transformers builds from vocab.json and merges.txt: byte-level, without an unknown
// token.
type bpeClass struct {
	normalizer   normalizer
	preTokenizer func(prefix bool) preTokenizer
	template     func(s *settings, ids map[string]int32) template
	roles        map[string]string // default tokens of roles
}

const endOfText = "<|endoftext|>"

// bpeClasses maps the classes that make a tokenizer from vocab.json and merges.txt.
var bpeClasses = map[string]bpeClass{
	"GPT2Tokenizer": {
		normalizer:   sequence(nil),
		preTokenizer: func(prefix bool) preTokenizer { return byteLevel(prefix, true) },
		template:     (*settings).bosTemplate,
		roles:        map[string]string{"bos_token": endOfText, "eos_token": endOfText, "unk_token": endOfText},
	},
	"RobertaTokenizer": {
		normalizer:   sequence(nil),
		preTokenizer: func(prefix bool) preTokenizer { return byteLevel(prefix, true) },
		template:     (*settings).robertaTemplate,
		roles:        robertaRoles,
	},
	"Qwen2Tokenizer": {
		normalizer: form{compose: true},
		preTokenizer: func(prefix bool) preTokenizer {
			return preSequence{
				splitPattern{find: wordPattern{anyCase: true, newlines: true, digits: 1}}, byteLevel(prefix, false),
			}
		},
		template: (*settings).bosTemplate,
		roles:    map[string]string{"eos_token": endOfText, "unk_token": endOfText, "pad_token": endOfText},
	},
}

// parseVocabJSON reads vocab.json and merges.txt and builds, with the settings, the tokenizer that transformers makes
// of them.
func (s *settings) parseVocabJSON(raw []byte, open func(string) ([]byte, error)) (*spec, error) {
	name, err := s.knownClass(open, bpeFile, "", bpeClassNames)
	if err != nil {
		return nil, err
	}
	class := bpeClasses[name]
	doc, err := parseJSON(bpeFile, raw)
	if err != nil {
		return nil, err
	}
	t := &spec{normalizer: class.normalizer, decoder: chain(byteLevelDecoder)}
	t.vocab, t.missing = parseVocabulary(field{bpeFile + ":", doc, &s.errs}, maxGaps)
	merges, err := open(mergesFile)
	if err != nil {
		return nil, fmt.Errorf("tokenize: %s, which %s needs: %w", mergesFile, bpeFile, err)
	}
	var b bpeSettings
	if b.merges, err = readMerges(string(merges)); err != nil {
		return nil, fmt.Errorf("tokenize: %s: %w", mergesFile, err)
	}
	t.setBPE(b)
	t.preTokenizer = class.preTokenizer(s.flag("add_prefix_space", false))
	s.usual = class.roles
	ids := s.nameSpecial(t)
	t.template = class.template(s, ids)
	return t, s.err()
}

// nameSpecial adds to t the tokens that the settings list, then the tokens of roles and the special ones without a
// role. It returns the ids of all tokens.
func (s *settings) nameSpecial(t *spec) map[string]int32 {
	ids := make(map[string]int32, len(t.vocab))
	for id, token := range t.vocab {
		if !t.missing[int32(id)] {
			ids[token] = int32(id)
		}
	}
	next := int32(len(ids))
	add := func(a addedToken) {
		if a.content == "" || slices.ContainsFunc(t.added, func(b addedToken) bool { return a.content == b.content }) {
			return
		}
		id, known := ids[a.content]
		if !known {
			id = next
			next++
		}
		a.id, ids[a.content] = id, id
		t.added = append(t.added, a)
	}
	for _, a := range s.parseDecoderTokens() {
		id := a.id
		if add(a); ids[a.content] != id {
			s.config.get("added_tokens_decoder").fail("%q has id %d, but the vocabulary gives it %d",
				a.content, id, ids[a.content])
		}
	}
	for _, key := range []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
		"mask_token"} {
		add(s.roleToken(key))
	}
	for _, token := range s.parseExtraSpecial() {
		add(addedToken{content: token, special: true})
	}
	return ids
}

// roleToken returns the token of a role with its properties.
func (s *settings) roleToken(key string) addedToken {
	token, _ := s.role(key, s.usual[key])
	a := addedToken{content: token, special: true}
	for _, file := range []field{s.config, s.special} {
		if f := file.get(key); f.is() {
			if _, ok := f.value.(map[string]any); ok {
				a.singleWord, a.lstrip, a.rstrip = f.get("single_word").optionalTruth(), f.get("lstrip").optionalTruth(),
					f.get("rstrip").optionalTruth()
				a.normalized = !f.get("normalized").is() || f.get("normalized").truth()
			}
			break
		}
	}
	return a
}

// bosTemplate returns the template for add_bos_token and add_eos_token.
func (s *settings) bosTemplate(ids map[string]int32) template {
	around := func(flag, key string, typ int32) []part {
		token, _ := s.role(key, s.usual[key])
		if !s.flag(flag, false) || token == "" {
			return nil
		}
		p := oneToken(token, ids[token])
		p.typ = typ
		return []part{p}
	}
	single := func(text int) []part {
		typ := int32(text)
		return slices.Concat(around("add_bos_token", "bos_token", typ), []part{{text: text, typ: typ}},
			around("add_eos_token", "eos_token", typ))
	}
	return template{single: single(0), pair: slices.Concat(single(0), single(1))}
}

// robertaTemplate returns the template of RoBERTa.
func (s *settings) robertaTemplate(ids map[string]int32) template {
	place := func(key string) part {
		token, _ := s.role(key, s.usual[key])
		return oneToken(token, ids[token])
	}
	t := robertaTemplate(place("cls_token"), place("sep_token"))
	t.trim = trimmingOf(s.flag("trim_offsets", true), s.flag("add_prefix_space", false))
	return t
}

// readMerges reads merges.txt: two tokens a line, in the order of their ranks.
func readMerges(text string) (merges [][2]string, err error) {
	i := 0
	for line := range strings.Lines(text) {
		i++
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		m, ok := parseMerge(line)
		if !ok {
			return nil, fmt.Errorf("line %d: want two tokens with a blank between, got %q", i, line)
		}
		if m != [2]string{} {
			merges = append(merges, m)
		}
	}
	return merges, nil
}
