package tokenize

import (
	"bytes"
	"unicode/utf8"
)

// finder finds the parts of a text that a pattern matches.
type finder interface {
	// find returns the first match in text at or after at, which is not empty;
	// ok is false if there is none.
	find(text []byte, at int) (from, to int, ok bool)
}

// behavior says what happens to the matches of a pattern.
type behavior int

const (
	isolated           behavior = iota // a match is a separate word
	removed                            // a match is removed
	mergedWithPrevious                 // a match ends the preceding word
	mergedWithNext                     // a match begins the following word
	contiguous                         // neighbouring matches are one word
)

// behaviors maps the names in tokenizer.json to behaviors.
var behaviors = map[string]behavior{
	"Isolated": isolated, "Removed": removed, "MergedWithPrevious": mergedWithPrevious,
	"MergedWithNext": mergedWithNext, "Contiguous": contiguous,
}

// splitPattern splits words at the matches of a pattern or, if inverted, at the text between the matches.
type splitPattern struct {
	find     finder
	behavior behavior
	invert   bool
}

func (p splitPattern) split(in *aligned, buf *buffers) *aligned {
	out := buf.split[:0]
	for _, w := range buf.words {
		out = p.word(in.text[w.from:w.to], w.from, out)
	}
	buf.words, buf.split = out, buf.words
	return in
}

// word appends the parts of one word, which begins at byte first, to out.
func (p splitPattern) word(text []byte, first int, out []span) []span {
	s := partition{out: out, first: first, mark: len(out), behavior: p.behavior}
	done := 0
	for done < len(text) {
		from, to, ok := p.find.find(text, done)
		if !ok {
			break
		}
		if done < from {
			s.add(done, from, p.invert)
		}
		s.add(from, to, !p.invert)
		done = to
	}
	if done < len(text) {
		s.add(done, len(text), p.invert)
	}
	return s.out
}

// partition collects the words that the parts of a word become.
type partition struct {
	out      []span
	first    int // offset of the word's positions
	mark     int // length of out before the word
	behavior behavior
	last     bool // whether the preceding part was a match
}

// add adds the next part. For neighbouring matches the behaviors follow the reference: of two matches,
// MergedWithPrevious merges only the first, and MergedWithNext only the last.
func (s *partition) add(from, to int, match bool) {
	last, some := s.last, len(s.out) > s.mark
	s.last = match
	switch s.behavior {
	case removed:
		if match {
			return
		}
	case mergedWithPrevious:
		if some && match && !last {
			s.out[len(s.out)-1].to = s.first + to
			return
		}
	case mergedWithNext:
		if some && last && !match {
			s.out[len(s.out)-1].to = s.first + to
			return
		}
	case contiguous:
		if some && match == last {
			s.out[len(s.out)-1].to = s.first + to
			return
		}
	}
	s.out = append(s.out, span{s.first + from, s.first + to})
}

// literal finds a string.
type literal string

func (l literal) find(text []byte, at int) (from, to int, ok bool) {
	i := bytes.Index(text[at:], []byte(l))
	return at + i, at + i + len(l), i >= 0
}

// inClass finds single code points of a class.
type inClass class

func (c inClass) find(text []byte, at int) (from, to int, ok bool) {
	for at < len(text) {
		r, n := runeAt(text, at)
		if classOf(r)&class(c) != 0 {
			return at, at + n, true
		}
		at += n
	}
	return 0, 0, false
}

// runeAt returns the code point at byte at of text, and its length in bytes.
func runeAt(text []byte, at int) (rune, int) {
	if b := text[at]; b < utf8.RuneSelf {
		return rune(b), 1
	}
	return utf8.DecodeRune(text[at:])
}
