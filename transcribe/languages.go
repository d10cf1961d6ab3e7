package transcribe

import (
	"fmt"
	"slices"
	"strings"
)

// language is a language that Whisper knows, with its names in lower case, the usual one first.
type language struct {
	code  string
	names []string
}

// languages lists the languages in the order of their tokens. Smaller vocabularies lack the last ones.
var languages = []language{
	{"en", []string{"english"}}, {"zh", []string{"chinese", "mandarin"}}, {"de", []string{"german"}},
	{"es", []string{"spanish", "castilian"}}, {"ru", []string{"russian"}}, {"ko", []string{"korean"}},
	{"fr", []string{"french"}}, {"ja", []string{"japanese"}}, {"pt", []string{"portuguese"}},
	{"tr", []string{"turkish"}}, {"pl", []string{"polish"}}, {"ca", []string{"catalan", "valencian"}},
	{"nl", []string{"dutch", "flemish"}}, {"ar", []string{"arabic"}}, {"sv", []string{"swedish"}},
	{"it", []string{"italian"}}, {"id", []string{"indonesian"}}, {"hi", []string{"hindi"}}, {"fi", []string{"finnish"}},
	{"vi", []string{"vietnamese"}}, {hebrew, []string{"hebrew"}}, {"uk", []string{"ukrainian"}},
	{"el", []string{"greek"}}, {"ms", []string{"malay"}}, {"cs", []string{"czech"}},
	{"ro", []string{"romanian", "moldavian", "moldovan"}}, {"da", []string{"danish"}}, {"hu", []string{"hungarian"}},
	{"ta", []string{"tamil"}}, {"no", []string{"norwegian"}}, {"th", []string{"thai"}}, {"ur", []string{"urdu"}},
	{"hr", []string{"croatian"}}, {"bg", []string{"bulgarian"}}, {"lt", []string{"lithuanian"}},
	{"la", []string{"latin"}}, {"mi", []string{"maori"}}, {"ml", []string{"malayalam"}}, {"cy", []string{"welsh"}},
	{"sk", []string{"slovak"}}, {"te", []string{"telugu"}}, {"fa", []string{"persian"}}, {"lv", []string{"latvian"}},
	{"bn", []string{"bengali"}}, {"sr", []string{"serbian"}}, {"az", []string{"azerbaijani"}},
	{"sl", []string{"slovenian"}}, {"kn", []string{"kannada"}}, {"et", []string{"estonian"}},
	{"mk", []string{"macedonian"}}, {"br", []string{"breton"}}, {"eu", []string{"basque"}},
	{"is", []string{"icelandic"}}, {"hy", []string{"armenian"}}, {"ne", []string{"nepali"}},
	{"mn", []string{"mongolian"}}, {"bs", []string{"bosnian"}}, {"kk", []string{"kazakh"}}, {"sq", []string{"albanian"}},
	{"sw", []string{"swahili"}}, {"gl", []string{"galician"}}, {"mr", []string{"marathi"}},
	{"pa", []string{"punjabi", "panjabi"}}, {"si", []string{"sinhala", "sinhalese"}}, {"km", []string{"khmer"}},
	{"sn", []string{"shona"}}, {"yo", []string{"yoruba"}}, {"so", []string{"somali"}}, {"af", []string{"afrikaans"}},
	{"oc", []string{"occitan"}}, {"ka", []string{"georgian"}}, {"be", []string{"belarusian"}}, {"tg", []string{"tajik"}},
	{"sd", []string{"sindhi"}}, {"gu", []string{"gujarati"}}, {"am", []string{"amharic"}}, {"yi", []string{"yiddish"}},
	{"lo", []string{"lao"}}, {"uz", []string{"uzbek"}}, {"fo", []string{"faroese"}},
	{"ht", []string{"haitian creole", "haitian"}}, {"ps", []string{"pashto", "pushto"}}, {"tk", []string{"turkmen"}},
	{"nn", []string{"nynorsk"}}, {"mt", []string{"maltese"}}, {"sa", []string{"sanskrit"}},
	{"lb", []string{"luxembourgish", "letzeburgesch"}}, {"my", []string{"myanmar", "burmese"}},
	{"bo", []string{"tibetan"}}, {"tl", []string{"tagalog"}}, {"mg", []string{"malagasy"}}, {"as", []string{"assamese"}},
	{"tt", []string{"tatar"}}, {"haw", []string{"hawaiian"}}, {"ln", []string{"lingala"}}, {"ha", []string{"hausa"}},
	{"ba", []string{"bashkir"}}, {"jw", []string{"javanese"}}, {"su", []string{"sundanese"}},
	{"yue", []string{"cantonese"}},
}

// Hebrew has two codes: the first vocabularies have the older one.
const hebrew, oldHebrew = "he", "iw"

// LanguageCode returns the code of a language, which is given by its English name or its code in any case: "de" for
// "German", "de" and "<|de|>". It returns an error if Whisper does not know the language.
func LanguageCode(name string) (string, error) {
	s := strings.ToLower(strings.TrimSpace(name))
	s = strings.TrimSuffix(strings.TrimPrefix(s, "<|"), "|>")
	if s == oldHebrew {
		return hebrew, nil
	}
	for _, l := range languages {
		if s == l.code || slices.Contains(l.names, s) {
			return l.code, nil
		}
	}
	return "", fmt.Errorf("`language` is %q, which Whisper does not know; give an English name such as german, or a code "+
		"such as de", name)
}

// LanguageName returns the English name of a language code in lower case, or the code itself if it is unknown.
func LanguageName(code string) string {
	for _, l := range languages {
		if code == l.code {
			return l.names[0]
		}
	}
	return code
}
