package metrics

import "strings"

// stem returns the stem of a word of lower-case letters and digits by Porter's algorithm (Porter 1980, Program 14.3)
// with the changes of NLTK's PorterStemmer, its default mode.
func stem(word string) string {
	if s, ok := irregular[word]; ok {
		return s
	}
	if len(word) <= 2 {
		return word
	}
	word = pastStem(pluralStem(word))
	if s, ok := strings.CutSuffix(word, "y"); ok && len(s) > 1 && consonant(s, len(s)-1) {
		word = s + "i"
	}
	for again := true; again; {
		word, again = derivedStem(word)
	}
	word = suffixes3.apply(word, 1)
	word = suffixes4.apply(word, 2)
	if s, ok := strings.CutSuffix(word, "e"); ok {
		if m := measure(s); m > 1 || m == 1 && !endsShort(s) {
			word = s
		}
	}
	if strings.HasSuffix(word, "ll") && measure(word[:len(word)-1]) > 1 {
		word = word[:len(word)-1]
	}
	return word
}

// irregular has the stems of words that no rule reaches.
var irregular = map[string]string{
	"sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news", "innings": "inning",
	"inning": "inning", "outings": "outing", "outing": "outing", "cannings": "canning", "canning": "canning",
	"howe": "howe", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}

// rule replaces a suffix.
type rule struct{ suffix, with string }

type rules []rule

// apply applies the first rule whose suffix the word has, if what is left of the word has the given measure at least.
// Only that rule is tried.
func (l rules) apply(word string, least int) string {
	for _, r := range l {
		if s, ok := strings.CutSuffix(word, r.suffix); ok {
			if measure(s) < least || r.suffix == "ion" && !strings.HasSuffix(s, "s") && !strings.HasSuffix(s, "t") {
				return word
			}
			return s + r.with
		}
	}
	return word
}

// The suffixes of Porter's steps 2, 3 and 4.
var (
	suffixes2 = rules{
		{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"}, {"bli", "ble"},
		{"alli", "al"}, {"entli", "ent"}, {"eli", "e"}, {"ousli", "ous"}, {"ization", "ize"}, {"ation", "ate"},
		{"ator", "ate"}, {"alism", "al"}, {"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"},
		{"iviti", "ive"}, {"biliti", "ble"}, {"fulli", "ful"},
	}
	suffixes3 = rules{
		{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""},
	}
	suffixes4 = rules{
		{"al", ""}, {"ance", ""}, {"ence", ""}, {"er", ""}, {"ic", ""}, {"able", ""}, {"ible", ""}, {"ant", ""},
		{"ement", ""}, {"ment", ""}, {"ent", ""}, {"ion", ""}, {"ou", ""}, {"ism", ""}, {"ate", ""}, {"iti", ""},
		{"ous", ""}, {"ive", ""}, {"ize", ""},
	}
)

// pluralStem is step 1a.
func pluralStem(word string) string {
	switch {
	case strings.HasSuffix(word, "ies") && len(word) == 4:
		return word[:3]
	case strings.HasSuffix(word, "sses"), strings.HasSuffix(word, "ies"):
		return word[:len(word)-2]
	case strings.HasSuffix(word, "ss"):
		return word
	}
	return strings.TrimSuffix(word, "s")
}

// pastStem is step 1b.
func pastStem(word string) string {
	if s, ok := strings.CutSuffix(word, "ied"); ok {
		if len(s) == 1 {
			return s + "ie"
		}
		return s + "i"
	}
	if s, ok := strings.CutSuffix(word, "eed"); ok {
		if measure(s) > 0 {
			return s + "ee"
		}
		return word
	}
	s, ok := strings.CutSuffix(word, "ed")
	if !ok || !hasVowel(s) {
		if s, ok = strings.CutSuffix(word, "ing"); !ok || !hasVowel(s) {
			return word
		}
	}
	last := len(s) - 1
	switch {
	case strings.HasSuffix(s, "at"), strings.HasSuffix(s, "bl"), strings.HasSuffix(s, "iz"):
		return s + "e"
	case last > 0 && s[last] == s[last-1] && consonant(s, last):
		if strings.IndexByte("lsz", s[last]) >= 0 {
			return s
		}
		return s[:last]
	case measure(s) == 1 && endsShort(s):
		return s + "e"
	}
	return s
}

// derivedStem is step 2. again says that the step is to be repeated.
func derivedStem(word string) (s string, again bool) {
	if s, ok := strings.CutSuffix(word, "alli"); ok && measure(s) > 0 {
		return s + "al", true
	}
	if s := suffixes2.apply(word, 1); s != word {
		return s, false
	}
	if strings.HasSuffix(word, "logi") && measure(word[:len(word)-3]) > 0 { // the l counts as part of the stem
		return word[:len(word)-1], false
	}
	return word, false
}

// consonant reports whether the letter at i is one: not a vowel, nor a y after a consonant.
func consonant(word string, i int) bool {
	switch word[i] {
	case 'a', 'e', 'i', 'o', 'u':
		return false
	case 'y':
		first := i
		for first > 0 && word[first-1] == 'y' {
			first--
		}
		begins := first == 0 || strings.IndexByte("aeiou", word[first-1]) >= 0 // the first y of the run is a consonant
		return begins == ((i-first)%2 == 0)
	}
	return true
}

// measure returns the number of times that consonants follow vowels in a word.
func measure(word string) (m int) {
	eachLetter(word, func(vowel, before bool) {
		if before && !vowel {
			m++
		}
	})
	return m
}

func hasVowel(word string) (has bool) {
	eachLetter(word, func(vowel, _ bool) { has = has || vowel })
	return has
}

// eachLetter calls f for each letter with whether it and the one before are vowels.
func eachLetter(word string, f func(vowel, before bool)) {
	before := false
	for i := range len(word) {
		vowel := strings.IndexByte("aeiou", word[i]) >= 0 || word[i] == 'y' && i > 0 && !before
		f(vowel, before)
		before = vowel
	}
}

// endsShort reports whether a word ends with a short syllable: consonant, vowel and a consonant other than w, x and y,
// or is one of a vowel and a consonant.
func endsShort(word string) bool {
	n := len(word)
	if n == 2 {
		return !consonant(word, 0) && consonant(word, 1)
	}
	return n > 2 && consonant(word, n-3) && !consonant(word, n-2) && consonant(word, n-1) &&
		strings.IndexByte("wxy", word[n-1]) < 0
}
