package tokenize

// bertNormalizer is the cleaning of BERT: control characters removed, white
// space made blanks, Chinese characters set apart, accents stripped, lower case.
type bertNormalizer struct {
	clean, chinese, strip, lower bool
}

func (n *bertNormalizer) normalize(in *aligned, buf *buffers) *aligned {
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
