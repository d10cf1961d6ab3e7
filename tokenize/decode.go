package tokenize

// Decode returns the text of ids as the decoder of tokenizer.json joins them. It leaves out ids that have no token, and
// special tokens if skipSpecial is true.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.Stream(skipSpecial)
	for _, id := range ids {
		s.add(id)
	}
	s.join.end()
	return string(s.text)
}

// Stream decodes tokens one at a time, as they are generated. Tokenizer.Stream makes it. It is not safe for concurrent
// use.
type Stream struct {
	tok  *Tokenizer
	skip bool
	join joiner
	text []byte // decoded but not yet returned
}

// Stream returns a decoder for a sequence of ids. The concatenation of everything that its Next and Flush return equals
// the result of Decode for the sequence.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	s := &Stream{tok: t, skip: skipSpecial}
	s.begin()
	return s
}

func (s *Stream) begin() {
	s.join = s.tok.decoder(func(part string) { s.text = append(s.text, part...) })
}

// Next adds the next id and returns the text that has become certain and was not returned before. This is often no
// text: a character that consists of several tokens is returned with the last of them, never in parts.
func (s *Stream) Next(id int32) string {
	s.add(id)
	return s.take()
}

// Flush ends the sequence and returns the rest of the text, such as U+FFFD for an incomplete character. The stream can
// then be used for another sequence.
func (s *Stream) Flush() string {
	s.join.end()
	text := s.take()
	s.begin()
	return text
}

func (s *Stream) add(id int32) {
	if !s.tok.has(id) {
		return
	}
	token := s.tok.spelling[id]
	if s.skip && s.tok.special[token] {
		return
	}
	s.join.part(token)
	s.join.next()
}

func (s *Stream) take() string {
	text := string(s.text)
	s.text = s.text[:0]
	return text
}
