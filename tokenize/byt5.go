package tokenize

import (
	"slices"
	"unicode/utf8"
)

// byT5Class is the class of ByT5, which needs no file: its tokens are the bytes of a text.
const byT5Class = "ByT5Tokenizer"

const (
	byT5Offset    = 3   // ids before those of the bytes: padding, end and unknown
	byT5Sentinels = 125 // sentinel tokens without a setting
)

// byT5 returns ByT5's tokenizer with the settings.
func (s *settings) byT5() (*spec, error) {
	s.class, s.fromPieces = byT5Class, true
	s.usual = map[string]string{"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
	t := &spec{
		kind: "bytes", normalizer: sequence(nil), preTokenizer: preSequence(nil),
		model: func(*Tokenizer) (model, error) { return utf8Bytes{}, nil },
	}
	for i, r := range []role{rolePad, roleEos, roleUnk} {
		a := s.roleToken(roleNames[r].key, s.roleOf(r))
		if _, ok := s.get(roleNames[r].key).value.(map[string]any); !ok {
			a.lstrip, a.rstrip = true, true
		}
		a.id = int32(i)
		t.vocab, t.added = append(t.vocab, a.content), append(t.added, a)
	}
	for b := range 256 {
		t.vocab = append(t.vocab, string(rune(b)))
	}
	s.classExtra = specialTokens(sentinelNames(s.count("extra_ids", byT5Sentinels))...)
	s.nameTokens(t, naming{usual: true, create: true})
	eos := part{text: -1, ids: []int32{1}, tokens: []string{t.vocab[1]}, once: true}
	t.template = template{single: []part{{text: 0}, eos}, pair: []part{{text: 0}, eos, {text: 1}, eos}}
	var added []string
	for _, a := range t.added {
		added = append(added, a.content)
	}
	t.decoder = chain(utf8Decoder(added))
	return t, s.err()
}

// utf8Bytes is ByT5's model: a token for each byte.
type utf8Bytes struct{}

func (utf8Bytes) encode(dst []piece, word []byte, _ *buffers) []piece {
	dst = slices.Grow(dst, len(word))
	for i, b := range word {
		dst = append(dst, piece{int32(b) + byT5Offset, i, i + 1})
	}
	return dst
}

// utf8Decoder returns the stage that joins ByT5's tokens: those of bytes, and added ones. Bytes that are not UTF-8 are
// left out.
func utf8Decoder(added []string) stage {
	return func(to joiner) joiner {
		b := &byteJoiner{to: to}
		return &wholeTokens{to: b, each: func(_ int, token string) {
			if r, n := utf8.DecodeRuneInString(token); n == len(token) && r < 256 && !slices.Contains(added, token) {
				b.add([]byte{byte(r)})
				return
			}
			b.add([]byte(token))
		}}
	}
}
