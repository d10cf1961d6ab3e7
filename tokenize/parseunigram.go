package tokenize

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// parseUnigram reads a model that SentencePiece made. Its vocabulary is a list of tokens with their scores; the ids are
// the indices in the list.
func parseUnigram(f field, s *spec) {
	f.only("type", "unk_id", "vocab", "byte_fallback")
	vocab, scores := parseScores(f.get("vocab"), s.exactScores)
	s.vocab = vocab
	unk := f.get("unk_id")
	if !unk.is() {
		unk.fail("missing: without a token for unknown text, no text can be encoded")
		return
	}
	id := unk.id()
	if int(id) >= len(vocab) && len(vocab) > 0 {
		unk.fail("got %d, but the vocabulary has %d tokens", id, len(vocab))
	}
	s.setUnigram(id, scores, f.get("byte_fallback").optionalTruth())
}

// setUnigram makes s a description of a Unigram model. If a token is listed more than once in the vocabulary, its last
// index counts, as in the reference.
func (s *spec) setUnigram(unk int32, scores []float64, fallback bool) {
	s.scores = scores
	s.model = func(t *Tokenizer) (model, error) {
		m := &unigram{scores: scores, unk: unk, unkScore: math.Inf(1)}
		keys, ids := make([]string, 0, len(t.tokens)), make([]int32, 0, len(t.tokens))
		for id, token := range t.tokens {
			if t.ids[token] == int32(id) {
				keys, ids = append(keys, token), append(ids, int32(id))
			}
			m.unkScore = min(m.unkScore, scores[id])
		}
		m.unkScore -= unkPenalty
		m.trie = newTrie(keys, ids)
		if fallback {
			m.bytes = byteTokens(t.ids)
		}
		return m, nil
	}
}

// parseScores reads a list of tokens and scores.
func parseScores(f field, exact bool) (vocab []string, scores []float64) {
	list, ok := f.value.([]any)
	if !ok {
		f.fail("want an array, got %s", kind(f.value))
		return nil, nil
	}
	if len(list) == 0 {
		f.fail("empty")
	}
	bad := 0
	for i, v := range list {
		token, score, err := parseScore(v, exact)
		if err != nil {
			if bad++; bad <= maxErrors {
				field{f.path + "[" + strconv.Itoa(i) + "]", v, f.errs}.fail("%v", err)
			}
		}
		vocab, scores = append(vocab, token), append(scores, score)
	}
	if bad > maxErrors {
		f.fail("and %d more errors", bad-maxErrors)
	}
	return vocab, scores
}

// parseScore reads a token with its score.
func parseScore(v any, exact bool) (token string, score float64, err error) {
	pair, _ := v.([]any)
	if len(pair) != 2 {
		return "", 0, fmt.Errorf("want a token and its score, got %s", kind(v))
	}
	token, ok := pair[0].(string)
	n, ok2 := pair[1].(json.Number)
	if !ok || !ok2 {
		return "", 0, fmt.Errorf("want a token and its score, got %s and %s", kind(pair[0]), kind(pair[1]))
	}
	if exact {
		score, err = strconv.ParseFloat(n.String(), 64)
		ok = err == nil
	} else {
		score, ok = libraryFloat(n.String())
	}
	if !ok {
		return "", 0, fmt.Errorf("score %s of %q is too large", n, token)
	}
	return token, score, nil
}
