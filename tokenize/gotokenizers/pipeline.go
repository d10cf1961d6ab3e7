package gotokenizers

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/nlpodyssey/gotokenizers/models"
	"github.com/nlpodyssey/gotokenizers/normalizedstring"
	"github.com/nlpodyssey/gotokenizers/normalizers"
	"github.com/nlpodyssey/gotokenizers/pretokenizedstring"
	"github.com/nlpodyssey/gotokenizers/pretokenizers"
	"github.com/nlpodyssey/gotokenizers/vocabulary"

	"github.com/spalora/spalora/tokenize"
)

// Pipeline holds the parts of gotokenizers that make ids of a text.
type Pipeline struct {
	Normalizer   normalizers.Normalizer     // nil: texts stay as they are
	PreTokenizer pretokenizers.PreTokenizer // nil: a text is one word
	Model        models.Model
	Vocabulary   *vocabulary.Vocabulary // that of the model
}

// New returns a tokenizer that makes tokens with the parts of p. c describes everything else: added tokens, templates,
// decoding; its parts and vocabulary must be empty. New returns an error if a setting contradicts the vocabulary, if
// two tokens of the vocabulary have the same id, or if the model returns different tokens for the same word.
//
// Texts for which a part fails or panics cannot be encoded: the error names the text. Also refused are a pre-tokenizer
// that makes tokens (added tokens are c.Added), one that changes the order of words, an alignment of a character with
// several, and tokens without a part of the word.
func New(p Pipeline, c tokenize.Custom) (*tokenize.Tokenizer, error) {
	if c.Normalizer != nil || c.PreTokenizer != nil || c.Model != nil || c.Vocabulary != nil {
		return nil, errors.New("gotokenizers: the description has parts or a vocabulary beside those of the pipeline; " +
			"leave them out")
	}
	if p.Model == nil || p.Vocabulary == nil {
		return nil, errors.New("gotokenizers: the pipeline has no model or no vocabulary; give both")
	}
	c.Model = model{p.Model}
	if p.Normalizer != nil {
		c.Normalizer = normalizer{p.Normalizer}
	}
	if p.PreTokenizer != nil {
		c.PreTokenizer = preTokenizer{p.PreTokenizer}
	}
	var err error
	if c.Vocabulary, err = tokens(p.Vocabulary); err != nil {
		return nil, fmt.Errorf("gotokenizers: %w", err)
	}
	return tokenize.New(c)
}

// maxGaps is the number of ids without a token that a vocabulary may have below its last id.
const maxGaps = 1 << 16

// tokens returns the tokens of a vocabulary by id, "" for ids without one.
func tokens(v *vocabulary.Vocabulary) ([]string, error) {
	n := v.Size()
	list := make([]string, 0, n)
	for id, found := 0, 0; found < n; id++ {
		if id == n+maxGaps {
			return nil, fmt.Errorf("the vocabulary has %d tokens, but only %d have ids of their own from 0 to %d; "+
				"number the tokens from 0", n, found, id-1)
		}
		token, ok := v.GetString(id)
		if ok && token == "" {
			return nil, fmt.Errorf("the vocabulary has an empty token, of id %d", id)
		}
		if ok {
			found++
		}
		list = append(list, token)
	}
	return list, nil
}

// caught turns a panic into an error.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("gotokenizers panics: %v", p)
	}
}

// normalizer is a normalizer of gotokenizers as one of package tokenize.
type normalizer struct{ normalizers.Normalizer }

// Normalize implements [tokenize.Normalizer].
func (n normalizer) Normalize(text string) (out tokenize.AlignedText, err error) {
	defer caught(&err)
	ns, err := n.apply(text)
	if err != nil {
		return out, err
	}
	if out, err = aligned(ns, text, 0); err != nil {
		return out, err
	}
	return out, n.checkBeginning(text, out)
}

// apply returns the normal form of a text.
func (n normalizer) apply(text string) (*normalizedstring.NormalizedString, error) {
	ns := normalizedstring.FromString(text)
	if err := n.Normalizer.Normalize(ns); err != nil {
		return nil, err
	}
	if ns.GetOriginal() != text || ns.OriginalOffsets().Start != 0 {
		return nil, errors.New("the normalizer has replaced the original text, so that there are no offsets")
	}
	return ns, nil
}

// checkBeginning returns an error if NormalizedString has misplaced the alignment because characters of several bytes
// were removed at the beginning of the text. Nothing was if the result begins with the first character, or if only
// ASCII precedes what it begins with. Otherwise each character of the result must be one that its origin becomes by
// itself. Our own normalizers count bytes.
func (n normalizer) checkBeginning(text string, out tokenize.AlignedText) error {
	if _, ours := n.Normalizer.(partNormalizer); ours || out.Text == "" {
		return nil
	}
	first := out.Origin[0]
	begin := text[:first+size(text[first:])]
	if first == 0 && len(begin) == 1 || first > 0 && len(begin) == utf8.RuneCountInString(begin) {
		return nil
	}
	becomes := map[string]string{}
	for i, r := range out.Text {
		from := text[out.Origin[i]:]
		from = from[:size(from)]
		alone, known := becomes[from]
		if !known {
			alone, _ = n.alone(from) // "" with an error
			becomes[from] = alone
		}
		if !strings.ContainsRune(alone, r) {
			return fmt.Errorf("characters of several bytes are removed at the beginning of the text, in or before %q, and "+
				"gotokenizers then loses the alignment; remove them from the text before", begin)
		}
		if first == 0 {
			return nil
		}
	}
	return nil
}

// alone returns the normal form of one character, "" if there is none.
func (n normalizer) alone(char string) (out string, err error) {
	defer caught(&err)
	ns, err := n.apply(char)
	if err != nil {
		return "", err
	}
	return ns.Get(), nil
}

// preTokenizer is a pre-tokenizer of gotokenizers as one of package tokenize.
type preTokenizer struct{ pretokenizers.PreTokenizer }

// Split implements [tokenize.PreTokenizer].
func (p preTokenizer) Split(text string, first bool) (words []tokenize.AlignedText, err error) {
	defer caught(&err)
	ns, before := normalizedstring.FromString(text), 0
	if !first {
		const other = "x" // stands for what precedes the text
		before = len(other)
		var ok bool
		ns, ok = normalizedstring.FromString(other + text).
			Slice(normalizedstring.NewNormalizedRange(before, before+len(text)))
		if !ok {
			return nil, errors.New("the text is not UTF-8")
		}
	}
	pts := pretokenizedstring.FromNormalizedString(ns)
	if err := p.PreTokenize(pts); err != nil {
		return nil, err
	}
	for _, s := range pts.Splits() {
		if s.Tokens != nil {
			return nil, fmt.Errorf("the pre-tokenizer makes tokens of %q itself; describe added tokens in Custom.Added",
				s.NormalizedString.Get())
		}
		word, err := aligned(s.NormalizedString, text, before)
		if err != nil {
			return nil, err
		}
		words = append(words, word)
	}
	return words, nil
}

// model is a model of gotokenizers as one of package tokenize.
type model struct{ models.Model }

// Tokenize implements [tokenize.Model].
func (m model) Tokenize(word string) (pieces []tokenize.Piece, err error) {
	defer caught(&err)
	list, err := m.Model.Tokenize(word)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		pieces = append(pieces, tokenize.Piece{ID: t.ID, From: t.Offsets.Start, To: t.Offsets.End})
	}
	return pieces, nil
}
