package tokenize

import "unicode/utf8"

// span is a half-open range of bytes.
type span struct{ from, to int }

// preTokenizer splits words further, or rewrites them.
type preTokenizer interface {
	// split replaces buf.words, which are non-empty parts of in, in order, by their parts, and returns the text that
	// contains them: in, unchanged, or a buffer from buf.rewritten.
	split(in *aligned, buf *buffers) *aligned
}

// preSequence applies pre-tokenizers one after another.
type preSequence []preTokenizer

func (s preSequence) split(in *aligned, buf *buffers) *aligned {
	for _, p := range s {
		in = p.split(in, buf)
	}
	return in
}

// splitter splits at the code points of two classes: it drops those of remove and makes a word of each one of isolate.
type splitter struct{ remove, isolate class }

func (p splitter) split(in *aligned, buf *buffers) *aligned {
	out, text := buf.split[:0], in.text
	for _, w := range buf.words {
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
	buf.words, buf.split = out, buf.words
	return in
}

// wordsOrSymbols finds runs of \w and runs of code points that are neither \w nor white space.
type wordsOrSymbols struct{}

func (wordsOrSymbols) split(in *aligned, buf *buffers) *aligned {
	out, text := buf.split[:0], in.text
	for _, w := range buf.words {
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
	buf.words, buf.split = out, buf.words
	return in
}
