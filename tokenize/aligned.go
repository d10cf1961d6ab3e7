package tokenize

import (
	"iter"
	"slices"
	"unicode/utf8"
)

// aligned is a text on its way from the source to the model, with the origin of each byte: text[i] comes from code
// point pos[i] of the source. pos never decreases.
type aligned struct {
	text []byte
	pos  []int32
}

// reset empties a and reserves space for n bytes.
func (a *aligned) reset(n int) {
	a.text, a.pos = slices.Grow(a.text[:0], n), slices.Grow(a.pos[:0], n)
}

// add appends r, which comes from code point pos of the source.
func (a *aligned) add(r rune, pos int32) {
	if r < utf8.RuneSelf {
		a.text = append(a.text, byte(r))
		a.pos = append(a.pos, pos)
		return
	}
	n := len(a.text)
	a.text = utf8.AppendRune(a.text, r)
	for range a.text[n:] {
		a.pos = append(a.pos, pos)
	}
}

// copy appends part w of b.
func (a *aligned) copy(b *aligned, w span) {
	a.text = append(a.text, b.text[w.from:w.to]...)
	a.pos = append(a.pos, b.pos[w.from:w.to]...)
}

// load sets a to s, whose first code point is code point first of the source. A byte that is not UTF-8 counts as one
// code point, U+FFFD. load returns the number of the code point after s.
func (a *aligned) load(s string, first int32) int32 {
	a.reset(len(s))
	for _, r := range s {
		a.add(r, first)
		first++
	}
	return first
}

// isASCII reports whether all code points of a are below 0x80.
func (a *aligned) isASCII() bool {
	for _, b := range a.text {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// runes yields the code points of a with their byte offsets.
func (a *aligned) runes() iter.Seq2[int, rune] {
	return func(yield func(int, rune) bool) {
		for i := 0; i < len(a.text); {
			r, size := utf8.DecodeRune(a.text[i:])
			if !yield(i, r) {
				return
			}
			i += size
		}
	}
}
