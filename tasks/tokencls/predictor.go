package tasks

import (
	"context"
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/nn/op"
)

// TokenPrediction is what a model says about the words of one sentence.
type TokenPrediction struct {
	// Tokens are those of the words, in order.
	Tokens []PredictedToken
	// Cut is how many words were cut off, for which there is no prediction.
	Cut int
}

// PredictedToken is a token with the probabilities of its labels.
type PredictedToken struct {
	ID       int32
	Index    int       // among the tokens of the sentence, special ones counted, as if it were in one window
	Word     int       // the word that it belongs to
	From, To int       // the code points of the sentence's text that it was made from
	Begin    int       // the code point where its word begins, which may be behind a blank that belongs to the token
	Scores   []float32 // probability of each label
}

// Predict computes the probabilities of the labels of all tokens of a table's sentences, and counts. It looks at no tags. A sentence that is longer
// than the limit is seen window by window, or cut, as the configuration says.
func (t *TokenCls) Predict(ctx context.Context, table *tagged.File) ([]TokenPrediction, TokenCounts, error) {
	texts, err := t.read(ctx, table)
	if err != nil {
		return nil, TokenCounts{}, err
	}
	set := &tokenSet{textSet: textSet{starts: []int{0}}}
	set.counts.Sentences = len(texts)
	out := make([]TokenPrediction, len(texts))
	at := make([][]int, 0, len(texts)) // for each sequence the index of each of its tokens in out, -1: none
	for i := range texts {
		x := &texts[i]
		set.counts.Words += len(x.seen)
		set.counts.count(x)
		out[i].Cut = x.cut
		x.each(table.At(i), func(k int, tokens []PredictedToken, of []int) {
			for j, n := range of {
				if n >= 0 {
					of[j] = len(out[i].Tokens) + n
				}
			}
			out[i].Tokens = append(out[i].Tokens, tokens...)
			set.append(x, k, nil, i)
			at = append(at, of)
		})
	}
	if !t.types {
		set.types = nil
	}
	set.counts.Sequences = set.Len()
	k := t.model.Labels()
	err = t.forward(ctx, set, func(seqs []int, _ *op.Tape, logits mat.Tensor, _ []int, b *batch.Batch) {
		p := Probabilities(data.SingleLabel, op.Values(logits), k)
		for i, q := range seqs {
			for j, n := range at[q] {
				if n >= 0 {
					row := b.Seqs.Starts[i] + j
					out[set.sentence[q]].Tokens[n].Scores = p[row*k : (row+1)*k : (row+1)*k]
				}
			}
		}
	})
	if err != nil {
		return nil, TokenCounts{}, err
	}
	return out, set.counts, nil
}

// each calls f for every window in which there is a token of a word to predict: with these tokens, and for all tokens of the window which
// of them it is, -1 for none. Tokens come in the order of the text, since the window of a token never lies before that of the token before.
func (x *tokenText) each(e tagged.Sentence, f func(window int, tokens []PredictedToken, of []int)) {
	for k, w := range x.windows {
		var tokens []PredictedToken
		of := make([]int, len(w.IDs))
		index := x.leading + x.starts[k]
		for i, id := range w.IDs {
			of[i] = -1
			if w.Sequences[i] < 0 {
				continue
			}
			if word := int(x.words[k][i]); word >= 0 {
				of[i] = len(tokens)
				first := 0
				if e.Split {
					first = e.Words[word].From
				}
				tokens = append(tokens, PredictedToken{
					ID: id, Index: index, Word: word, From: first + w.Offsets[i][0], To: first + w.Offsets[i][1], Begin: e.Words[word].From,
				})
			}
			index++
		}
		if len(tokens) > 0 {
			f(k, tokens, of)
		}
	}
}

// Tags returns the tag that is predicted for each word of a sentence, that of its first token, and its probability; "" for a word without a token.
func (t *TokenCls) Tags(e tagged.Sentence, p TokenPrediction) (tags []string, scores []float32) {
	tags, scores = make([]string, len(e.Words)), make([]float32, len(e.Words))
	for i := range p.Tokens {
		if k := &p.Tokens[i]; tags[k.Word] == "" {
			best := largest(k.Scores)
			tags[k.Word], scores[k.Word] = t.cfg.Labels.Names[best], k.Scores[best]
		}
	}
	return tags, scores
}

// Score returns the scores of predictions that were computed before, those of [TokenCls.Predict] for the same table. Sentences without tags do not count; if
// none has tags, the result is nil. The loss is over the first tokens of words, without class weights and smoothing.
func (t *TokenCls) Score(table *tagged.File, predictions []TokenPrediction) (*TokenScores, error) {
	if len(predictions) != table.Len() {
		return nil, fmt.Errorf("tasks: %d predictions for %d sentences", len(predictions), table.Len())
	}
	classes, err := table.Classes(t.cfg.Labels)
	if err != nil {
		return nil, err
	}
	found := make([][]int32, len(classes))
	loss, targets := 0.0, 0
	for i := range classes {
		if classes[i] == nil {
			continue
		}
		found[i] = make([]int32, len(classes[i]))
		for w := range found[i] {
			found[i][w] = batch.Ignore
		}
		for _, k := range predictions[i].Tokens {
			if found[i][k.Word] == batch.Ignore {
				found[i][k.Word] = int32(largest(k.Scores))
				loss -= math.Log(math.Max(float64(k.Scores[classes[i][k.Word]]), math.SmallestNonzeroFloat32))
				targets++
			}
		}
	}
	if targets == 0 {
		return nil, nil
	}
	s, err := t.scores(classes, found)
	if err == nil {
		s.Loss = loss / float64(targets)
	}
	return s, err
}

// largest returns the index of the largest value, the first among equals.
func largest(row []float32) int { return int(ArgMax(row, len(row))[0]) }
