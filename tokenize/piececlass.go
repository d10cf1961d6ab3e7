package tokenize

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// pieceClass is a tokenizer class that transformers 5 builds of the pieces of a SentencePiece model, or of the
// vocabulary of a tokenizer.json, with surroundings of its own.
type pieceClass struct {
	file  string            // usual name of the SentencePiece model
	kind  string            // of the model
	roles map[string]string // default tokens of roles
	mask  addedToken        // properties of a mask_token that is named without properties

	// layout returns the vocabulary that the class makes of the pieces of a model; nil: these pieces.
	layout func(s *settings, pieces []scoredPiece) []scoredPiece
	// unk returns the index of the token for unknown text in a Unigram vocabulary, or -1.
	unk func(s *settings, vocab []string, scores []float64) int
	// surround sets the normalizer, the pre-tokenizer and the decoder; rules may be nil.
	surround func(s *settings, t *spec, rules *charsMap)
	// template returns the template; ids are those of all tokens.
	template func(s *settings, ids map[string]int32) template
	// extra returns the special tokens without a role that the class adds if no file lists any. marked are the control
	// and user-defined pieces of the model, or nil beside tokenizer.json.
	extra func(s *settings, marked []addedToken) ([]addedToken, error)
	// languages describes the classes whose templates name a language.
	languages *languageClass
}

// Classes of transformers that several places name.
const (
	t5Class      = "T5Tokenizer"
	mbartClass   = "MBartTokenizer"
	mbart50Class = "MBart50Tokenizer"
	nllbClass    = "NllbTokenizer"
)

// fairseqRoles are the default roles of models that fairseq trained.
var fairseqRoles = robertaRoles

