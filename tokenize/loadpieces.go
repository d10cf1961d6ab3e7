package tokenize

import (
	"fmt"
	"slices"
	"strings"
)

// parsePieces reads a SentencePiece model and builds, with the settings, the tokenizer that transformers makes of it.
func (s *settings) parsePieces(name string, raw []byte) (*spec, error) {
	s.chooseClass(nil)
	t, err := s.specOfPieces(raw)
	if err != nil {
		return nil, fmt.Errorf("tokenize: %s: %w", name, err)
	}
	return t, s.err()
}

func (s *settings) specOfPieces(raw []byte) (*spec, error) {
	class := pieceClasses[s.class]
	if class == nil && s.class != "" && s.class != backend {
		return nil, fmt.Errorf("it is not known how a %s reads this file, only how %s do; name one of them as the "+
			"tokenizer_class in %s, or make %s with transformers", s.class, strings.Join(pieceClassNames, ", "), configFile,
			tokenizerFile)
	}
	m, err := parseSentencePiece(raw)
	if err != nil {
		return nil, err
	}
	if class == nil {
		class = backendPieces(m)
	}
	if kind := m.kind(); kind != class.kind {
		return nil, fmt.Errorf("a %s model, but a %s reads %s models; name another tokenizer_class in %s", kind, s.class,
			class.kind, configFile)
	}
	s.usual, s.fromPieces = class.roles, true
	pieces := m.pieces
	if class.layout != nil {
		pieces = class.layout(s, pieces)
	}
	t := &spec{kind: class.kind}
	t.vocab, t.scores = vocabulary(pieces)
	if m.bpe {
		t.missing = duplicates(t.vocab)
		own, _ := vocabulary(m.pieces)
		b := bpeSettings{merges: mergesOf(own), fuse: true, fallback: s.class == llamaClass}
		switch s.class {
		case nllbClass:
			b.unk, b.hasUnk = s.roleOf(roleUnk), true
		case backend, "":
			b.unk, b.hasUnk, b.fallback = m.unkName, true, m.fallback
			s.renamePieces(t)
		}
		t.setBPE(b)
	} else if err := s.setUnknown(t, class, m.fallback && class.file == ""); err != nil {
		return nil, err
	}
	class.surround(s, t, m.rules)
	return t, s.nameExtra(t, class, m.marked(), naming{usual: true, create: true})
}

// kind returns the kind of the model.
func (m *sentencePiece) kind() string {
	if m.bpe {
		return bpeModel
	}
	return unigramModel
}

// marked returns the control symbols, which are special, and the user-defined ones as added tokens.
func (m *sentencePiece) marked() []addedToken {
	out := []addedToken{}
	for _, p := range m.pieces {
		if p.kind == controlPiece || p.kind == userDefinedPiece {
			out = append(out, addedToken{content: p.text, special: p.kind == controlPiece})
		}
	}
	return out
}

// duplicates returns the ids of tokens that a vocabulary lists again later.
func duplicates(vocab []string) map[int32]bool {
	last := make(map[string]int32, len(vocab))
	out := map[int32]bool{}
	for id, text := range vocab {
		if first, twice := last[text]; twice {
			out[first] = true
		}
		last[text] = int32(id)
	}
	return out
}

// setUnknown makes t a Unigram model with the class's token for unknown text.
func (s *settings) setUnknown(t *spec, class *pieceClass, fallback bool) error {
	unk := class.unk(s, t.vocab, t.scores)
	if unk < 0 || unk >= len(t.vocab) {
		return fmt.Errorf("the vocabulary has %d tokens, none of which is the one that a %s uses for unknown text",
			len(t.vocab), s.class)
	}
	t.setUnigram(int32(unk), t.scores, fallback)
	return nil
}

// nameExtra adds the tokens that the settings and the class name, and sets the template.
func (s *settings) nameExtra(t *spec, class *pieceClass, marked []addedToken, n naming) error {
	s.classExtra = marked
	if class.extra != nil {
		var err error
		if s.classExtra, err = class.extra(s, marked); err != nil {
			return err
		}
	}
	ids := s.nameTokens(t, n)
	if class.languages != nil {
		t.languages, t.template = s.readLanguages(class.languages), plain
		return nil
	}
	t.template = class.template(s, ids)
	return nil
}

// rebuildPieces gives a tokenizer of tokenizer.json the surroundings of its class.
func (s *settings) rebuildPieces(t *spec, class *pieceClass) error {
	if class.kind == bpeModel {
		t.setBPE(bpeSettings{merges: t.merges, unk: s.roleOf(roleUnk), hasUnk: true, fuse: true})
	} else if err := s.setUnknown(t, class, false); err != nil {
		return err
	}
	class.surround(s, t, rulesOf(t.normalizer))
	return s.nameExtra(t, class, nil, naming{file: true, drop: true, usual: true, create: true})
}

// rulesOf returns the first table of a normalizer, or nil.
func rulesOf(n normalizer) *charsMap {
	list, ok := n.(sequence)
	if !ok {
		list = sequence{n}
	}
	for _, n := range list {
		if m, ok := n.(*charsMap); ok {
			return m
		}
	}
	return nil
}

// renamePieces gives pieces the names that added_tokens_decoder has for their ids.
func (s *settings) renamePieces(t *spec) {
	if !s.complete() {
		return
	}
	for _, a := range s.listed() {
		if int(a.id) < len(t.vocab) && a.content != "" && !slices.Contains(t.vocab, a.content) {
			t.vocab[a.id] = a.content
		}
	}
}

// backendPieces returns what transformers makes of a model without a class of its own: blanks become marks, and none is
// added.
func backendPieces(m *sentencePiece) *pieceClass {
	c := &pieceClass{kind: m.kind(), roles: map[string]string{}, unk: fixedUnk(m.unk), template: (*settings).bosTemplate}
	for _, r := range []struct {
		id        int
		key, name string
	}{{m.bos, "bos_token", m.bosName}, {m.eos, "eos_token", m.eosName}, {m.unk, "unk_token", m.unkName}} {
		if r.id >= 0 {
			c.roles[r.key] = r.name
		}
	}
	c.surround = func(_ *settings, t *spec, rules *charsMap) {
		n := sequence{replace{literal(" "), string(sentencePieceMark)}}
		if rules != nil {
			n = append(sequence{rules}, n...)
		}
		t.normalizer, t.preTokenizer = n, preSequence(nil)
		stages := []stage{replaceDecoder(replace{literal(string(sentencePieceMark)), " "})}
		if m.fallback {
			stages = append(stages, byteFallback, fuse)
		}
		t.decoder = chain(stages...)
	}
	return c
}
