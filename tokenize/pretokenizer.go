package tokenize

import "unicode/utf8"

// span is a half-open range of bytes.
type span struct{ from, to int }

// preTokenizer splits words further.
type preTokenizer interface {
	// split appends to out the parts of text's words in, in order.
	split(text []byte, in, out []span) []span
}

// preSequence applies pre-tokenizers one after another.
type preSequence []preTokenizer

func (s preSequence) split(text []byte, in, out []span) []span {
	if len(s) == 0 {
		return append(out, in...)
	}
	for _, p := range s[:len(s)-1] {
		in = p.split(text, in, nil)
	}
	return s[len(s)-1].split(text, in, out)
}

// splitter cuts at the code points of two classes: those of remove vanish, those
// of isolate become words of their own.
type splitter struct{ remove, isolate class }

func (p splitter) split(text []byte, in, out []span) []span {
	for _, w := range in {
		from := w.from
		for i := w.from; i < w.to; {
			r, size := rune(text[i]), 1
			if r >= utf8.RuneSelf {
				r, size = utf8.DecodeRune(text[i:w.to])
			}
			c := classOf(r)
			if c&(p.remove|p.isolate) != 0 {
				if from < i {
					out = append(out, span{from, i})
				}
				if c&p.remove == 0 {
					out = append(out, span{i, i + size})
				}
				from = i + size
			}
			i += size
		}
		if from < w.to {
			out = append(out, span{from, w.to})
		}
	}
	return out
}

// wordsOrSymbols finds runs of \w and runs of what is neither \w nor white space.
type wordsOrSymbols struct{}

func (wordsOrSymbols) split(text []byte, in, out []span) []span {
	for _, w := range in {
		from, kind := w.from, class(isSpace)
		for i := w.from; i < w.to; {
			r, size := utf8.DecodeRune(text[i:w.to])
			if c := classOf(r) & (isSpace | isWord); c != kind {
				if kind != isSpace {
					out = append(out, span{from, i})
				}
				from, kind = i, c
			}
			i += size
		}
		if kind != isSpace && from < w.to {
			out = append(out, span{from, w.to})
		}
	}
	return out
}
