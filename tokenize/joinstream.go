package tokenize

import "unicode/utf8"

// fuse joins all tokens to one.
func fuse(to joiner) joiner { return fused{to} }

type fused struct{ to joiner }

func (f fused) part(s string) { f.to.part(s) }
func (fused) next()           {}
func (f fused) end()          { f.to.next(); f.to.end() }

// byteLevelDecoder replaces the code points of tokens by the bytes that they represent and joins all tokens to one
// text. It keeps a token unchanged if one of its code points represents no byte. Bytes that are not UTF-8 become
// U+FFFD.
func byteLevelDecoder(to joiner) joiner {
	b := &byteJoiner{to: to, bad: "\ufffd"}
	w := &wholeTokens{to: b, each: func(_ int, token string) { b.part(token) }}
	return w
}

// byteJoiner takes byte-level tokens, or bytes, and passes on valid UTF-8.
type byteJoiner struct {
	to      joiner
	bad     string // what becomes of bytes that are not UTF-8
	pending []byte // bytes of a character that is not complete
}

// add takes bytes of the text.
func (b *byteJoiner) add(text []byte) {
	b.pending = append(b.pending, text...)
	b.flush(false)
}

func (b *byteJoiner) part(token string) {
	n := len(b.pending)
	for _, r := range token {
		if r >= shortRunes || runeBytes[r] < 0 {
			b.pending = append(b.pending[:n], token...)
			break
		}
		b.pending = append(b.pending, byte(runeBytes[r]))
	}
	b.flush(false)
}

func (b *byteJoiner) next() {}

func (b *byteJoiner) end() {
	b.flush(true)
	b.to.next()
	b.to.end()
}

// flush passes on the complete characters of pending, or everything at the end.
func (b *byteJoiner) flush(end bool) {
	var out []byte
	rest := b.pending
	for len(rest) > 0 {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			if n = badPrefix(rest); !end && !utf8.FullRune(rest) {
				break
			}
			out = append(out, b.bad...)
		} else {
			out = append(out, rest[:n]...)
		}
		rest = rest[n:]
	}
	b.pending = append(b.pending[:0], rest...)
	b.to.part(string(out))
}

// badPrefix returns the number of bytes that become one U+FFFD at the beginning of text, which does not begin with a
// character: the longest beginning of a character, or one byte (Unicode Standard, section 3.9, substitution of maximal
// subparts).
func badPrefix(text []byte) int {
	n := 1
	for n < len(text) && n < utf8.UTFMax && !utf8.FullRune(text[:n+1]) {
		n++
	}
	return n
}

// stripDecoder returns a stage that removes up to start code points c from the beginning of every token and up to stop
// from its end.
func stripDecoder(c rune, start, stop int) stage {
	return func(to joiner) joiner { return &stripper{to: to, char: c, start: start, stop: stop, left: start} }
}

type stripper struct {
	to          joiner
	char        rune
	start, stop int
	left        int // number of code points that may still be removed from the beginning
	held        int // number of code points at the end that may have to be removed
}

func (s *stripper) part(text string) {
	for s.left > 0 && text != "" {
		r, n := utf8.DecodeRuneInString(text)
		if r != s.char {
			s.left = 0
			break
		}
		s.left--
		text = text[n:]
	}
	if s.stop == 0 {
		s.to.part(text)
		return
	}
	for _, r := range text {
		if r == s.char {
			s.held++
			continue
		}
		s.release(s.held)
		s.to.part(string(r))
	}
}

// release passes on n of the code points that were held back, and discards the rest.
func (s *stripper) release(n int) {
	for range n {
		s.to.part(string(s.char))
	}
	s.held = 0
}

func (s *stripper) next() {
	s.release(max(s.held-s.stop, 0))
	s.left = s.start
	s.to.next()
}

func (s *stripper) end() { s.to.end() }
