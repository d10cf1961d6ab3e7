package metrics

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spalora/spalora/tasks/metrics/normalize"
)

// Tokenizer divides texts into the words that BLEU counts, as sacreBLEU's tokenizer of the same name.
type Tokenizer string

// The tokenizers.
const (
	// Tokenizer13a is mteval-v13a's, which WMT used: punctuation is a word of its own, except in numbers.
	Tokenizer13a Tokenizer = "13a"
	// TokenizerIntl is that of mteval-v14: punctuation and symbols of all scripts are words of their own.
	TokenizerIntl Tokenizer = "intl"
	// TokenizerZh makes each Chinese character a word, and divides the rest as Tokenizer13a does.
	TokenizerZh Tokenizer = "zh"
	// TokenizerChar makes each character a word.
	TokenizerChar Tokenizer = "char"
	// TokenizerNone divides at white space only.
	TokenizerNone Tokenizer = "none"
)

// Tokenizers returns the names of all tokenizers, the default first.
func Tokenizers() []Tokenizer {
	return []Tokenizer{Tokenizer13a, TokenizerIntl, TokenizerZh, TokenizerChar, TokenizerNone}
}

// ParseTokenizer returns the tokenizer of a name.
func ParseTokenizer(name string) (Tokenizer, error) {
	if t := Tokenizer(name); slices.Contains(Tokenizers(), t) {
		return t, nil
	}
	return "", fmt.Errorf("`tokenize` is %q; want one of 13a, intl, zh, char and none", name)
}

// Words returns the words of a text. White space at its end is ignored. A Tokenizer that is not one of the constants
// divides at white space only.
func (t Tokenizer) Words(text string) []string {
	text = strings.TrimRightFunc(text, normalize.IsSpace)
	switch t {
	case Tokenizer13a:
		text = strings.ReplaceAll(strings.ReplaceAll(text, "<skipped>", ""), "-\n", "")
		text = strings.ReplaceAll(text, "\n", " ")
		for _, x := range [...][2]string{{"&quot;", `"`}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}} {
			text = strings.ReplaceAll(text, x[0], x[1])
		}
		text = divideWestern([]rune(" " + text + " "))
	case TokenizerIntl:
		text = divideIntl([]rune(text))
	case TokenizerZh:
		var apart []rune
		for _, r := range strings.TrimFunc(text, normalize.IsSpace) {
			if inRanges(chinese, r) {
				apart = append(apart, ' ', r, ' ')
			} else {
				apart = append(apart, r)
			}
		}
		text = divideWestern(apart)
	case TokenizerChar:
		var chars []string
		for _, r := range text {
			if !normalize.IsSpace(r) {
				chars = append(chars, string(r))
			}
		}
		return chars
	}
	return strings.FieldsFunc(text, normalize.IsSpace)
}

// pairs writes a text in which two characters that follow one another and match are written by join. After a match it
// continues behind both, as a regular expression of two characters does.
func pairs(text []rune, first, second func(rune) bool, join func(to []rune, a, b rune) []rune) []rune {
	var out []rune
	for i := 0; i < len(text); i++ {
		if i+1 < len(text) && first(text[i]) && second(text[i+1]) {
			out = join(out, text[i], text[i+1])
			i++
			continue
		}
		out = append(out, text[i])
	}
	return out
}

// spaced writes the second of two characters apart from the others.
func spaced(to []rune, a, b rune) []rune { return append(to, a, ' ', b, ' ') }

// spacedFirst writes the first of two characters apart from the others.
func spacedFirst(to []rune, a, b rune) []rune { return append(to, ' ', a, ' ', b) }

// alone writes spaces around the characters that match.
func alone(text []rune, match func(rune) bool) []rune {
	var out []rune
	for _, r := range text {
		if match(r) {
			out = append(out, ' ', r, ' ')
		} else {
			out = append(out, r)
		}
	}
	return out
}

// divideWestern separates punctuation in the scripts of the west.
func divideWestern(text []rune) string {
	point := func(r rune) bool { return r == '.' || r == ',' }
	digit := func(r rune) bool { return r >= '0' && r <= '9' }
	text = alone(text, func(r rune) bool {
		return r >= ' ' && r <= '~' && !point(r) && r != '\'' && r != '-' && !digit(r) &&
			!(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	})
	text = pairs(text, func(r rune) bool { return !digit(r) }, point, spaced)
	text = pairs(text, point, func(r rune) bool { return !digit(r) }, spacedFirst)
	text = pairs(text, digit, func(r rune) bool { return r == '-' }, spaced)
	return string(text)
}

// divideIntl separates punctuation and symbols of all scripts.
func divideIntl(text []rune) string {
	other := func(r rune) bool { return !isNumber(r) }
	text = pairs(text, other, isPunctuation, spaced)
	text = pairs(text, isPunctuation, other, spacedFirst)
	return string(alone(text, isSymbol))
}

// chinese are the characters that TokenizerZh separates. Two of the ranges, those from U+2001 and U+2F81, are not
// Chinese: sacreBLEU writes characters beyond U+FFFF with four digits, and comes to these.
var chinese = [][2]rune{
	{0x2001, 0x2a6d}, {0x2e80, 0x2fdf}, {0x2ff0, 0x303f}, {0x3100, 0x312f}, {0x31a0, 0x31bf}, {0x31c0, 0x31ef},
	{0x3200, 0x33ff}, {0x3400, 0x4db5}, {0x4e00, 0x9fbb}, {0xf900, 0xfa2d}, {0xfa30, 0xfa6a}, {0xfa70, 0xfad9},
	{0xfe10, 0xfe1f}, {0xfe30, 0xfe4f}, {0xff00, 0xffef},
}

func inRanges(ranges [][2]rune, r rune) bool {
	return slices.ContainsFunc(ranges, func(x [2]rune) bool { return x[0] <= r && r <= x[1] })
}
