package normalize

import (
	"maps"
	"math/big"
	"strings"
	"unicode"
)

// suffixed is a number with the letters after its figures: 3 and "rd".
type suffixed struct {
	value  int64
	suffix string
}

// multiplied is a power of ten with the letters after its figures.
type multiplied struct {
	value  *big.Int
	suffix string
}

// The words of numbers.
var (
	zeros = map[string]bool{"o": true, "oh": true, "zero": true}
	ones  = func() map[string]int64 {
		m := map[string]int64{}
		for i, name := range strings.Fields("one two three four five six seven eight nine ten eleven twelve thirteen " +
			"fourteen fifteen sixteen seventeen eighteen nineteen") {
			m[name] = int64(i + 1)
		}
		return m
	}()
	tens = map[string]int64{
		"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
	}
	// endings are words for several and for the one in a place, below one hundred.
	endings = func() map[string]suffixed {
		m := map[string]suffixed{
			"zeroth": {0, "th"}, "first": {1, "st"}, "second": {2, "nd"}, "third": {3, "rd"}, "fifth": {5, "th"},
			"twelfth": {12, "th"}, "sixes": {6, "s"},
		}
		for name, value := range ones {
			if name != "six" {
				m[name+"s"] = suffixed{value, "s"}
			}
			if end, short := strings.CutSuffix(name, "t"); value > 3 && value != 5 && value != 12 && short {
				m[end+"th"] = suffixed{value, "th"}
			} else if value > 3 && value != 5 && value != 12 {
				m[name+"th"] = suffixed{value, "th"}
			}
		}
		for name, value := range tens {
			m[strings.ReplaceAll(name, "y", "ies")] = suffixed{value, "s"}
			m[strings.ReplaceAll(name, "y", "ieth")] = suffixed{value, "th"}
		}
		return m
	}()
	// multipliers are powers of ten, as words of one, several and the one in a place.
	multipliers = func() map[string]multiplied {
		m := map[string]multiplied{}
		add := func(name string, exponent int64) {
			value := new(big.Int).Exp(big.NewInt(10), big.NewInt(exponent), nil)
			for _, suffix := range []string{"", "s", "th"} {
				m[name+suffix] = multiplied{value, suffix}
			}
		}
		add("hundred", 2)
		for i, name := range strings.Fields("thousand million billion trillion quadrillion quintillion sextillion " +
			"septillion octillion nonillion decillion") {
			add(name, int64(3*(i+1)))
		}
		return m
	}()
	signs = map[string]string{"minus": "-", "negative": "-", "plus": "+", "positive": "+"}
	units = map[string]string{
		"pound": "£", "pounds": "£", "euro": "€", "euros": "€",
		"dollar": "$", "dollars": "$", "cent": "¢", "cents": "¢",
	}
	particles = map[string]bool{"and": true, "double": true, "triple": true, "point": true}
	// numberWords has all of these words.
	numberWords = func() map[string]bool {
		m := map[string]bool{"per": true, "percent": true}
		maps.Copy(m, zeros)
		maps.Copy(m, particles)
		addKeys(m, ones)
		addKeys(m, tens)
		addKeys(m, endings)
		addKeys(m, multipliers)
		addKeys(m, signs)
		addKeys(m, units)
		return m
	}()
)

func addKeys[V any](to map[string]bool, of map[string]V) {
	for key := range of {
		to[key] = true
	}
}

// isMultiplier reports whether a word is a power of ten without an ending.
func isMultiplier(word string) bool {
	m, ok := multipliers[word]
	return ok && m.suffix == ""
}

// isDecimal reports whether a word may follow "point".
func isDecimal(word string) bool { return ones[word] != 0 || tens[word] != 0 || zeros[word] }

// amount is a number that is being read: nothing yet, a whole number, or text, which further figures follow.
type amount struct {
	whole *big.Int // nil if it is text, or nothing
	text  string   // "" if it is whole, or nothing
}

func whole(n int64) amount { return amount{whole: big.NewInt(n)} }

func (a amount) empty() bool { return a.whole == nil && a.text == "" }

func (a amount) String() string {
	if a.whole != nil {
		return a.whole.String()
	}
	return a.text
}

// figures returns the number before further figures, "" for 0.
func (a amount) figures() string {
	if a.whole != nil && a.whole.Sign() == 0 {
		return ""
	}
	return a.String()
}

// divides reports whether a whole number is a multiple of n.
func (a amount) divides(n int64) bool { return new(big.Int).Mod(a.whole, big.NewInt(n)).Sign() == 0 }

// then returns the number that a word below one hundred makes of it, after the word prev: twenty and two is 22, two and
// two is "22".
func (a amount) then(n int64, prev string) amount {
	last := int64(100)
	if n < 10 {
		last = 10
	}
	switch {
	case a.empty():
		return whole(n)
	case a.whole != nil && a.divides(last) && ones[prev] == 0:
		return amount{whole: new(big.Int).Add(a.whole, big.NewInt(n))}
	case a.whole == nil && tens[prev] != 0 && n < 10: // in place of the zero
		return amount{text: a.text[:len(a.text)-1] + whole(n).String()}
	}
	return amount{text: a.String() + whole(n).String()}
}

// times multiplies by a power of ten: all of a text, of a whole number what is below one thousand. ok is false if the
// result is not a whole number.
func (a amount) times(m *big.Int) (_ amount, ok bool) {
	if a.whole != nil {
		before, rest := new(big.Int).DivMod(a.whole, big.NewInt(1000), new(big.Int))
		before.Mul(before, big.NewInt(1000))
		return amount{whole: before.Add(before, rest.Mul(rest, m))}, true
	}
	r, ok := rational(a.text)
	if ok {
		r.Mul(r, new(big.Rat).SetInt(m))
	}
	if !ok || !r.IsInt() {
		return a, false
	}
	return amount{whole: r.Num()}, true
}

// rational returns the value of figures with at most one period among or beside them.
func rational(text string) (*big.Rat, bool) {
	before, after, _ := strings.Cut(text, ".")
	if before+after == "" || strings.ContainsFunc(before+after, notDigit) {
		return nil, false
	}
	return new(big.Rat).SetString(asciiDigits(before) + "." + asciiDigits(after))
}

// asciiDigits writes decimal digits of all scripts as 0 to 9.
func asciiDigits(text string) string {
	return strings.Map(func(r rune) rune {
		zero := r
		for unicode.Is(unicode.Nd, zero-1) { // digits of a script follow one another
			zero--
		}
		return '0' + (r-zero)%10
	}, text)
}

// isFigures reports whether a word is digits, with or without a period and digits after it.
func isFigures(word string) bool {
	before, after, point := strings.Cut(word, ".")
	return before != "" && (!point || after != "") && !strings.ContainsFunc(before+after, notDigit)
}

func notDigit(r rune) bool { return !unicode.Is(unicode.Nd, r) }
