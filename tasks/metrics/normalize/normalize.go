// Package normalize makes texts comparable before word error rates are taken: the two normalisers of Whisper's
// evaluation (Radford et al. 2022, arxiv.org/abs/2212.04356, appendix C), as transformers has them in
// BasicTextNormalizer and EnglishTextNormalizer. Both are pure and safe for concurrent use.
//
// Marks, punctuation and symbols are those of Unicode 15, the version of Go's tables.
package normalize

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Names returns the names of the normalisers that [Named] knows.
func Names() []string { return []string{"english", "basic"} }

// Named returns [English] for "english", [Basic] for "basic" and a function that changes nothing for "". It returns an
// error for other names.
func Named(name string) (func(string) string, error) {
	switch name {
	case "":
		return func(text string) string { return text }, nil
	case "english":
		return English, nil
	case "basic":
		return Basic, nil
	}
	return nil, fmt.Errorf("`normalize` is %q; want one of %s", name, strings.Join(Names(), ", "))
}

// Space is a pattern of regexp that matches a character for which \s of Python does, those of [IsSpace].
const Space = `[\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]`

var (
	inBrackets    = regexp.MustCompile(`[<\[][^>\]]*[>\]]`)
	inParentheses = regexp.MustCompile(`\([^)]+\)`)
	spaces        = regexp.MustCompile(Space + `+`)
)

// Basic returns a text of any language in lower case, without words in brackets and parentheses, with spaces in place
// of marks, punctuation and symbols, in Unicode's form NFKC. It equals transformers' BasicTextNormalizer() with its
// default settings.
func Basic(text string) string {
	text = withoutRemarks(Lower(text))
	var b strings.Builder
	for _, r := range norm.NFKC.String(text) {
		if marksOrSigns(r) {
			r = ' '
		}
		b.WriteRune(r)
	}
	return spaces.ReplaceAllLiteralString(Lower(b.String()), " ")
}

// withoutRemarks removes what is in brackets and in parentheses.
func withoutRemarks(text string) string {
	return inParentheses.ReplaceAllLiteralString(inBrackets.ReplaceAllLiteralString(text, ""), "")
}

// marksOrSigns reports whether a character is a mark, punctuation or a symbol.
func marksOrSigns(r rune) bool { return unicode.In(r, unicode.M, unicode.P, unicode.S) }
