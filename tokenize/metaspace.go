package tokenize

import "unicode/utf8"

// scheme says when metaspace puts its mark before a word that does not begin with it.
type scheme int

const (
	always scheme = iota // before every word that the preceding pre-tokenizers made
	first                // before the word that begins the text
	never
)

// metaspace replaces blanks by a mark, usually U+2581, and splits words before it.
type metaspace struct {
	mark    rune
	prepend scheme
	cut     bool
}

func (m metaspace) split(in *aligned, buf *buffers) *aligned {
	out := buf.rewritten(in)
	parts := buf.split[:0]
	for _, w := range buf.words {
		from := len(out.text)
		start := rune(-1) // first code point after replacing blanks
		if r, _ := utf8.DecodeRune(in.text[w.from:w.to]); r == ' ' {
			start = m.mark
		} else {
			start = r
		}
		if start != m.mark && (m.prepend == always || m.prepend == first && in.pos[w.from] == 0) {
			out.add(m.mark, in.pos[w.from])
		}
		for i, b := range in.text[w.from:w.to] {
			if b == ' ' {
				out.add(m.mark, in.pos[w.from+i])
			} else {
				out.text, out.pos = append(out.text, b), append(out.pos, in.pos[w.from+i])
			}
		}
		parts = append(parts, span{from, len(out.text)})
	}
	buf.words, buf.split = parts, buf.words
	if m.cut {
		return splitPattern{find: literal(string(m.mark)), behavior: mergedWithNext}.split(out, buf)
	}
	return out
}
