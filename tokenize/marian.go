package tokenize

import (
	"bytes"
	"fmt"
	"slices"
)

// marianClass is the class of Marian's models. It has two SentencePiece models, one for each side, whose pieces have
// the ids of vocab.json.
const marianClass = "MarianTokenizer"

const (
	marianSource    = "source.spm"
	marianTarget    = "target.spm"
	marianMaxLength = 512 // without a setting
)

// loadMarian reads Marian's tokenizer. As in transformers, ids are decoded with the source's model.
func loadMarian(open func(string) ([]byte, error), set *settings, lower bool) (*Tokenizer, error) {
	set.class, set.fromPieces = marianClass, true
	set.usual = map[string]string{"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
	if !set.get("model_max_length").is() && !set.get("max_len").is() {
		set.maxLength = marianMaxLength
	}
	if set.flag("separate_vocabs", false) {
		return nil, fmt.Errorf("tokenize: %s: separate_vocabs is true, but only one vocabulary for both sides is supported",
			configFile)
	}
	raw, err := open(bpeFile)
	if err != nil {
		return nil, fmt.Errorf("tokenize: %s, which a %s needs: %w", bpeFile, marianClass, err)
	}
	doc, err := parseJSON(bpeFile, raw)
	if err != nil {
		return nil, err
	}
	vocab, missing := parseVocabulary(field{bpeFile + ":", doc, &set.errs}, maxGaps)
	if err := set.err(); err != nil {
		return nil, err
	}
	var sides [2]*Tokenizer
	for i, name := range []string{marianSource, marianTarget} {
		raw, err := open(name)
		if err != nil {
			return nil, fmt.Errorf("tokenize: %s, which a %s needs: %w", name, marianClass, err)
		}
		s, err := set.marian(raw, vocab, missing)
		if err != nil {
			return nil, fmt.Errorf("tokenize: %s: %w", name, err)
		}
		if sides[i], err = finish(name, s, set, lower); err != nil {
			return nil, err
		}
	}
	sides[0].target = sides[1]
	return sides[0], nil
}

// marian returns the tokenizer of one side.
func (s *settings) marian(raw []byte, vocab []string, missing map[int32]bool) (*spec, error) {
	m, err := parseSentencePiece(raw)
	if err != nil {
		return nil, err
	}
	pieces, err := newPieceModel(m)
	if err != nil {
		return nil, err
	}
	t := &spec{
		kind: "SentencePiece", vocab: slices.Clone(vocab), missing: map[int32]bool{},
		normalizer: newPieceNormalizer(m), preTokenizer: codeSplitter{},
		model: func(t *Tokenizer) (model, error) {
			id, ok := t.ids[s.roleOf(roleUnk)]
			if !ok {
				return nil, fmt.Errorf("unknown token %q is not in the vocabulary", s.roleOf(roleUnk))
			}
			return marianModel{pieces, t.ids, id}, nil
		},
	}
	for id := range missing {
		t.missing[id] = true
	}
	t.template = s.oneEndTemplate(s.nameTokens(t, naming{usual: true, create: true}))
	special := map[string]bool{}
	for _, a := range t.added {
		if a.special {
			special[a.content] = true
		}
	}
	t.decoder = chain(pieceDecoder(m, special))
	return t, s.err()
}

// marianModel gives the pieces of a SentencePiece model the ids of Marian's vocabulary, by their text.
type marianModel struct {
	pieces *pieceModel
	ids    map[string]int32
	unk    int32
}

func (m marianModel) encode(dst []piece, word []byte, buf *buffers) []piece {
	if word[0] == codeMark {
		return append(dst, piece{m.id(word[1:]), 0, len(word)})
	}
	mark := len(dst)
	dst = m.pieces.encode(dst, word, buf)
	for i := range dst[mark:] {
		p := &dst[mark+i]
		if p.id >= 0 { // a byte
			p.id = m.id(m.pieces.byteNames[p.id])
		} else {
			p.id = m.id(word[p.from:p.to])
		}
	}
	return dst
}

// id returns the id of a token, or that of the unknown one.
func (m marianModel) id(token []byte) int32 {
	if id, ok := m.ids[string(token)]; ok {
		return id
	}
	return m.unk
}

// codeMark begins the word of a language such as >>fra<<, which a text can begin with and which is not split into
// pieces. The byte occurs in no text.
const codeMark = 0xFF

// codeLen returns the number of bytes of the language that text begins with, or 0.
func codeLen(text []byte) int {
	if !bytes.HasPrefix(text, []byte(">>")) {
		return 0
	}
	i := bytes.Index(text, []byte("<<"))
	if i < 0 {
		return 0
	}
	return i + 2
}

// codeSplitter splits the word of a language from the text after it.
type codeSplitter struct{}

func (codeSplitter) split(in *aligned, buf *buffers) *aligned {
	if len(buf.words) == 0 || in.text[buf.words[0].from] != codeMark {
		return in
	}
	w := buf.words[0]
	end := w.from + 1 + codeLen(in.text[w.from+1:w.to])
	if buf.words = append(buf.words[:0], span{w.from, end}); end < w.to {
		buf.words = append(buf.words, span{end, w.to})
	}
	return in
}
