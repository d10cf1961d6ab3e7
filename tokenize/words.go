package tokenize

// EncodeWords encodes a text that is given as words; see Input.Words.
func (t *Tokenizer) EncodeWords(words []string, o Options) (Encoding, error) {
	if words == nil {
		words = []string{}
	}
	return prefixed(t.encode(Input{Words: words}, o))
}

// readWords appends the tokens of words to dst; each word is read separately.
func (t *Tokenizer) readWords(dst []token, words []string, buf *buffers) []token {
	for i, w := range words {
		first := len(dst)
		dst = t.read(dst, w, buf)
		for k := range dst[first:] {
			dst[first+k].word = int32(i)
		}
	}
	return dst
}

// WithPrefixSpace returns a tokenizer for words that come one by one: it encodes every text or word that does not begin
// with a blank as if a blank preceded it. So "world" becomes the token that follows "Hello " in a sentence, as with
// add_prefix_space=True of transformers, which its GPT-2 and RoBERTa tokenizers need for words. Offsets do not count
// that blank. WithPrefixSpace returns t itself if t does this already or is not byte-level: WordPiece and SentencePiece
// models mark the beginnings of words themselves.
//
// If a pattern splits words before they become bytes (LLaMA 3, Qwen 2), the blank precedes the word, not each of its
// parts as add_prefix_space would have it.
func (t *Tokenizer) WithPrefixSpace() *Tokenizer {
	bytes, prefixed := byteLevelParts(t.preTokenizer)
	if !bytes || prefixed {
		return t
	}
	c := *t
	c.preTokenizer = preSequence{prefixSpace{}, t.preTokenizer}
	if c.template.trim == trimOffsets {
		c.template.trim = trimPrefixed
	}
	return &c
}

// byteLevelParts reports whether a pre-tokenizer writes bytes, and whether it puts blanks before words.
func byteLevelParts(p preTokenizer) (bytes, prefix bool) {
	switch p := p.(type) {
	case byteMapper:
		return true, false
	case prefixSpace:
		return false, true
	case preSequence:
		for _, q := range p {
			b, f := byteLevelParts(q)
			bytes, prefix = bytes || b, prefix || f
		}
	}
	return bytes, prefix
}
