package tokenize

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// Normalizer rewrites a text before it is split into words. It must be safe for concurrent use and return the same for
// the same text.
type Normalizer interface {
	// Normalize returns the normal form of a text, which is valid UTF-8 and not empty.
	Normalize(text string) (AlignedText, error)
}

// PreTokenizer splits a text into words. It must be safe for concurrent use and return the same for the same text.
type PreTokenizer interface {
	// Split returns the words of a text, which is valid UTF-8 and not empty, in the order of the text; empty words are
	// ignored. first reports whether the text begins the input.
	Split(text string, first bool) ([]AlignedText, error)
}

// Model splits a word into the pieces that have ids. It must be safe for concurrent use and return the same for the
// same word: results are cached.
type Model interface {
	// Tokenize returns the pieces of a word, which is valid UTF-8 and not empty, in order.
	Tokenize(word string) ([]Piece, error)
}

// Parts are the parts of a tokenizer between the added tokens and the template.
type Parts struct {
	Normalizer   Normalizer   // nil: texts stay as they are
	PreTokenizer PreTokenizer // nil: a text is one word
	Model        Model
}

// AlignedText is a text that was made of another one, with the origin of each byte.
type AlignedText struct {
	Text string
	// Origin has for each byte of Text the offset in bytes of the code point of the other text that it comes from; the
	// offsets never decrease.
	Origin []int
}

// Piece is a part of a word that has an id of the vocabulary.
type Piece struct {
	ID       int
	From, To int // half-open range of bytes of the word, not empty
}

// check returns an error if a is not made of text, where origins are at least least.
func (a AlignedText) check(text string, least int) error {
	if len(a.Origin) != len(a.Text) {
		return fmt.Errorf("the result has %d bytes and the origins of %d; give each byte one", len(a.Text), len(a.Origin))
	}
	if !utf8.ValidString(a.Text) {
		return fmt.Errorf("the result %s is not UTF-8", excerpt(a.Text))
	}
	for i, o := range a.Origin {
		switch {
		case o < 0 || o >= len(text) || !utf8.RuneStart(text[o]):
			return fmt.Errorf("byte %d of %s has the origin %d, where no character of the text begins", i, excerpt(a.Text), o)
		case o < least:
			return fmt.Errorf("byte %d of %s has the origin %d, after one with %d; want the order of the text",
				i, excerpt(a.Text), o, least)
		}
		least = o
	}
	return nil
}

// excerpt quotes the beginning of a text for a message.
func excerpt(text string) string {
	const most = 40 // code points
	n := 0
	for i := range text {
		if n++; n > most {
			return strconv.Quote(text[:i]) + "…"
		}
	}
	return strconv.Quote(text)
}

// fail remembers the error of a part for a text; the first error of an input counts.
func (b *buffers) fail(part, text string, err error) {
	if b.err == nil {
		b.err = fmt.Errorf("the %s fails for %s: %w", part, excerpt(text), err)
	}
}

// customNormalizer is a Normalizer inside a tokenizer.
type customNormalizer struct{ Normalizer }

func (c customNormalizer) normalize(in *aligned, buf *buffers) *aligned {
	if len(in.text) == 0 {
		return in
	}
	text := string(in.text)
	a, err := c.Normalize(text)
	if err == nil {
		err = a.check(text, 0)
	}
	if err != nil {
		buf.fail("normalizer", text, err)
		return in
	}
	out := buf.other(in)
	out.text = append(out.text, a.Text...)
	for _, o := range a.Origin {
		out.pos = append(out.pos, in.pos[o])
	}
	return out
}

// customPreTokenizer is a PreTokenizer inside a tokenizer.
type customPreTokenizer struct{ PreTokenizer }

func (c customPreTokenizer) split(in *aligned, buf *buffers) *aligned {
	out := buf.rewritten(in)
	words := buf.split[:0]
	for _, w := range buf.words {
		text := string(in.text[w.from:w.to])
		parts, err := c.Split(text, in.pos[w.from] == 0)
		least := 0
		for i := 0; i < len(parts) && err == nil; i++ {
			a := parts[i]
			if err = a.check(text, least); err != nil || a.Text == "" {
				continue
			}
			from := len(out.text)
			out.text = append(out.text, a.Text...)
			for _, o := range a.Origin {
				out.pos = append(out.pos, in.pos[w.from+o])
			}
			words = append(words, span{from, len(out.text)})
			least = a.Origin[len(a.Origin)-1]
		}
		if err != nil {
			buf.fail("pre-tokenizer", text, err)
		}
	}
	buf.words, buf.split = words, buf.words
	return out
}

// customModel is a Model inside a tokenizer.
type customModel struct {
	Model
	tok *Tokenizer // for its vocabulary
}

func (c customModel) encode(dst []piece, word []byte, buf *buffers) []piece {
	cache := &buf.bpe.cache
	if known, ok := cache.get(word); ok {
		return append(dst, known...)
	}
	pieces, err := c.Tokenize(string(word))
	mark := len(dst)
	for i := 0; i < len(pieces) && err == nil; i++ {
		p := pieces[i]
		if err = c.check(p, word); err == nil {
			dst = append(dst, piece{int32(p.ID), p.From, p.To})
		}
	}
	if err != nil {
		buf.fail("model", string(word), err)
		return dst[:mark]
	}
	cache.put(word, dst[mark:])
	return dst
}

