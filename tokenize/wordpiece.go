package tokenize

import (
	"strings"
	"unicode/utf8"
)

// piece is a part of a word that has its own id.
type piece struct {
	id       int32
	from, to int // bytes of the word; tokens of a character's bytes have the range of the character
}

// model turns words into ids.
type model interface {
	// encode appends the pieces of word, which is not empty, to dst, in order.
	encode(dst []piece, word []byte, buf *buffers) []piece
}

// wordPiece splits a word greedily into the longest pieces of its vocabulary.
type wordPiece struct {
	start    *trie // pieces that may begin a word
	inner    *trie // pieces that may follow, without their prefix
	unk      int32 // id of a word that cannot be split
	maxChars int   // longer words are unknown
}

// newWordPiece makes the model of a vocabulary (index = id) in which pieces inside words have the prefix.
func newWordPiece(vocab []string, unk int32, prefix string, maxChars int) *wordPiece {
	ids := make([]int32, len(vocab))
	var rest []string
	var restIDs []int32
	for i, token := range vocab {
		ids[i] = int32(i)
		if tail, ok := strings.CutPrefix(token, prefix); ok && tail != "" {
			rest = append(rest, tail)
			restIDs = append(restIDs, int32(i))
		}
	}
	return &wordPiece{start: newTrie(vocab, ids), inner: newTrie(rest, restIDs), unk: unk, maxChars: maxChars}
}

func (m *wordPiece) encode(dst []piece, word []byte, _ *buffers) []piece {
	if len(word) > m.maxChars && utf8.RuneCount(word) > m.maxChars {
		return append(dst, piece{m.unk, 0, len(word)})
	}
	mark := len(dst)
	t := m.start
	for at := 0; at < len(word); {
		n, id := longest(t, word[at:])
		if n == 0 {
			return append(dst[:mark], piece{m.unk, 0, len(word)})
		}
		dst = append(dst, piece{id, at, at + n})
		at += n
		t = m.inner
	}
	return dst
}
