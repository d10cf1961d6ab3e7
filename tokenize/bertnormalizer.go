package tokenize

// bertNormalizer cleans text as BERT does: it removes control characters, replaces white space by blanks, puts blanks
// around Chinese characters, strips accents and converts to lower case.
type bertNormalizer struct {
	clean, chinese, strip, lower bool
}

func (n *bertNormalizer) normalize(in *aligned, buf *buffers) *aligned {
	if in.isASCII() {
		n.ascii(in)
		return in
	}
	if n.clean {
		in = cleanText{}.normalize(in, buf)
	}
	if n.chinese {
		in = spaceCJK{}.normalize(in, buf)
	}
	if n.strip {
		in = form{}.normalize(in, buf)
		in = dropClass(isMn).normalize(in, buf)
	}
	if n.lower {
		in = lowercase{}.normalize(in, buf)
	}
	return in
}

// ascii is normalize for a text of ASCII characters, in place.
func (n *bertNormalizer) ascii(in *aligned) {
	out := 0
	for i, b := range in.text {
		if n.clean {
			switch c := asciiClass[b]; {
			case c&isDropped != 0:
				continue
			case c&isSpace != 0:
				b = ' '
			}
		}
		if n.lower && 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		in.text[out], in.pos[out] = b, in.pos[i]
		out++
	}
	in.text, in.pos = in.text[:out], in.pos[:out]
}