// pieceClasses maps the classes that read SentencePiece models to what they make of them.
var pieceClasses = map[string]*pieceClass{
	t5Class: {
		file: "spiece.model", kind: unigramModel,
		roles:    map[string]string{"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"},
		layout:   (*settings).withSentinels,
		unk:      fixedUnk(2),
		surround: (*settings).surroundWords,
		template: (*settings).endTemplate,
		extra:    (*settings).sentinels,
	},
	"PegasusTokenizer": {
		file: "spiece.model", kind: unigramModel,
		roles: map[string]string{
			"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask_2>",
		},
		layout:   (*settings).pegasusVocabulary,
		unk:      pegasusUnk,
		surround: (*settings).surroundPegasus,
		template: (*settings).oneEndTemplate,
		extra:    (*settings).pegasusExtra,
	},
	"AlbertTokenizer": {
		file: "spiece.model", kind: unigramModel,
		roles: map[string]string{
			"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "<unk>", "sep_token": "[SEP]", "pad_token": "<pad>",
			"cls_token": "[CLS]", "mask_token": "[MASK]",
		},
		unk:      fixedUnk(1),
		surround: (*settings).surroundAlbert,
		template: func(_ *settings, ids map[string]int32) template {
			return bertTemplate(oneToken("[CLS]", ids["[CLS]"]), oneToken("[SEP]", ids["[SEP]"]))
		},
	},
	xlmrClass: {
		file: "sentencepiece.bpe.model", kind: unigramModel, roles: fairseqRoles,
		layout: func(s *settings, p []scoredPiece) []scoredPiece {
			return slices.Concat(s.fairseq("bos_token"), tail(p, 3), s.rolePieces("mask_token"))
		},
		unk:      fixedUnk(3),
		surround: (*settings).surroundWords,
		template: (*settings).fairseqTemplate,
	},
	"CamembertTokenizer": {
		file: "sentencepiece.bpe.model", kind: unigramModel, roles: fairseqRoles,
		mask: addedToken{lstrip: true},
		layout: func(s *settings, p []scoredPiece) []scoredPiece {
			return slices.Concat([]scoredPiece{{text: "<s>NOTUSED"}}, s.rolePieces("pad_token"),
				[]scoredPiece{{text: "</s>NOTUSED"}}, s.rolePieces("unk_token"),
				[]scoredPiece{{text: "<unk>NOTUSED", score: -100}}, tail(p, 1), s.rolePieces("mask_token"))
		},
		unk: func(s *settings, vocab []string, _ []float64) int {
			return max(slices.Index(vocab, s.roleOf(roleUnk)), 0)
		},
		surround: (*settings).surroundWords,
		template: (*settings).fairseqTemplate,
		extra: func(_ *settings, marked []addedToken) ([]addedToken, error) {
			if marked != nil {
				return marked, nil
			}
			return specialTokens("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"), nil
		},
	},
	mbartClass: {
		file: "sentencepiece.bpe.model", kind: unigramModel, roles: fairseqRoles, mask: addedToken{lstrip: true},
		layout: func(s *settings, p []scoredPiece) []scoredPiece {
			return slices.Concat(s.fairseq("bos_token"), tail(p, 3), named(mbartLanguages), s.rolePieces("mask_token"))
		},
		unk: fixedUnk(3),
		surround: func(s *settings, t *spec, _ *charsMap) {
			s.surroundWords(t, nil) // as in transformers 5, texts are not normalized
		},
		extra: func(_ *settings, marked []addedToken) ([]addedToken, error) {
			return slices.Concat(specialTokens(mbartLanguages...), marked), nil
		},
		languages: &languageClass{usual: "en_XX", atEnd: func(*settings) bool { return true }},
	},
	mbart50Class: {
		file: "sentencepiece.bpe.model", kind: unigramModel, mask: addedToken{lstrip: true},
		roles: map[string]string{
			"eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>", "pad_token": "<pad>", "cls_token": "<s>",
			"mask_token": "<mask>",
		},
		layout: func(s *settings, p []scoredPiece) []scoredPiece {
			return slices.Concat(s.fairseq("cls_token"), tail(p, 3), named(mbart50Languages), s.rolePieces("mask_token"))
		},
		unk:      fixedUnk(3),
		surround: (*settings).surroundWhole,
		extra: func(_ *settings, marked []addedToken) ([]addedToken, error) {
			return slices.Concat(marked, specialTokens(mbart50Languages...)), nil
		},
		languages: &languageClass{usual: "en_XX", atEnd: func(*settings) bool { return false }},
	},
	nllbClass: {
		file: "sentencepiece.bpe.model", kind: bpeModel, roles: fairseqRoles,
		mask: addedToken{lstrip: true, normalized: true},
		layout: func(s *settings, p []scoredPiece) []scoredPiece {
			first := s.fairseq("bos_token")
			return slices.Concat(first, slices.DeleteFunc(slices.Clone(p), func(p scoredPiece) bool {
				return slices.ContainsFunc(first, func(q scoredPiece) bool { return p.text == q.text })
			}))
		},
		surround: (*settings).surroundWhole,
		languages: &languageClass{
			usual: "eng_Latn", atEnd: func(s *settings) bool { return s.flag("legacy_behaviour", false) },
		},
	},
	llamaClass: {
		file: "tokenizer.model", kind: bpeModel,
		roles:    map[string]string{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
		surround: func(s *settings, t *spec, _ *charsMap) { s.rebuildLlama(t) },
		template: (*settings).bosTemplate,
	},
}

// pieceClassNames lists the names of the pieceClasses, sorted.
var pieceClassNames = slices.Sorted(maps.Keys(pieceClasses))

// fixedUnk returns the function for a class that has its token for unknown text at index i.
func fixedUnk(i int) func(*settings, []string, []float64) int {
	return func(*settings, []string, []float64) int { return i }
}

// tail returns the pieces from index n on.
func tail(pieces []scoredPiece, n int) []scoredPiece { return pieces[min(n, len(pieces)):] }

// named returns pieces of score 0.
func named(texts []string) []scoredPiece {
	out := make([]scoredPiece, len(texts))
	for i, text := range texts {
		out[i].text = text
	}
	return out
}

// specialTokens returns special tokens that texts can spell out.
func specialTokens(contents ...string) []addedToken {
	out := make([]addedToken, len(contents))
	for i, content := range contents {
		out[i] = addedToken{content: content, special: true}
	}
	return out
}

// roleOf returns the token of a role.
func (s *settings) roleOf(r role) string {
	token, _ := s.role(roleNames[r].key, s.usualToken(r))
	return token
}

// rolePieces returns the tokens of roles as pieces of score 0.
func (s *settings) rolePieces(keys ...string) []scoredPiece {
	out := make([]scoredPiece, len(keys))
	for i, key := range keys {
		out[i].text, _ = s.role(key, s.usual[key])
	}
	return out
}

// fairseq returns the first pieces of fairseq's vocabularies: the one that begins a text, padding, end and unknown.
func (s *settings) fairseq(begin string) []scoredPiece {
	return s.rolePieces(begin, "pad_token", "eos_token", "unk_token")
}

// metaspaceWords splits a text into words that begin with a mark.
func metaspaceWords(prepend scheme) metaspace {
	return metaspace{mark: sentencePieceMark, prepend: prepend, cut: true}
}

// surroundWords gives t words without the white space around them.
func (s *settings) surroundWords(t *spec, rules *charsMap) {
	prepend := always
	if s.class != t5Class && s.class != mbartClass && !s.flag("add_prefix_space", true) {
		prepend = never
	}
	t.normalizer = sequence(nil)
	if rules != nil {
		t.normalizer = rules
	}
	t.preTokenizer = preSequence{splitter{remove: isSpace}, metaspaceWords(prepend)}
	t.decoder = chain(metaspaceDecoder(sentencePieceMark, prepend != never))
}

// severalBlanks finds runs of more than one blank.
type severalBlanks struct{}

func (severalBlanks) find(text []byte, at int) (from, to int, ok bool) {
	i := bytes.Index(text[at:], []byte("  "))
	if i < 0 {
		return 0, 0, false
	}
	for from, to = at+i, at+i+2; to < len(text) && text[to] == ' '; to++ {
	}
	return from, to, true
}

// surroundWhole gives t whole texts, in which several blanks count as one.
func (s *settings) surroundWhole(t *spec, rules *charsMap) {
	switch {
	case rules != nil:
		t.normalizer = sequence{rules, replace{severalBlanks{}, " "}}
	case s.class == mbart50Class:
		t.normalizer = sequence{replace{severalBlanks{}, " "}}
	default:
		t.normalizer = sequence(nil)
	}
	t.preTokenizer = metaspaceWords(always)
	t.decoder = chain(metaspaceDecoder(sentencePieceMark, true))
}

// surroundPegasus is surroundWhole, but without a table it replaces line feeds by blanks.
func (s *settings) surroundPegasus(t *spec, rules *charsMap) {
	s.surroundWhole(t, rules)
	if rules == nil {
		t.normalizer = sequence{replace{literal("\n"), " "}, replace{severalBlanks{}, " "}}
	}
}

// surroundAlbert gives t ALBERT's words, in lower case and without accents unless the settings say otherwise.
func (s *settings) surroundAlbert(t *spec, rules *charsMap) {
	s.surroundWords(t, nil)
	n := sequence{replace{literal("``"), `"`}, replace{literal("''"), `"`}}
	if !s.flag("keep_accents", false) {
		n = append(n, form{compat: true}, dropClass(isMark))
	}
	if s.flag("do_lower_case", true) {
		n = append(n, lowercase{})
	}
	if rules != nil {
		n = append(n, rules)
	}
	t.normalizer = n
}

// fairseqTemplate is <s> A </s> and <s> A </s> </s> B </s>.
func (s *settings) fairseqTemplate(ids map[string]int32) template {
	bos, eos := s.roleOf(roleBos), s.roleOf(roleEos)
	return robertaTemplate(oneToken(bos, ids[bos]), oneToken(eos, ids[eos]))
}

// endTemplate is A </s> and A </s> B </s>, all of type 0.
func (s *settings) endTemplate(ids map[string]int32) template {
	eos := oneToken(s.roleOf(roleEos), ids[s.roleOf(roleEos)])
	return template{single: []part{{text: 0}, eos}, pair: []part{{text: 0}, eos, {text: 1}, eos}}
}

// oneEndTemplate is A </s> and A B </s>, all of type 0.
func (s *settings) oneEndTemplate(ids map[string]int32) template {
	return aroundTexts(nil, []part{oneToken(s.roleOf(roleEos), ids[s.roleOf(roleEos)])})
}

// aroundTexts returns the template with tokens before and after a text, or a text and its pair, all of type 0.
func aroundTexts(before, after []part) template {
	return template{
		single: slices.Concat(before, []part{{text: 0}}, after),
		pair:   slices.Concat(before, []part{{text: 0}, {text: 1}}, after),
	}
}

// maxSentinels is the maximum number of sentinel tokens that settings may ask for.
const maxSentinels = 1 << 16

// count returns a setting that is a number of tokens.
func (s *settings) count(key string, def int) int {
	f := s.get(key)
	if !f.is() {
		return def
	}
	n := int(f.id())
	if n > maxSentinels {
		f.fail("want at most %d", maxSentinels)
		return def
	}
	return n
}

// sentinelPrefix is the beginning of T5's tokens for spans: <extra_id_0> …
const sentinelPrefix = "<extra_id_"

// sentinelNames returns <extra_id_0> … <extra_id_n-1>.
func sentinelNames(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d>", sentinelPrefix, i)
	}
	return out
}

