package tokenize

import (
	"strings"
	"unicode/utf8"
)

// decoder makes a joiner that turns tokens into text and passes the text to out.
type decoder func(out func(string)) joiner

// joiner is a step of decoding: it takes tokens, in one or more parts, and passes tokens to the next step as soon as
// they are certain.
type joiner interface {
	part(s string) // the next part of the current token
	next()         // the current token is complete
	end()          // there are no more tokens
}

// stage makes a joiner that passes its tokens to the given next step.
type stage func(to joiner) joiner

// chain returns a decoder of stages; the first stage gets the tokens.
func chain(stages ...stage) decoder {
	return func(out func(string)) joiner {
		var j joiner = output(out)
		for i := len(stages) - 1; i >= 0; i-- {
			j = stages[i](j)
		}
		return j
	}
}

// output is the end of a chain.
type output func(string)

func (o output) part(s string) { o(s) }
func (output) next()           {}
func (output) end()            {}

// emit passes a complete token to j.
func emit(j joiner, token string) {
	j.part(token)
	j.next()
}

// whole returns a stage that handles complete tokens one after another. start returns two functions: each is called
// with token number i, and end, which may be nil, at the end.
func whole(start func(to joiner) (each func(i int, token string), end func())) stage {
	return func(to joiner) joiner {
		w := &wholeTokens{to: to}
		w.each, w.last = start(to)
		return w
	}
}

type wholeTokens struct {
	to   joiner
	each func(i int, token string)
	last func()
	text []byte // of the current token
	i    int
}

func (w *wholeTokens) part(s string) { w.text = append(w.text, s...) }

func (w *wholeTokens) next() {
	token := string(w.text)
	w.text = w.text[:0]
	w.each(w.i, token)
	w.i++
}

func (w *wholeTokens) end() {
	if w.last != nil {
		w.last()
	}
	w.to.end()
}

// perToken returns a stage that rewrites every token separately.
func perToken(f func(i int, token string) string) stage {
	return whole(func(to joiner) (func(int, string), func()) {
		return func(i int, token string) { emit(to, f(i, token)) }, nil
	})
}

// blanks returns the stage that is used without a decoder: it puts a blank between tokens.
func blanks() stage {
	return perToken(func(i int, token string) string {
		if i > 0 {
			return " " + token
		}
		return token
	})
}

// wordPieceDecoder returns a stage that joins pieces with the prefix to the preceding token, and puts a blank before
// other tokens.
func wordPieceDecoder(prefix string, cleanup bool) stage {
	return perToken(func(i int, token string) string {
		if i > 0 {
			if tail, ok := strings.CutPrefix(token, prefix); ok {
				token = tail
			} else {
				token = " " + token
			}
		}
		if cleanup {
			token = cleanUp(token)
		}
		return token
	})
}

// cleanUp reverses, within one token, the splitting of English punctuation, one replacement after another in the
// reference's order.
func cleanUp(s string) string {
	for _, r := range [...][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
		{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
}

// metaspaceDecoder returns a stage that replaces mark by a blank, but removes it in the first token if a mark was
// prepended.
func metaspaceDecoder(mark rune, prepended bool) stage {
	return perToken(func(i int, token string) string {
		blank := " "
		if i == 0 && prepended {
			blank = ""
		}
		return strings.ReplaceAll(token, string(mark), blank)
	})
}

// replaceDecoder returns a stage that applies n to every token.
func replaceDecoder(n replace) stage {
	return perToken(func(_ int, token string) string {
		var out []byte
		text, done := []byte(token), 0
		for done < len(text) {
			from, to, ok := n.pattern.find(text, done)
			if !ok {
				break
			}
			out = append(append(out, text[done:from]...), n.content...)
			done = to
		}
		return string(append(out, text[done:]...))
	})
}

// suffixDecoder returns a stage that replaces the suffix of words by a blank, but removes it in the last token.
func suffixDecoder(suffix string) stage {
	return whole(func(to joiner) (func(int, string), func()) {
		var held []string // the last token
		each := func(_ int, token string) {
			for _, before := range held {
				emit(to, strings.ReplaceAll(before, suffix, " "))
			}
			held = append(held[:0], token)
		}
		return each, func() {
			for _, last := range held {
				emit(to, strings.ReplaceAll(last, suffix, ""))
			}
		}
	})
}

// byteFallback joins neighbouring tokens such as <0xE2> to the text of their bytes or, if that is not UTF-8, to one
// U+FFFD for each byte.
func byteFallback(to joiner) joiner {
	return whole(func(to joiner) (func(int, string), func()) {
		var run []byte
		end := func() {
			switch {
			case len(run) == 0:
			case utf8.Valid(run):
				emit(to, string(run))
			default:
				for range run {
					emit(to, "\ufffd")
				}
			}
			run = run[:0]
		}
		each := func(_ int, token string) {
			if b, ok := byteOf(token); ok {
				run = append(run, b)
				return
			}
			end()
			emit(to, token)
		}
		return each, end
	})(to)
}

// byteOf returns the byte that a token such as <0x0A> represents. As in the reference, the first digit may be a plus
// sign.
func byteOf(token string) (byte, bool) {
	if len(token) != 6 || token[:3] != "<0x" || token[5] != '>' {
		return 0, false
	}
	high, ok := hexDigit(token[3])
	if token[3] == '+' {
		ok = true
	}
	low, ok2 := hexDigit(token[4])
	return high<<4 | low, ok && ok2
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
