package tokenize

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// sentencePiece is the content of a SentencePiece model file, ModelProto in
// https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto.
type sentencePiece struct {
	pieces []scoredPiece
	rules  *charsMap // precompiled_charsmap, or nil

	bpe             bool // otherwise Unigram
	fallback        bool // unknown characters become bytes
	suffix          bool // the mark of a blank ends a word instead of beginning it
	dummyPrefix     bool // a blank is added before a text
	removeBlanks    bool // blanks at the ends, and all but one of several, are removed
	escapeBlanks    bool // blanks become marks
	denormalizes    bool // decoded text is rewritten by a table
	unk, bos, eos   int
	unkName, unkOut string
	bosName         string
	eosName         string
}

// pieceType is the type of a piece.
type pieceType uint64

const (
	normalPiece      pieceType = 1
	unknownPiece     pieceType = 2
	controlPiece     pieceType = 3
	userDefinedPiece pieceType = 4
	unusedPiece      pieceType = 5
	bytePiece        pieceType = 6
)

// scoredPiece is a piece with the logarithm of its probability or, in a BPE model, the negative rank of its merge.
type scoredPiece struct {
	text  string
	score float64 // a float32 in the file
	kind  pieceType
}

// parseSentencePiece reads a SentencePiece model.
func parseSentencePiece(raw []byte) (*sentencePiece, error) {
	m := &sentencePiece{
		dummyPrefix: true, removeBlanks: true, escapeBlanks: true, bos: 1, eos: 2,
		unkName: "<unk>", bosName: "<s>", eosName: "</s>", unkOut: " \u2047 ",
	}
	kind := uint64(1)
	var rules []byte
	err := eachField(raw, func(f protoField) error {
		if f.number < 1 || f.number > 5 || f.number == 4 { // self tests
			return nil
		}
		if err := f.want(delimited); err != nil {
			return err
		}
		switch f.number {
		case 1:
			return m.readPiece(f.data)
		case 2:
			return inside("trainer_spec", m.readTrainer(f.data, &kind))
		case 3:
			return inside("normalizer_spec", m.readNormalizer(f.data, &rules))
		}
		return inside("denormalizer_spec", eachField(f.data, func(f protoField) error {
			m.denormalizes = m.denormalizes || f.number == 2 && len(f.data) > 0
			return nil
		}))
	})
	if err != nil {
		return nil, fmt.Errorf("%w; want a SentencePiece model", err)
	}
	switch kind {
	case 1:
	case 2:
		m.bpe = true
	case 3, 4:
		return nil, fmt.Errorf("the model splits texts into %s, which is not supported; want a Unigram or BPE model",
			[]string{"words", "characters"}[kind-3])
	default:
		return nil, fmt.Errorf("the model has the type %d; want 1 (Unigram) or 2 (BPE)", kind)
	}
	if len(m.pieces) == 0 {
		return nil, errors.New("no pieces; want a SentencePiece model")
	}
	if len(rules) > 0 {
		if m.rules, err = newCharsMap(rules); err != nil {
			return nil, fmt.Errorf("precompiled_charsmap: %w", err)
		}
	}
	return m, nil
}

// inside adds the name of a message to an error.
func inside(name string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readPiece reads a piece.
func (m *sentencePiece) readPiece(data []byte) error {
	p := scoredPiece{kind: normalPiece}
	err := eachField(data, func(f protoField) error {
		var err error
		switch f.number {
		case 1:
			if err = f.want(delimited); err == nil {
				p.text, err = utf8Text(f.data)
			}
		case 2:
			err = f.want(fixed32)
			p.score = float64(math.Float32frombits(uint32(f.value)))
			if math.IsNaN(p.score) || math.IsInf(p.score, 0) {
				err = fmt.Errorf("the score is %v, want a number", p.score)
			}
		case 3:
			err = f.want(varint)
			if p.kind = pieceType(f.value); p.kind < normalPiece || p.kind > bytePiece {
				err = fmt.Errorf("the type is %d, want 1 … 6", f.value)
			}
		}
		return err
	})
	if err == nil && p.text == "" {
		err = errors.New("empty")
	}
	if err != nil {
		return fmt.Errorf("piece %d: %w", len(m.pieces), err)
	}
	m.pieces = append(m.pieces, p)
	return nil
}

// utf8Text returns data as a text.
func utf8Text(data []byte) (string, error) {
	if !utf8.Valid(data) {
		return "", errors.New("not UTF-8")
	}
	return string(data), nil
}

// readTrainer reads the settings of the training that matter later.
func (m *sentencePiece) readTrainer(data []byte, kind *uint64) error {
	return eachField(data, func(f protoField) error {
		switch f.number {
		case 3:
			*kind = f.value
			return f.want(varint)
		case 24:
			m.suffix = f.value != 0
			return f.want(varint)
		case 35:
			m.fallback = f.value != 0
			return f.want(varint)
		case 40, 41, 42:
			*[]*int{&m.unk, &m.bos, &m.eos}[f.number-40] = int(int32(f.value))
			return f.want(varint)
		case 44, 45, 46, 47:
			text, err := utf8Text(f.data)
			*[]*string{&m.unkOut, &m.unkName, &m.bosName, &m.eosName}[f.number-44] = text
			return errors.Join(f.want(delimited), err)
		}
		return nil
	})
}

// readNormalizer reads how texts are rewritten.
func (m *sentencePiece) readNormalizer(data []byte, rules *[]byte) error {
	return eachField(data, func(f protoField) error {
		switch f.number {
		case 2:
			*rules = f.data
			return f.want(delimited)
		case 3, 4, 5:
			*[]*bool{&m.dummyPrefix, &m.removeBlanks, &m.escapeBlanks}[f.number-3] = f.value != 0
			return f.want(varint)
		}
		return nil
	})
}

// vocabulary returns the texts and the scores of pieces.
func vocabulary(pieces []scoredPiece) (texts []string, scores []float64) {
	texts, scores = make([]string, len(pieces)), make([]float64, len(pieces))
	for i, p := range pieces {
		texts[i], scores[i] = p.text, p.score
	}
	return texts, scores
}

// mergesOf returns the merges of a BPE model as transformers derives them from its pieces: for each piece, in the order
// of the ids, all pairs of pieces that it consists of, those with the shortest left piece first. vocab has a text for
// each id; of equal ones, the last counts.
func mergesOf(vocab []string) [][2]string {
	ids := make(map[string]int32, len(vocab))
	for id, text := range vocab {
		ids[text] = int32(id)
	}
	keys, values := make([]string, 0, len(ids)), make([]int32, 0, len(ids))
	for id, text := range vocab {
		if ids[text] == int32(id) {
			keys, values = append(keys, text), append(values, int32(id))
		}
	}
	t := newTrie(keys, values)
	var merges [][2]string
	for _, text := range keys {
		if text == "" {
			continue
		}
		n := t.root[text[0]]
		for i := 1; n != 0 && i < len(text); i++ {
			if t.value[n] >= 0 {
				if _, ok := ids[text[i:]]; ok {
					merges = append(merges, [2]string{text[:i], text[i:]})
				}
			}
			n = t.child(n, text[i])
		}
	}
	return merges
}