// t5Sentinels is the number of T5's sentinel tokens without a setting.
const t5Sentinels = 100

// withSentinels adds T5's sentinels to the pieces, <extra_id_0> at the end.
func (s *settings) withSentinels(pieces []scoredPiece) []scoredPiece {
	extra := sentinelNames(s.count("extra_ids", t5Sentinels))
	slices.Reverse(extra)
	return slices.Concat(pieces, named(extra))
}

// sentinels returns T5's special tokens: the sentinels, after those of the model.
func (s *settings) sentinels(marked []addedToken) ([]addedToken, error) {
	n := s.count("extra_ids", t5Sentinels)
	have := 0
	for _, a := range marked {
		if strings.Contains(a.content, sentinelPrefix) {
			have++
		}
	}
	switch {
	case have == 0:
		return slices.Concat(marked, specialTokens(sentinelNames(n)...)), nil
	case n > 0 && n != have:
		return nil, fmt.Errorf("extra_ids is %d, but the model has %d sentinel tokens %s0> …; set extra_ids to 0 or %d",
			n, have, sentinelPrefix, have)
	}
	return marked, nil
}

// pegasusOffset is the number of ids before Pegasus' own pieces, without a setting.
const pegasusOffset = 103

// pegasusUnused returns Pegasus' tokens <unk_2> … of the offset.
func (s *settings) pegasusUnused() []string {
	var out []string
	for i := 2; i < s.count("offset", pegasusOffset); i++ {
		out = append(out, fmt.Sprintf("<unk_%d>", i))
	}
	return out
}

