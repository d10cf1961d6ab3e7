package gotokenizers

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/nlpodyssey/gotokenizers/models"
	"github.com/nlpodyssey/gotokenizers/normalizedstring"
	"github.com/nlpodyssey/gotokenizers/pretokenizedstring"
	"github.com/nlpodyssey/gotokenizers/strutils"
	"github.com/nlpodyssey/gotokenizers/vocabulary"

	"github.com/spalora/spalora/tokenize"
)

// PartsOf returns the normalizer, the pre-tokenizer, the model and the vocabulary of a tokenizer of this module for
// programs that are built on gotokenizers. They make the words, tokens and ids that the tokenizer makes of a text
// without added tokens; gotokenizers has no place for added tokens, templates and decoding. Offsets are in bytes of the
// text, as everywhere in gotokenizers. The parts are safe for concurrent use.
//
// PartsOf returns an error if the vocabulary has ids without a token or equal tokens, which gotokenizers cannot have.
func PartsOf(t *tokenize.Tokenizer) (Pipeline, error) {
	v := vocabulary.NewVocabulary()
	for id := range t.VocabSize() {
		token, ok := t.Token(int32(id))
		if !ok {
			return Pipeline{}, fmt.Errorf("gotokenizers: the vocabulary has no token with the id %d, but %d tokens; "+
				"vocabularies of gotokenizers have no gaps", id, t.VocabSize())
		}
		if v.AddTerm(token); v.Size() != id+1 {
			return Pipeline{}, fmt.Errorf("gotokenizers: the vocabulary has %q twice, the second time with the id %d",
				token, id)
		}
	}
	p := t.Parts()
	return Pipeline{partNormalizer{p.Normalizer}, partPreTokenizer{p.PreTokenizer}, partModel{p.Model, t}, v}, nil
}

// errNotUTF8 is the error about a text whose alignment gotokenizers has lost already.
var errNotUTF8 = errors.New("gotokenizers: the text is not UTF-8; replace the bytes that are not, as " +
	"strings.ToValidUTF8 does")

// partNormalizer is a normalizer of package tokenize as one of gotokenizers.
type partNormalizer struct{ tokenize.Normalizer }

// Normalize implements normalizers.Normalizer.
func (n partNormalizer) Normalize(ns *normalizedstring.NormalizedString) error {
	text := ns.Get()
	if text == "" {
		return nil
	}
	if !utf8.ValidString(text) {
		return errNotUTF8
	}
	to, err := n.Normalizer.Normalize(text)
	if err != nil {
		return err
	}
	rewrite(ns, text, to)
	return nil
}

// partPreTokenizer is a pre-tokenizer of package tokenize as one of gotokenizers.
type partPreTokenizer struct{ tokenize.PreTokenizer }

// PreTokenize implements pretokenizers.PreTokenizer.
func (p partPreTokenizer) PreTokenize(pts *pretokenizedstring.PreTokenizedString) error {
	return pts.Split(func(_ int, ns *normalizedstring.NormalizedString) ([]pretokenizedstring.Split, error) {
		text := ns.Get()
		if text == "" {
			return nil, nil
		}
		if !utf8.ValidString(text) {
			return nil, errNotUTF8
		}
		begin, _ := ns.CoerceRangeToOriginal(normalizedstring.NewNormalizedRange(0, 1))
		words, err := p.Split(text, ns.OriginalOffsets().Start+begin.Start() == 0)
		if err != nil {
			return nil, err
		}
		list := make([]*normalizedstring.NormalizedString, len(words))
		for i, w := range words {
			if list[i], err = cut(ns, text, w); err != nil {
				return nil, err
			}
		}
		return pretokenizedstring.SplitsFromNormalizedStrings(list), nil
	})
}

// cut returns the part of ns, whose normal form is text, that is a word.
func cut(
	ns *normalizedstring.NormalizedString, text string, w tokenize.AlignedText,
) (*normalizedstring.NormalizedString, error) {
	if w.Text == "" {
		return normalizedstring.FromString(""), nil // PreTokenizedString leaves it out
	}
	from, to := w.Origin[0], w.Origin[len(w.Origin)-1]
	to += size(text[to:])
	part, ok := ns.Slice(normalizedstring.NewNormalizedRange(from, to))
	if !ok {
		return nil, fmt.Errorf("gotokenizers: the word %q is not a part of %q", w.Text, text)
	}
	moved := tokenize.AlignedText{Text: w.Text, Origin: make([]int, len(w.Origin))}
	for i, o := range w.Origin {
		moved.Origin[i] = o - from
	}
	rewrite(part, text[from:to], moved)
	return part, nil
}

// partModel is a model of package tokenize as one of gotokenizers.
type partModel struct {
	tokenize.Model
	tok *tokenize.Tokenizer
}

// Tokenize implements models.Model.
func (m partModel) Tokenize(sequence string) ([]models.Token, error) {
	pieces, err := m.Model.Tokenize(sequence)
	if err != nil {
		return nil, err
	}
	list := make([]models.Token, len(pieces))
	for i, p := range pieces {
		value, _ := m.tok.Token(int32(p.ID))
		list[i] = models.Token{ID: p.ID, Value: value, Offsets: strutils.ByteOffsets{Start: p.From, End: p.To}}
	}
	return list, nil
}
