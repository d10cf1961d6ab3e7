package ggufmodel

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/spalora/spalora/checkpoint/internal/strictjson"
)

// sentencePiece completes t for a BPE tokenizer of SentencePiece's kind: spaces are written as ▁, and text that is
// not in the vocabulary as bytes.
func (m *Model) sentencePiece(t *tokenizerJSON, v *vocab, s *settings) error {
	merges, err := m.merges()
	if err != nil {
		return err
	}
	if merges == nil {
		if merges, err = m.impliedMerges(v); err != nil {
			return err
		}
	}
	prefix, ok, err := m.file.Bool("tokenizer.ggml.add_space_prefix")
	if err != nil {
		return err
	}
	prefix = prefix || !ok
	t.Model = bpe{Type: "BPE", FuseUnk: true, ByteFallback: true, Vocab: v.tokens, Merges: merges}
	if id, ok := s.ids["unk"]; ok {
		t.Model.UnkToken = &v.tokens[id]
	}
	steps := []object{
		{"type": "Replace", "pattern": object{"String": "▁"}, "content": " "},
		{"type": "ByteFallback"},
		{"type": "Fuse"},
	}
	scheme := "never"
	if prefix {
		scheme = "first"
		steps = append(steps, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
	}
	t.PreTokenizer = object{"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": false}
	t.Decoder = object{"type": "Sequence", "decoders": steps}
	return nil
}

// maxSplits limits the work of finding the merges that a vocabulary implies, in bytes. Real vocabularies need a
// hundredth of it.
const maxSplits = 1 << 30

// impliedMerges finds every way to join two tokens to a third. The pair whose token has the highest score is merged
// first; among equal scores the order is that of transformers, whose sort keeps ties in the order of the ids of the two
// halves.
func (m *Model) impliedMerges(v *vocab) ([][2]string, error) {
	scores, err := m.file.Floats(scoresKey)
	if err != nil {
		return nil, err
	}
	if scores == nil {
		return nil, fmt.Errorf("the metadata lack both %q and %q", mergesKey, scoresKey)
	}
	if len(scores) != len(v.tokens) {
		return nil, fmt.Errorf("key %q has %d values for %d tokens", scoresKey, len(scores), len(v.tokens))
	}
	type merge struct {
		left, right string
		score       float64
		lengths     [2]int // in characters
	}
	var all []merge
	work := uint64(0)
	for id, token := range v.tokens {
		if work += uint64(len(token)) * uint64(len(token)); work > maxSplits {
			return nil, fmt.Errorf("key %q: token %d is too long to be split in every way: %s", tokensKey, id, quote(token))
		}
		first := len(all)
		for i := range token {
			if i == 0 {
				continue
			}
			left, right := token[:i], token[i:]
			if _, ok := v.ids[left]; !ok {
				continue
			}
			if _, ok := v.ids[right]; ok {
				lengths := [2]int{utf8.RuneCountInString(left), utf8.RuneCountInString(right)}
				all = append(all, merge{left, right, scores[id], lengths})
			}
		}
		slices.SortStableFunc(all[first:], func(a, b merge) int {
			return cmp.Or(cmp.Compare(v.ids[a.left], v.ids[b.left]), cmp.Compare(v.ids[a.right], v.ids[b.right]))
		})
	}
	slices.SortStableFunc(all, func(a, b merge) int {
		return cmp.Or(cmp.Compare(b.score, a.score),
			cmp.Compare(b.lengths[0], a.lengths[0]), cmp.Compare(b.lengths[1], a.lengths[1]))
	})
	pairs := make([][2]string, len(all))
	for i, x := range all {
		pairs[i] = [2]string{x.left, x.right}
	}
	return pairs, nil
}

// quote escapes and clips a text from the file, so that it cannot disturb a terminal.
func quote(text string) string { return strconv.QuoteToASCII(strictjson.Clip(text)) }
