package tokenize

import (
	"fmt"
	"reflect"
	"slices"
)

// bertDefaults is the normalizer of BERT's tokenizers without settings.
var bertDefaults = bertNormalizer{clean: true, chinese: true, strip: true, lower: true}

// parseTokenizerJSON reads tokenizer.json and applies the settings beside it as transformers 5 does. Its classes for
// models build a tokenizer anew from the vocabulary, the settings and their own defaults; the backend, which it uses
// for all others, takes the file as it is. Here, what no setting decides is always taken from the file.
func (s *settings) parseTokenizerJSON(raw []byte) (*spec, error) {
	s.chooseClass(raw)
	t := &spec{exactScores: s.exact()}
	if err := t.parseTokenizer(raw); err != nil {
		return nil, err
	}
	class, byPieces := bpeClasses[s.class]
	switch {
	case slices.Contains(bertClasses, s.class) && t.kind == wordPieceModel:
		s.rebuildBERT(t)
	case byPieces && t.kind == bpeModel:
		s.rebuildByteLevel(t, class)
	case s.class == xlmrClass && t.kind == unigramModel:
		s.rebuildXLMRoberta(t)
	case s.class == llamaClass && t.kind == bpeModel:
		s.pad = t.pad
		s.nameTokens(t, naming{file: true, drop: true})
		s.rebuildLlama(t)
	case pieceClasses[s.class] != nil && pieceClasses[s.class].kind == t.kind:
		if err := s.rebuildPieces(t, pieceClasses[s.class]); err != nil {
			return nil, fmt.Errorf("tokenize: %s: %w", tokenizerFile, err)
		}
	default:
		s.pad = t.pad
		s.nameTokens(t, naming{file: true})
		s.compareNormalizer(t)
	}
	s.compareEnds(t)
	return t, s.err()
}

// differs warns that a setting, or its default, is not what tokenizer.json has.
func (s *settings) differs(key string, want, have any) {
	switch {
	case want == have:
	case s.get(key).is():
		s.warn("%s: %s is %v, but %s was saved with %v; the former is used, as in transformers: make the files agree",
			configFile, key, want, tokenizerFile, have)
	default:
		s.warn("%s was saved with %s %v, but %s does not say so, and transformers takes %v, which is used: write %s into "+
			"%s", tokenizerFile, key, have, configFile, want, key, configFile)
	}
}

// rebuildBERT applies the settings to a tokenizer of BERT.
func (s *settings) rebuildBERT(t *spec) {
	want := s.bert(bertDefaults)
	if have, ok := t.normalizer.(*bertNormalizer); ok {
		s.differs("do_lower_case", want.lower, have.lower)
		if want.lower == have.lower || s.get("strip_accents").is() { // its default is do_lower_case
			s.differs("strip_accents", want.strip, have.strip)
		}
		s.differs("tokenize_chinese_chars", want.chinese, have.chinese)
		t.normalizer = &want
	} else {
		s.otherPart("normalizer")
	}
	ids := s.nameTokens(t, naming{file: true, drop: true, usual: true})
	if unk := s.bertRole(roleUnk); slices.Contains(t.vocab, unk) {
		t.setWordPiece(unk, "##", 100)
	}
	if s.found(ids, roleCls, roleSep) {
		t.template = s.bertTemplate(ids)
	}
}

// found reports whether the tokens of roles have ids.
func (s *settings) found(ids map[string]int32, roles ...role) bool {
	for _, r := range roles {
		token, _ := s.role(roleNames[r].key, s.usualToken(r))
		if _, ok := ids[token]; !ok {
			return false
		}
	}
	return true
}

// otherPart warns that a part of tokenizer.json is not that of the tokenizer class, if the files name one.
func (s *settings) otherPart(part string) {
	if s.named == "" {
		return
	}
	s.warn("%s: %s is not the one that transformers 5 makes for the tokenizer_class %s, which does not read it; here it "+
		"is used: name PreTrainedTokenizerFast in %s if it is right", tokenizerFile, part, s.class, configFile)
}

