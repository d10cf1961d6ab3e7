package tokenize

import "unicode/utf8"

// prepend puts a string before a text, unless the text is empty.
type prepend string

func (p prepend) normalize(in *aligned, buf *buffers) *aligned {
	if len(in.text) == 0 {
		return in
	}
	out := buf.other(in)
	for _, r := range string(p) {
		out.add(r, in.pos[0])
	}
	out.copy(in, span{0, len(in.text)})
	return out
}

// replace replaces every match of a pattern by content. The origin of content is the last code point of the match.
type replace struct {
	pattern finder
	content string
}

func (n replace) normalize(in *aligned, buf *buffers) *aligned {
	out := buf.other(in)
	done := 0
	for done < len(in.text) {
		from, to, ok := n.pattern.find(in.text, done)
		if !ok {
			break
		}
		out.copy(in, span{done, from})
		for _, r := range n.content {
			out.add(r, in.pos[to-1])
		}
		done = to
	}
	out.copy(in, span{done, len(in.text)})
	return out
}

// strip removes white space at the ends of a text.
type strip struct{ left, right bool }

func (n strip) normalize(in *aligned, buf *buffers) *aligned {
	from, to := 0, len(in.text)
	if n.left {
		from = trimSpaceLeft(in.text, 0)
	}
	if n.right {
		to = trimSpaceRight(in.text, from, to)
	}
	if from == 0 {
		in.text, in.pos = in.text[:to], in.pos[:to]
		return in
	}
	out := buf.other(in)
	out.copy(in, span{from, to})
	return out
}

// onlyRune returns the only code point of s; ok is false if s has none or several.
func onlyRune(s string) (rune, bool) {
	r, n := utf8.DecodeRuneInString(s)
	return r, n > 0 && n == len(s)
}
