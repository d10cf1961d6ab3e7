package tokenize

// Decode returns the text of ids as the decoder of tokenizer.json joins them.
// Ids that have no token are left out, and with skipSpecial the special tokens.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	s := t.Stream(skipSpecial)
	for _, id := range ids {
		s.add(id)
	}
	s.join.end()
	return string(s.text)
}

// Stream decodes tokens one at a time, as they are generated. It is made by
// Tokenizer.Stream and not safe for concurrent use.
type Stream struct {
	tok  *Tokenizer
	skip bool
	join joiner
	text []byte // that has not been returned yet
}

// Stream returns a decoder of a sequence of ids from its beginning. All that its
// Next and Flush return, put together, is what Decode returns for the sequence.
func (t *Tokenizer) Stream(skipSpecial bool) *Stream {
	s := &Stream{tok: t, skip: skipSpecial}
	s.begin()
	return s
}

func (s *Stream) begin() {
	s.join = s.tok.decoder(func(part string) { s.text = append(s.text, part...) })
}

// Next takes in the next id and returns the text that is certain with it and has
// not been returned before, often none: a character of several tokens comes with
// the last of them, never in parts.
func (s *Stream) Next(id int32) string {
	s.add(id)
	return s.take()
}

// Flush ends the sequence and returns the rest of the text, such as U+FFFD for a
// character that was not completed. The stream is then ready for another
// sequence.
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
