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
	if err := s.knownClass(bpeFile, "", bpeClassNames); err != nil {
		return nil, err
	}
	class := bpeClasses[s.class]
	doc, err := parseJSON(bpeFile, raw)
	if err != nil {
		return nil, err
	}
	t := &spec{kind: bpeModel, normalizer: class.normalizer, decoder: chain(byteLevelDecoder)}
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
	ids := s.nameTokens(t, naming{usual: true, create: true})
	t.template = class.template(s, ids)
	return t, s.err()
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
