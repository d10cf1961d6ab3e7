package tokenize

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// mbartLanguages are the languages of mBART, in the order of their ids.
var mbartLanguages = []string{
	"ar_AR", "cs_CZ", "de_DE", "en_XX", "es_XX", "et_EE", "fi_FI", "fr_XX", "gu_IN", "hi_IN", "it_IT", "ja_XX", "kk_KZ",
	"ko_KR", "lt_LT", "lv_LV", "my_MM", "ne_NP", "nl_XX", "ro_RO", "ru_RU", "si_LK", "tr_TR", "vi_VN", "zh_CN",
}

// mbart50Languages are those of mBART-50.
var mbart50Languages = append(mbartLanguages[:len(mbartLanguages):len(mbartLanguages)],
	"af_ZA", "az_AZ", "bn_IN", "fa_IR", "he_IL", "hr_HR", "id_ID", "ka_GE", "km_KH", "mk_MK", "ml_IN", "mn_MN", "mr_IN",
	"pl_PL", "ps_AF", "pt_XX", "sv_SE", "sw_KE", "ta_IN", "te_IN", "th_TH", "tl_XX", "uk_UA", "ur_PK", "xh_ZA", "gl_ES",
	"sl_SI")

// languageClass says where a tokenizer class puts the token of a language.
type languageClass struct {
	usual string                 // source language without a setting
	atEnd func(s *settings) bool // whether the token ends the text, after </s>; otherwise it begins it
}

// languages are the languages of a tokenizer whose templates name one.
type languages struct {
	source, target string // tokens
	eos            string
	atEnd          bool // texts are A </s> language, otherwise language A </s>
}

// readLanguages returns the languages of the settings. As in transformers, the target's is the source's without a
// setting.
func (s *settings) readLanguages(c *languageClass) *languages {
	l := &languages{eos: s.roleOf(roleEos), atEnd: c.atEnd(s)}
	if l.source = s.get("src_lang").optionalText(); l.source == "" {
		l.source = c.usual
	}
	if l.target = s.get("tgt_lang").optionalText(); l.target == "" {
		l.target = l.source
	}
	return l
}

// Languages returns the codes of the languages of t, such as en_XX or eng_Latn, in the order of their ids, or nil if
// its templates name none. A code is a token: [Tokenizer.ID] gives its id, which generation takes as the first token of
// the target.
func (t *Tokenizer) Languages() []string {
	if t.languages == nil {
		return nil
	}
	var out []string
	for id, token := range t.tokens {
		if t.special[token] && !slices.Contains(t.roles[:], int32(id)) && isLanguage(token) {
			out = append(out, token)
		}
	}
	return out
}

// isLanguage reports whether a token has the form of a language code: 2 or 3 letters, an underscore, and at least 2
// letters, the first of which is a capital.
func isLanguage(token string) bool {
	language, region, ok := strings.Cut(token, "_")
	letters := func(text string) bool {
		return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) })
	}
	return ok && (len(language) == 2 || len(language) == 3) && letters(language) &&
		strings.ToLower(language) == language && len(region) >= 2 && letters(region) && unicode.IsUpper(rune(region[0]))
}

// SourceLanguage returns the language of t's source texts, or "" if its templates name no language.
func (t *Tokenizer) SourceLanguage() string {
	if t.languages == nil {
		return ""
	}
	return t.languages.source
}

// TargetLanguage returns the language of t's target texts, which Options.Target chooses, or "" if its templates name no
// language.
func (t *Tokenizer) TargetLanguage() string {
	if t.languages == nil {
		return ""
	}
	return t.languages.target
}

// WithLanguages returns a tokenizer for source texts in one language and target texts, see Options.Target, in another.
// "" keeps the language of t: src_lang and tgt_lang of tokenizer_config.json or the default of the class. It returns an
// error if the templates of t name no languages, or if it does not know a language.
func (t *Tokenizer) WithLanguages(source, target string) (*Tokenizer, error) {
	if t.languages == nil {
		return nil, errors.New("tokenize: the tokenizer has no language codes, so that it cannot be given languages; leave " +
			"them out, or write them into the texts if the checkpoint wants them there")
	}
	l := *t.languages
	l.source, l.target = cmp.Or(source, l.source), cmp.Or(target, l.target)
	c, d := *t, *t
	for _, side := range []struct {
		name, code string
		tok        *Tokenizer
	}{{"source", l.source, &c}, {"target", l.target, &d}} {
		id, ok := t.ids[side.code]
		if !ok || !t.special[side.code] || slices.Contains(t.roles[:], id) {
			known := t.Languages()
			if len(known) == 0 {
				return nil, fmt.Errorf("tokenize: the %s language is %s, but the vocabulary has no tokens of languages; list "+
					"them in %s as %s", side.name, side.code, configFile, newerSpecial)
			}
			return nil, fmt.Errorf("tokenize: the %s language %q is not known; want one of %s", side.name, side.code,
				strings.Join(known, ", "))
		}
		side.tok.template = l.template(side.code, id, t.ids[l.eos])
		side.tok.languages, side.tok.target = &l, nil
	}
	c.target = &d
	return &c, nil
}

// template returns the template for texts in a language.
func (l *languages) template(code string, id, eos int32) template {
	end, language := []part{oneToken(l.eos, eos)}, []part{oneToken(code, id)}
	if l.atEnd {
		return aroundTexts(nil, slices.Concat(end, language))
	}
	return aroundTexts(language, end)
}
