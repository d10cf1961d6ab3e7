package normalize

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	andAHalf     = regexp.MustCompile(`and` + Space + `+a` + Space + `+half`)
	letterDigit  = regexp.MustCompile(`([a-z])([0-9])`)
	digitLetter  = regexp.MustCompile(`([0-9])([a-z])`)
	digitEnding  = regexp.MustCompile(`([0-9])` + Space + `+(st|nd|rd|th|s)`)
	moneyAndCent = regexp.MustCompile(`([€£$])([0-9]+) (?:and )?¢([0-9]{1,2})`)
	centsOnly    = regexp.MustCompile(`[€£$]0.([0-9]{1,2})`)
	figureOne    = regexp.MustCompile(`1(s?)`)
)

// standardNumbers writes numbers in words as figures: "twenty two" as 22, "two hundred dollars" as $200, "third" as
// 3rd, and digits that follow one another as one number ("one oh one" is 101); "one" and "ones" stay words.
func standardNumbers(text string) string {
	text = strings.Join(figures(strings.FieldsFunc(separateFigures(text), IsSpace)), " ")
	text = replaceWords(text, moneyAndCent.FindStringSubmatchIndex, false, func(g []string) string {
		cents, _ := strconv.Atoi(g[3]) // one or two digits
		return fmt.Sprintf("%s%s.%02d", g[1], g[2], cents)
	})
	text = replaceWords(text, centsOnly.FindStringSubmatchIndex, false, func(g []string) string {
		cents, _ := strconv.Atoi(g[1])
		return fmt.Sprintf("¢%d", cents)
	})
	return replaceWords(text, figureOne.FindStringSubmatchIndex, true, func(g []string) string { return "one" + g[1] })
}

// separateFigures writes "and a half" after a number as "point five", and spaces between letters and digits, but for
// endings of numbers.
func separateFigures(text string) string {
	var parts []string
	add := func(part string, half bool) {
		words := strings.FieldsFunc(part, IsSpace)
		if len(words) == 0 {
			return
		}
		parts = append(parts, part)
		if last := words[len(words)-1]; half && (isDecimal(last) || isMultiplier(last)) {
			parts = append(parts, "point five")
		} else if half {
			parts = append(parts, "and a half")
		}
	}
	done := 0
	for _, at := range wordMatches(text, andAHalf.FindStringIndex, true) {
		add(text[done:at[0]], true)
		done = at[1]
	}
	add(text[done:], false)
	text = strings.Join(parts, " ")
	text = letterDigit.ReplaceAllString(text, "$1 $2")
	text = digitLetter.ReplaceAllString(text, "$1 $2")
	return replaceWords(text, digitEnding.FindStringSubmatchIndex, false, func(g []string) string { return g[1] + g[2] })
}

// figureWriter collects the words of a text.
type figureWriter struct {
	words  []string
	prefix string // sign or currency of the number
	value  amount
}

// write writes a word or a number with the prefix, and forgets both prefix and number.
func (w *figureWriter) write(word string) {
	w.words = append(w.words, w.prefix+word)
	w.prefix, w.value = "", amount{}
}

// flush writes the number, if there is one.
func (w *figureWriter) flush() {
	if !w.value.empty() {
		w.write(w.value.String())
	}
}

// figures returns the words of a text with its numbers as figures.
func figures(words []string) []string {
	w := &figureWriter{}
	at := func(i int) string {
		if i < 0 || i >= len(words) {
			return ""
		}
		return words[i]
	}
	for i := 0; i < len(words); i++ {
		if w.add(words[i], at(i-1), at(i+1)) {
			i++
		}
	}
	w.flush()
	return w.words
}

// add reads a word between two others, and reports whether it has read the next one, too.
func (w *figureWriter) add(word, prev, next string) (skip bool) {
	first, size := utf8.DecodeRuneInString(word)
	bare, currency := word, ""
	if strings.ContainsRune("-+£€$¢", first) {
		bare, currency = word[size:], word[:size]
	}
	end, ended := endings[word]
	factor, isFactor := multipliers[word]
	numeric := numberWords[next] || isFigures(next) // the next word
	switch {
	case isFigures(bare):
		w.addFigures(word, bare, currency)
	case !numberWords[word]:
		w.flush()
		w.write(word)
	case zeros[word]:
		w.value = amount{text: w.value.figures() + "0"}
	case ones[word] != 0:
		w.value = w.value.then(ones[word], prev)
	case tens[word] != 0:
		w.value = w.value.then(tens[word], prev)
	case ended:
		w.write(w.value.then(end.value, prev).String() + end.suffix)
	case isFactor:
		w.multiply(factor)
	case signs[word] != "":
		w.flush()
		if numeric {
			w.prefix = signs[word]
		} else {
			w.write(word)
		}
	case units[word] != "" && !w.value.empty():
		w.prefix = units[word]
		w.flush()
	case word == "percent" && !w.value.empty():
		w.write(w.value.String() + "%")
	case word == "per" && next == "cent" && !w.value.empty():
		w.write(w.value.String() + "%")
		return true
	case !particles[word] || !numeric:
		w.flush()
		w.write(word)
	default:
		return w.addParticle(word, prev, next)
	}
	return false
}

// addFigures reads a word of figures, which may have a currency before them.
func (w *figureWriter) addFigures(word, bare, currency string) {
	if strings.HasSuffix(w.value.text, ".") {
		w.value.text += word
		return
	}
	w.flush()
	if currency != "" {
		w.prefix = currency
	}
	w.value = amount{text: bare}
	if r, ok := rational(bare); ok && r.IsInt() {
		w.value = amount{whole: r.Num()}
	}
}

// multiply reads a power of ten.
func (w *figureWriter) multiply(by multiplied) {
	value, ok := amount{whole: by.value}, true
	if !w.value.empty() {
		if value, ok = w.value.times(by.value); !ok {
			w.flush()
			value = amount{whole: by.value}
		}
	}
	w.value = value
	if by.suffix != "" {
		w.write(value.String() + by.suffix)
	}
}

// addParticle reads and, double, triple or point before a number.
func (w *figureWriter) addParticle(word, prev, next string) (skip bool) {
	switch {
	case word == "and" && isMultiplier(prev): // as in "two hundred and five"
	case word == "point":
		if isDecimal(next) || isFigures(next) {
			w.value = amount{text: w.value.figures() + "."}
		}
	case word != "and" && (ones[next] != 0 || zeros[next]):
		n := map[string]int{"double": 2, "triple": 3}[word]
		w.value = amount{text: w.value.figures() + strings.Repeat(fmt.Sprint(ones[next]), n)}
		return true
	default:
		w.flush()
		w.write(word)
	}
	return false
}