// rebuildByteLevel applies the settings to a byte-level tokenizer.
func (s *settings) rebuildByteLevel(t *spec, class bpeClass) {
	prefix := s.flag("add_prefix_space", false)
	switch {
	case reflect.DeepEqual(t.preTokenizer, class.preTokenizer(prefix)):
	case reflect.DeepEqual(t.preTokenizer, class.preTokenizer(!prefix)):
		s.differs("add_prefix_space", prefix, !prefix)
		t.preTokenizer = class.preTokenizer(prefix)
	default:
		s.otherPart("pre_tokenizer")
		if _, have := byteLevelParts(t.preTokenizer); have != prefix && s.get("add_prefix_space").is() {
			s.warn("%s: add_prefix_space is %t, but the pre_tokenizer of %s says otherwise and is used: make the files agree",
				configFile, prefix, tokenizerFile)
		}
	}
	if !reflect.DeepEqual(t.normalizer, class.normalizer) {
		s.otherPart("normalizer")
	}
	ids := s.nameTokens(t, naming{file: true, drop: true, usual: true})
	if s.class == "RobertaTokenizer" && s.found(ids, roleCls, roleSep) {
		want := s.robertaTemplate(ids)
		s.differs("trim_offsets", want.trim != keepOffsets, t.template.trim != keepOffsets)
		t.template = want
	}
}

// rebuildXLMRoberta applies the settings to a tokenizer of XLM-RoBERTa.
func (s *settings) rebuildXLMRoberta(t *spec) {
	want := never
	if s.flag("add_prefix_space", true) {
		want = always
	}
	parts, _ := t.preTokenizer.(preSequence)
	i := slices.IndexFunc(parts, func(p preTokenizer) bool { _, ok := p.(metaspace); return ok })
	if i < 0 {
		s.otherPart("pre_tokenizer")
	} else if m := parts[i].(metaspace); m.prepend != want {
		s.differs("add_prefix_space", want == always, m.prepend != never)
		m.prepend = want
		parts[i] = m
		t.decoder = chain(metaspaceDecoder(m.mark, want != never))
	}
	ids := s.nameTokens(t, naming{file: true, drop: true, usual: true})
	if s.found(ids, roleBos, roleEos) {
		bos, _ := s.role("bos_token", s.usualToken(roleBos))
		eos, _ := s.role("eos_token", s.usualToken(roleEos))
		t.template = robertaTemplate(oneToken(bos, ids[bos]), oneToken(eos, ids[eos]))
	}
}

// sentencePieceMark replaces blanks in the tokens of SentencePiece models.
const sentencePieceMark = '\u2581'

// rebuildLlama gives t the surroundings of LLaMA's class: a mark before the text, and blanks as marks.
func (s *settings) rebuildLlama(t *spec) {
	m := metaspace{mark: sentencePieceMark, prepend: never}
	stages := []stage{
		replaceDecoder(replace{literal(string(sentencePieceMark)), " "}), byteFallback, fuse,
	}
	if s.flag("add_prefix_space", true) {
		if m.prepend = first; s.flag("legacy", false) {
			m.prepend = always
		}
		stages = append(stages, stripDecoder(' ', 1, 0))
	}
	t.normalizer, t.preTokenizer, t.decoder = sequence(nil), m, chain(stages...)
}

// compareNormalizer warns of settings for BERT that have no effect, since the tokenizer class takes tokenizer.json as
// it is.
func (s *settings) compareNormalizer(t *spec) {
	have, ok := t.normalizer.(*bertNormalizer)
	if !ok {
		return
	}
	want := s.bert(*have)
	note := func(name string, want, have bool) {
		if want != have {
			s.warn("%s: settings ask for %s %t, but the tokenizer was saved with %t, which is used", configFile, name, want,
				have)
		}
	}
	note("lower case", want.lower, have.lower)
	note("strip_accents", want.strip, have.strip)
	note("tokenize_chinese_chars", want.chinese, have.chinese)
}

// compareEnds warns of settings for the ends of a text that contradict the template of tokenizer.json, which
// transformers uses.
func (s *settings) compareEnds(t *spec) {
	parts := t.template.single
	for _, end := range []struct {
		flag string
		role role
		at   part
	}{
		{"add_bos_token", roleBos, parts[0]},
		{"add_eos_token", roleEos, parts[len(parts)-1]},
	} {
		token, _ := s.role(roleNames[end.role].key, s.usualToken(end.role))
		if token == "" || !s.get(end.flag).is() {
			continue
		}
		if want, have := s.flag(end.flag, false), slices.Contains(end.at.tokens, token); want != have {
			s.warn("%s: %s is %t, but the post_processor of %s says otherwise and is used, as in transformers: make the "+
				"files agree", configFile, end.flag, want, tokenizerFile)
		}
	}
}
