package normalize

import (
	_ "embed"
	"regexp"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// spellingPairs has British and American spellings, one pair a line, of OpenAI's whisper (MIT, LICENSE.txt).
//
//go:embed spelling.txt
var spellingPairs string

// spellings maps British to American spellings.
var spellings = sync.OnceValue(func() map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(spellingPairs) {
		british, american, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		m[british] = american
	}
	return m
})

// rewriting replaces a text that ends where a word ends by another text.
type rewriting struct {
	from, to string
	starts   bool // it must begin where a word starts or ends, too
}

// find returns the place of the first occurrence.
func (c rewriting) find(text string) []int {
	if i := strings.Index(text, c.from); i >= 0 {
		return []int{i, i + len(c.from)}
	}
	return nil
}

// contractions are replaced one after another.
var contractions = func() (list []rewriting) {
	add := func(starts bool, pairs ...[2]string) {
		for _, p := range pairs {
			list = append(list, rewriting{p[0], p[1], starts})
		}
	}
	add(true, [][2]string{
		{"won't", "will not"}, {"can't", "can not"}, {"let's", "let us"}, {"ain't", "aint"}, {"y'all", "you all"},
		{"wanna", "want to"}, {"gotta", "got to"}, {"gonna", "going to"}, {"i'ma", "i am going to"},
		{"imma", "i am going to"}, {"woulda", "would have"}, {"coulda", "could have"}, {"shoulda", "should have"},
		{"ma'am", "madam"}, {"mr", "mister "}, {"mrs", "missus "}, {"st", "saint "}, {"dr", "doctor "},
		{"prof", "professor "}, {"capt", "captain "}, {"gov", "governor "}, {"ald", "alderman "}, {"gen", "general "},
		{"sen", "senator "}, {"rep", "representative "}, {"pres", "president "}, {"rev", "reverend "},
		{"hon", "honorable "}, {"asst", "assistant "}, {"assoc", "associate "}, {"lt", "lieutenant "},
		{"col", "colonel "}, {"jr", "junior "}, {"sr", "senior "}, {"esq", "esquire "},
	}...)
	add(false, [][2]string{
		{"'d been", " had been"}, {"'s been", " has been"}, {"'d gone", " had gone"}, {"'s gone", " has gone"},
		{"'d done", " had done"}, {"'s got", " has got"}, {"n't", " not"}, {"'re", " are"}, {"'s", " is"},
		{"'d", " would"}, {"'ll", " will"}, {"'t", " not"}, {"'ve", " have"}, {"'m", " am"},
	}...)
	return list
}()

// letters are those that the form NFKD does not divide into a letter and a mark.
var letters = map[rune]string{
	'œ': "oe", 'Œ': "OE", 'ø': "o", 'Ø': "O", 'æ': "ae", 'Æ': "AE", 'ß': "ss", 'ẞ': "SS",
	'đ': "d", 'Đ': "D", 'ð': "d", 'Ð': "D", 'þ': "th", 'Þ': "th", 'ł': "l", 'Ł': "L",
}

var (
	hesitation     = regexp.MustCompile(`hmm|mmm|mm|mhm|uh|um`)
	lateApostrophe = regexp.MustCompile(Space + `+'`)
	digitComma     = regexp.MustCompile(`(\p{Nd}),(\p{Nd})`)
	periodInText   = regexp.MustCompile(`\.([^0-9]|$)`)
	strayUnit      = regexp.MustCompile(`[.$¢€£]([^0-9])`)
	strayPercent   = regexp.MustCompile(`([^0-9])%`)
)

// keptForFigures are the signs that have a meaning beside figures.
const keptForFigures = ".%$¢€£"

// English returns an English text in lower case with numbers as figures, contractions in full, American spellings,
// without hesitations, words in brackets and parentheses, accents, punctuation and symbols (other than those of
// currencies and per cent at numbers). It equals transformers' EnglishTextNormalizer with the spelling table that
// Whisper checkpoints have as normalizer.json.
func English(text string) string {
	text = withoutRemarks(Lower(text))
	text = replaceWords(text, hesitation.FindStringSubmatchIndex, true, func([]string) string { return "" })
	text = lateApostrophe.ReplaceAllLiteralString(text, "'")
	for _, c := range contractions {
		text = replaceWords(text, c.find, c.starts, func([]string) string { return c.to })
	}
	text = digitComma.ReplaceAllString(text, "$1$2")
	text = periodInText.ReplaceAllString(text, " $1")
	text = standardNumbers(plainLetters(text))
	words := strings.FieldsFunc(text, IsSpace)
	for i, w := range words {
		if american, ok := spellings()[w]; ok {
			words[i] = american
		}
	}
	text = strayUnit.ReplaceAllString(strings.Join(words, " "), " $1")
	text = strayPercent.ReplaceAllString(text, "$1 ")
	return spaces.ReplaceAllLiteralString(text, " ")
}

// plainLetters removes accents, and writes spaces for marks, punctuation and symbols.
func plainLetters(text string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(text) {
		switch plain, ok := letters[r]; {
		case strings.ContainsRune(keptForFigures, r):
			b.WriteRune(r)
		case ok:
			b.WriteString(plain)
		case unicode.Is(unicode.Mn, r):
		case marksOrSigns(r):
			b.WriteByte(' ')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