// pegasusVocabulary returns Pegasus' vocabulary. As in transformers 5, the two masks are in the order of the settings,
// which without settings is not that of the class.
func (s *settings) pegasusVocabulary(pieces []scoredPiece) []scoredPiece {
	out := s.rolePieces("pad_token", "eos_token")
	mask, _ := s.role("mask_token", "<mask_1>")
	sent := s.sentenceMask("<mask_2>")
	if mask != "" {
		out = append(out, scoredPiece{text: mask})
	}
	if sent != "" && sent != mask {
		out = append(out, scoredPiece{text: sent})
	}
	for _, text := range s.pegasusUnused() {
		out = append(out, scoredPiece{text: text, score: -100})
	}
	return append(out, tail(pieces, 2)...)
}

// sentenceMask returns mask_token_sent, or usual if it is missing; null is "".
func (s *settings) sentenceMask(usual string) string {
	if f := s.get("mask_token_sent"); f.is() {
		return contentOf(f).text()
	}
	if has(s.config, "mask_token_sent") {
		return ""
	}
	return usual
}

// pegasusExtra returns Pegasus' special tokens without a role; those of the model are not among them.
func (s *settings) pegasusExtra(marked []addedToken) ([]addedToken, error) {
	var names []string
	sent := s.sentenceMask("<mask_1>")
	if sent != "" && !slices.ContainsFunc(marked, func(a addedToken) bool { return a.content == sent }) {
		names = append(names, sent)
	}
	return specialTokens(append(names, s.pegasusUnused()...)...), nil
}

// pegasusUnk finds the token for unknown text, which is not the first one.
func pegasusUnk(s *settings, vocab []string, scores []float64) int {
	unk := s.roleOf(roleUnk)
	for i := 1; i < len(vocab); i++ {
		if vocab[i] == unk && scores[i] == 0 {
			return i
		}
	}
	return -1
}
