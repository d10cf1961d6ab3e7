package tokenize

import (
	"bytes"
	"strings"
)

// cleaned returns a decoder whose text is cleaned up as a whole: transformers' clean_up_tokenization_spaces.
func cleaned(d decoder) decoder {
	return func(out func(string)) joiner {
		c := &cleaner{out: out}
		c.joiner = d(c.write)
		return c
	}
}

// cleaner cleans up the text that its joiner makes.
type cleaner struct {
	joiner
	out     func(string)
	pending []byte // text that may still change
	read    int    // bytes of it that were searched
}

// cleanReach is more than the number of bytes that a replacement depends on: those of " n ' t".
const cleanReach = 8

// write takes text and passes on the part of the pending text that no later text can change. Replacements begin with a
// blank and have none inside, but for " ' " and, after that is replaced, " n't". So the text may be cut before a blank,
// unless one of these can be around it, and anywhere after enough bytes without a blank.
func (c *cleaner) write(text string) {
	c.pending = append(c.pending, text...)
	cut := 0
	for i := max(c.read, 1); i < len(c.pending); i++ {
		if c.pending[i] == ' ' && !bytes.ContainsAny(c.pending[i-1:i], " 'n") {
			cut = i
		}
	}
	c.read = len(c.pending)
	if n := len(c.pending); n > cleanReach && !bytes.Contains(c.pending[n-cleanReach:], []byte(" ")) {
		cut = n
	}
	c.flush(cut)
}

// flush passes on the first n bytes of the pending text.
func (c *cleaner) flush(n int) {
	if n > 0 {
		c.out(cleanSpaces(string(c.pending[:n])))
		c.pending = append(c.pending[:0], c.pending[n:]...)
		c.read = max(c.read-n, 0)
	}
}

func (c *cleaner) end() {
	c.joiner.end()
	c.flush(len(c.pending))
}

// cleanSpaces removes blanks before English punctuation, one replacement after another in transformers' order.
func cleanSpaces(s string) string {
	for _, r := range [...][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
		{" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	} {
		s = strings.ReplaceAll(s, r[0], r[1])
	}
	return s
}
