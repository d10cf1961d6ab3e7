package tokenize

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// parseVocab reads a vocabulary with one token a line, whose id is the line number from 0, and builds BERT's tokenizer
// from it with the settings.
func (s *settings) parseVocab(raw []byte, open func(string) ([]byte, error)) (*spec, error) {
	if _, err := s.knownClass(open, vocabFile, bertClasses[0], bertClasses); err != nil {
		return nil, err
	}
	lines, ids, err := readLines(raw)
	if err != nil {
		return nil, fmt.Errorf("tokenize: %s: %w", vocabFile, err)
	}
	normalizer := s.bert(bertNormalizer{clean: true, chinese: true, strip: true, lower: true})
	t := &spec{
		vocab:      lines,
		normalizer: &normalizer, preTokenizer: bertPreTokenizer,
		decoder: chain(wordPieceDecoder("##", true)),
	}
	t.added = s.parseDecoderTokens()
	for _, a := range t.added {
		ids[a.content] = a.id
	}
	special := s.parseExtraSpecial()
	var errs []error
	var roles [roleCount]string
	for r, name := range roleNames {
		token, named := s.role(name.key, name.usual)
		if roles[r] = token; token == "" {
			continue
		}
		if _, ok := ids[token]; ok {
			special = append(special, token)
		} else if named || r == int(roleUnk) || r == int(roleCls) || r == int(roleSep) {
			errs = append(errs, fmt.Errorf("tokenize: %s: %s %q is missing", vocabFile, name.key, token))
		}
	}
	t.addSpecial(special, ids)
	if err := errors.Join(append(errs, s.err())...); err != nil {
		return nil, err
	}
	t.setWordPiece(roles[roleUnk], "##", 100)
	t.template = bertTemplate(oneToken(roles[roleCls], ids[roles[roleCls]]), oneToken(roles[roleSep], ids[roles[roleSep]]))
	return t, nil
}

// maxErrors is the maximum number of errors of a vocabulary that are listed.
const maxErrors = 10

// readLines returns the lines of a vocabulary and their numbers, counted from 0.
func readLines(raw []byte) (lines []string, ids map[string]int32, err error) {
	text := strings.TrimSuffix(string(raw), "\n")
	switch {
	case text == "":
		return nil, nil, errors.New("empty")
	case !utf8.ValidString(text):
		return nil, nil, errors.New("the file is not UTF-8")
	case strings.HasPrefix(text, "\ufeff"):
		return nil, nil, errors.New("the file begins with a byte order mark; save it as UTF-8 without one")
	}
	lines = strings.Split(text, "\n")
	ids = make(map[string]int32, len(lines))
	var errs []error
	for i, line := range lines {
		lines[i] = strings.TrimSuffix(line, "\r")
		first, twice := ids[lines[i]]
		if ids[lines[i]] = int32(i); twice && len(errs) < maxErrors {
			errs = append(errs, fmt.Errorf("line %d: %q is also on line %d", i+1, lines[i], first+1))
		}
	}
	return lines, ids, errors.Join(errs...)
}

// addSpecial makes tokens special. Tokens without an id get the next ids.
func (t *spec) addSpecial(tokens []string, ids map[string]int32) {
	for _, token := range tokens {
		if slices.ContainsFunc(t.added, func(a addedToken) bool { return a.content == token }) {
			continue
		}
		id, ok := ids[token]
		if !ok {
			id = max(int32(len(t.vocab)), nextID(t.added))
		}
		t.added = append(t.added, addedToken{content: token, id: id, special: true})
	}
}

// nextID returns the id after the last of added.
func nextID(added []addedToken) int32 {
	var next int32
	for _, a := range added {
		next = max(next, a.id+1)
	}
	return next
}

// parseDecoderTokens returns the tokens of added_tokens_decoder in tokenizer_config.json, in the order of their ids.
func (s *settings) parseDecoderTokens() []addedToken {
	f := s.config.get("added_tokens_decoder")
	if !f.is() {
		return nil
	}
	var out []addedToken
	for key := range f.object() {
		a := f.get(key)
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			a.fail("want an id as the key")
			continue
		}
		if a.object() != nil {
			out = append(out, parseAddedToken(a, int32(id)))
		}
	}
	slices.SortFunc(out, func(a, b addedToken) int { return cmp.Compare(a.id, b.id) })
	return out
}

// parseExtraSpecial reads the special tokens without a role.
func (s *settings) parseExtraSpecial() []string {
	var out []string
	for _, key := range []string{"additional_special_tokens", "extra_special_tokens"} {
		f := s.config.get(key)
		if !f.is() {
			continue
		}
		for _, token := range f.list() {
			if _, ok := token.value.(map[string]any); ok {
				token = token.get("content")
			}
			out = append(out, token.text())
		}
	}
	return out
}