// check returns an error if p is not a piece of word.
func (c customModel) check(p Piece, word []byte) error {
	switch {
	case p.ID < 0 || p.ID > math.MaxInt32 || !c.tok.has(int32(p.ID)):
		return fmt.Errorf("the vocabulary has no token with the id %d; give the vocabulary of the model", p.ID)
	case p.From < 0 || p.From >= p.To || p.To > len(word):
		return fmt.Errorf("a piece has the range [%d %d) of a word of %d bytes; want a part of the word that is not empty",
			p.From, p.To, len(word))
	}
	return nil
}

// Parts returns the normalizer, the pre-tokenizer and the model of t. Those that t has read from files are safe for
// concurrent use; those that t was made of are returned as they were given.
func (t *Tokenizer) Parts() Parts {
	p := Parts{ownNormalizer{t}, ownPreTokenizer{t}, ownModel{t}}
	if c, ok := t.normalizer.(customNormalizer); ok {
		p.Normalizer = c.Normalizer
	}
	if c, ok := t.preTokenizer.(customPreTokenizer); ok {
		p.PreTokenizer = c.PreTokenizer
	}
	if c, ok := t.model.(customModel); ok {
		p.Model = c.Model
	}
	return p
}

// within sets the parts of a tokenizer to p.
func (p Parts) within(t *Tokenizer) error {
	switch n := p.Normalizer.(type) {
	case nil:
		t.normalizer = sequence(nil)
	case ownNormalizer:
		t.normalizer = n.tok.normalizer
	default:
		t.normalizer = customNormalizer{n}
	}
	switch s := p.PreTokenizer.(type) {
	case nil:
		t.preTokenizer = preSequence(nil)
	case ownPreTokenizer:
		t.preTokenizer = s.tok.preTokenizer
	default:
		t.preTokenizer = customPreTokenizer{s}
	}
	switch m := p.Model.(type) {
	case nil:
		return errors.New("the model is missing")
	case ownModel:
		if m.tok.VocabSize() > t.VocabSize() {
			return fmt.Errorf("the model has %d tokens, the vocabulary %d; give the vocabulary of the model",
				m.tok.VocabSize(), t.VocabSize())
		}
		t.model = m.tok.model
	default:
		t.model = customModel{m, t}
	}
	return nil
}

// ownNormalizer is the normalizer of a tokenizer as a Normalizer.
type ownNormalizer struct{ tok *Tokenizer }

func (n ownNormalizer) Normalize(text string) (AlignedText, error) {
	buf, done := n.tok.borrow(len(text))
	defer done()
	buf.a.load(text, 0)
	out := n.tok.normalizer.normalize(&buf.a, buf)
	return originOf(out, span{0, len(out.text)}, runeStarts(text)), buf.err
}

// ownPreTokenizer is the pre-tokenizer of a tokenizer as a PreTokenizer.
type ownPreTokenizer struct{ tok *Tokenizer }

func (p ownPreTokenizer) Split(text string, first bool) ([]AlignedText, error) {
	buf, done := p.tok.borrow(len(text))
	defer done()
	starts := runeStarts(text)
	before := int32(0) // code points before the text
	if !first {
		before, starts = 1, append([]int{0}, starts...)
	}
	buf.a.load(text, before)
	buf.words = append(buf.words[:0], span{0, len(buf.a.text)})
	if len(text) == 0 {
		buf.words = buf.words[:0]
	}
	out := p.tok.preTokenizer.split(&buf.a, buf)
	words := make([]AlignedText, len(buf.words))
	for i, w := range buf.words {
		words[i] = originOf(out, w, starts)
	}
	return words, buf.err
}

// ownModel is the model of a tokenizer as a Model.
type ownModel struct{ tok *Tokenizer }

func (m ownModel) Tokenize(word string) ([]Piece, error) {
	if word == "" {
		return nil, nil
	}
	buf, done := m.tok.borrow(len(word))
	defer done()
	buf.pieces = m.tok.model.encode(buf.pieces[:0], []byte(word), buf)
	out := make([]Piece, len(buf.pieces))
	for i, p := range buf.pieces {
		out[i] = Piece{int(p.id), p.from, p.to}
	}
	return out, buf.err
}

// runeStarts returns the offset in bytes of each code point.
func runeStarts(text string) []int {
	starts := make([]int, 0, len(text))
	for i := range text {
		starts = append(starts, i)
	}
	return starts
}

// originOf returns a part of a text whose origins are code points that begin at starts.
func originOf(a *aligned, w span, starts []int) AlignedText {
	out := AlignedText{Text: string(a.text[w.from:w.to]), Origin: make([]int, w.to-w.from)}
	for i, pos := range a.pos[w.from:w.to] {
		out.Origin[i] = starts[pos]
	}
	return out
}
