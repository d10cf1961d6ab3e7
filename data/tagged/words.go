package tagged

import "unicode"

// Word is a part of a text: its code points From ≤ i < To.
type Word struct{ From, To int }

// SplitWords returns the words of a raw text, in order: each run of letters, numbers and marks is a word, and so is
// every other visible character. Like in a tokenizer for BERT, marks belong to any character before them, invisible
// format characters (a zero width joiner, a soft hyphen) between two characters of a run are part of it, and each
// ideograph (Han) is a separate word. Spaces and other invisible characters are in no word.
func SplitWords(text string) []Word {
	var words []Word
	open, run := false, false // the last word may still grow; it is a run
	i := 0
	for _, r := range text {
		switch {
		case open && unicode.IsMark(r):
			words[len(words)-1].To = i + 1
		case unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r):
			alone := unicode.Is(unicode.Han, r)
			if open && run && !alone {
				words[len(words)-1].To = i + 1
			} else {
				words = append(words, Word{i, i + 1})
			}
			open, run = true, !alone
		case unicode.Is(unicode.Cf, r): // joins a run if one continues behind it
		case unicode.IsSpace(r) || unicode.IsControl(r):
			open, run = false, false
		default:
			words = append(words, Word{i, i + 1})
			open, run = true, false
		}
		i++
	}
	return words
}
