package tokenize

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// parseVocab reads a vocabulary with one token a line, whose id is the line number from 0, and builds BERT's tokenizer
// from it with the settings.
func (s *settings) parseVocab(raw []byte) (*spec, error) {
	if err := s.knownClass(vocabFile, bertClasses[0], bertClasses); err != nil {
		return nil, err
	}
	lines, ids, err := readLines(raw)
	if err != nil {
		return nil, fmt.Errorf("tokenize: %s: %w", vocabFile, err)
	}
	normalizer := s.bert(bertDefaults)
	t := &spec{
		kind: wordPieceModel, vocab: lines,
		normalizer: &normalizer, preTokenizer: bertPreTokenizer,
		decoder: chain(wordPieceDecoder("##", true)),
	}
	var errs []error
	for _, r := range []role{roleUnk, roleCls, roleSep} {
		token, named := s.role(roleNames[r].key, roleNames[r].usual)
		if _, ok := ids[token]; !ok && (!named || r == roleUnk) {
			errs = append(errs, fmt.Errorf("tokenize: %s: %s %q is missing", vocabFile, roleNames[r].key, token))
		}
	}
	ids = s.nameTokens(t, naming{usual: true})
	if err := errors.Join(append(errs, s.err())...); err != nil {
		return nil, err
	}
	t.setWordPiece(s.bertRole(roleUnk), "##", 100)
	t.template = s.bertTemplate(ids)
	return t, nil
}

// bertRole returns the token of a role of BERT's tokenizers.
func (s *settings) bertRole(r role) string {
	token, _ := s.role(roleNames[r].key, roleNames[r].usual)
	return token
}

// bertTemplate returns the template of BERT's tokenizers; ids are those of the tokens.
func (s *settings) bertTemplate(ids map[string]int32) template {
	cls, sep := s.bertRole(roleCls), s.bertRole(roleSep)
	return bertTemplate(oneToken(cls, ids[cls]), oneToken(sep, ids[sep]))
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
