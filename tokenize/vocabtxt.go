package tokenize

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// parseVocab reads a vocabulary of one token a line, the line number from 0 being
// the id, and completes it to BERT's tokenizer by the settings.
func (s *settings) parseVocab(raw []byte) (*spec, error) {
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("tokenize: %s: not UTF-8", vocabFile)
	}
	text := strings.TrimSuffix(string(raw), "\n")
	if text == "" {
		return nil, fmt.Errorf("tokenize: %s: empty", vocabFile)
	}
	lines := strings.Split(text, "\n")
	seen := make(map[string]int, len(lines))
	var errs []error
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
		if first, twice := seen[lines[i]]; twice {
			errs = append(errs, fmt.Errorf("tokenize: %s: line %d: %q is also on line %d", vocabFile, i+1, lines[i], first+1))
		}
		seen[lines[i]] = i
	}
	normalizer := s.bert(bertNormalizer{clean: true, chinese: true, strip: true, lower: true})
	t := &spec{
		vocab: lines, prefix: "##", maxChars: 100,
		normalizer: &normalizer, preTokenizer: bertPreTokenizer,
		decoder: wordPieceDecoder{"##", true},
	}
	var ids [roleCount]int32
	for r, name := range roleNames {
		token, _ := s.role(name.key, name.usual)
		id, ok := seen[token]
		if !ok {
			errs = append(errs, fmt.Errorf("tokenize: %s: %s %q is missing", vocabFile, name.key, token))
			continue
		}
		ids[r] = int32(id)
		if !slices.ContainsFunc(t.added, func(a addedToken) bool { return a.id == int32(id) }) {
			t.added = append(t.added, addedToken{content: token, id: int32(id), special: true})
		}
	}
	if err := errors.Join(append(errs, s.errs...)...); err != nil {
		return nil, err
	}
	t.unk = lines[ids[roleUnk]]
	t.template = bertTemplate(ids[roleCls], ids[roleSep])
	return t, nil
}
