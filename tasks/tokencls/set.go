package tasks

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/tokenize"
)

// TokenCounts says what became of the sentences of a split.
type TokenCounts struct {
	Sentences int // that were given
	Sequences int // that are trained on or evaluated: sentences, or windows of long ones
	Words     int // that were given
	Targets   int // tokens that have a label
	// Windowed is how many sentences are longer than the limit and were made into windows, Cut how many were cut and CutWords how many
	// words that has cost.
	Windowed, Cut, CutWords int
	// Tokenless is how many words have no token of their own: the tokenizer leaves nothing of them, or, in a raw text, they share a token
	// with the word before. Nothing is predicted for them, and neither they nor words that were cut off count in a score.
	// TokenlessTagged of them are in an entity.
	Tokenless, TokenlessTagged int
	// Empty is how many sentences were left out as none of their words has a label.
	Empty int
}

// Add adds the counts of another part of the same sentences.
func (c *TokenCounts) Add(o TokenCounts) {
	c.Sentences += o.Sentences
	c.Sequences += o.Sequences
	c.Words += o.Words
	c.Targets += o.Targets
	c.Windowed += o.Windowed
	c.Cut += o.Cut
	c.CutWords += o.CutWords
	c.Tokenless += o.Tokenless
	c.TokenlessTagged += o.TokenlessTagged
	c.Empty += o.Empty
}

// tokenSet is a list of tokenised sentences, or windows of them, with a label for each token: the batch.Set of token
// classification.
type tokenSet struct {
	textSet
	word     []int32 // for each token the number of its word; -1: none, or it is learned and predicted in another window
	first    []bool  // whether it is the first token of that word
	sentence []int   // for each sequence the example that it is of
	classes  [][]int32
	counts   TokenCounts
}

// tokenText is a sentence as the model reads it.
type tokenText struct {
	windows []tokenize.Encoding
	starts  []int     // number of the first token of each window among all tokens of the sentence
	leading int       // special tokens before the first
	words   [][]int32 // as tokenSet.word, for each window
	first   [][]bool
	seen    []bool // whether a word has a token
	cut     int    // words that were cut off
}

// read tokenises the sentences of a table.
func (t *TokenCls) read(ctx context.Context, table *tagged.File) ([]tokenText, error) {
	inputs := make([]tokenize.Input, table.Len())
	for i, e := range table.All() {
		if e.Split {
			inputs[i].Words = e.WordTexts()
		} else {
			inputs[i].Text = e.Text
		}
	}
	line := func(i int) int { return table.At(i).Line }
	out := make([]tokenText, len(inputs))
	workers := t.cfg.Pool.Workers()
	if t.cfg.Stride < 0 {
		o := tokenize.Options{MaxLength: t.length, Offsets: true, Words: true}
		list, err := t.tok.EncodeBatch(ctx, inputs, o, workers)
		if err != nil {
			return nil, inputError(err, table.Name, line)
		}
		for i, e := range list {
			out[i] = tokenText{windows: []tokenize.Encoding{e}, starts: []int{0}}
		}
	} else {
		w := tokenize.Windowing{MaxLength: t.length, Stride: t.cfg.Stride, Shrink: true}
		list, err := t.tok.WindowsBatch(ctx, inputs, w, workers)
		if err != nil {
			return nil, inputError(err, table.Name, line)
		}
		for i, l := range list {
			out[i] = tokenText{windows: l.List, starts: windowStarts(l, t.cfg.Stride)}
		}
	}
	for i := range out {
		out[i].match(table.At(i))
	}
	return out, nil
}

// windowStarts returns which token of a text each of its windows begins with.
func windowStarts(w tokenize.Windows, stride int) []int {
	starts := make([]int, len(w.List))
	if len(starts) == 1 {
		return starts
	}
	room := 0
	for _, s := range w.List[0].Sequences {
		if s == 0 {
			room++
		}
	}
	if w.Shrunk {
		stride = room / 2
	}
	for i := range starts {
		starts[i] = i * (room - stride)
	}
	return starts
}

// match finds the word of each token. The tokens of a word belong to one window, the one that shows most of what stands around it; those that
// are not in it, as the word is longer than what windows share, belong to others.
func (x *tokenText) match(e tagged.Sentence) {
	x.seen = make([]bool, len(e.Words))
	of, ends := x.wordsOfTokens(e)
	homes, first := make([]int, len(of)), make([]bool, len(of))
	last := int32(-1)
	for from := 0; from < len(of); {
		to := from + 1
		for to < len(of) && of[to] == of[from] {
			to++
		}
		k := home(x.starts, ends, from, to)
		for i := from; i < to; i++ {
			if homes[i] = k; i >= ends[k] {
				homes[i] = home(x.starts, ends, i, i+1)
			}
		}
		if w := of[from]; w >= 0 {
			first[from] = !x.seen[w]
			x.seen[w], last = true, w
		}
		from = to
	}
	x.words, x.first = make([][]int32, len(x.windows)), make([][]bool, len(x.windows))
	for k, w := range x.windows {
		x.words[k], x.first[k] = make([]int32, len(w.IDs)), make([]bool, len(w.IDs))
		n := x.starts[k]
		for i, s := range w.Sequences {
			x.words[k][i] = -1
			if s < 0 {
				continue
			}
			if homes[n] == k {
				x.words[k][i], x.first[k][i] = of[n], first[n]
			}
			n++
		}
	}
	if x.windows[0].Truncated > 0 {
		x.cut = len(e.Words) - 1 - int(last)
	}
}

// wordsOfTokens returns the word of each token of the sentence, special ones left out, and the token before which each window ends.
func (x *tokenText) wordsOfTokens(e tagged.Sentence) (of []int32, ends []int) {
	var text []rune
	if !e.Split {
		text = []rune(e.Text)
	}
	ends = make([]int, len(x.windows))
	for k, w := range x.windows {
		n, at := x.starts[k], 0
		for i, s := range w.Sequences {
			if s < 0 {
				if k == 0 && n == 0 {
					x.leading++
				}
				continue
			}
			if n == len(of) {
				word := w.Words[i]
				if !e.Split {
					word, at = wordAt(text, e.Words, at, w.Offsets[i])
				}
				of = append(of, word)
			}
			n++
		}
		ends[k] = n
	}
	return of, ends
}

// wordAt returns the word that a token begins in or, if it begins in none, the first one that it reaches into; -1 if there is none. A token of the
// blank before a word alone (▁, of SentencePiece models) is the word's first, as it is when the text comes in words. Words
// before number at end before the token.
func wordAt(text []rune, words []tagged.Word, at int, offsets [2]int) (word int32, next int) {
	from, to := offsets[0], max(offsets[1], offsets[0]+1) // a token that stands for nothing in the text belongs to what follows
	for at < len(words) && words[at].To <= from {
		at++
	}
	if at < len(words) && (words[at].From < to || words[at].From == to && blank(string(text[from:offsets[1]]))) {
		return int32(at), at
	}
	return -1, at
}

// blank reports whether text is white space, and some.
func blank(text string) bool { return text != "" && strings.TrimSpace(text) == "" }

// home returns the window, of those that hold token from, in which the shorter of the two contexts of tokens from ≤ i < to is longest. Windows
// begin at starts and end before ends, and all but the last are equally long.
func home(starts, ends []int, from, to int) int {
	n, last := ends[len(ends)-1], len(starts)-1
	best, most := 0, math.MinInt
	k := 0
	if last > 0 {
		step, room := starts[1], ends[0]
		k = max(0, (from-room)/step)
	}
	for ; k <= last && starts[k] <= from; k++ {
		if ends[k] <= from {
			continue
		}
		context := math.MaxInt
		if k > 0 {
			context = from - starts[k]
		}
		if ends[k] < n {
			context = min(context, ends[k]-to)
		}
		if context > most {
			best, most = k, context
		}
	}
	return best
}

// set makes a table with tags into sequences with a label for each token.
func (t *TokenCls) set(ctx context.Context, table *tagged.File) (*tokenSet, error) {
	classes, err := table.Classes(t.cfg.Labels)
	if err != nil {
		return nil, err
	}
	texts, err := t.read(ctx, table)
	if err != nil {
		return nil, err
	}
	s := &tokenSet{textSet: textSet{starts: []int{0}, each: true}, classes: classes}
	s.counts.Sentences = len(texts)
	for i := range texts {
		s.addText(t, &texts[i], i)
	}
	if !t.types {
		s.types = nil
	}
	if s.counts.Sequences = s.Len(); s.counts.Sequences == 0 {
		return nil, &data.Error{File: table.Name, Msg: fmt.Sprintf("no word of %d sentences has a tag and a token", len(texts))}
	}
	return s, nil
}

// addText appends the windows of a sentence in which a token has a label, and counts.
func (s *tokenSet) addText(t *TokenCls, x *tokenText, sentence int) {
	classes := s.classes[sentence]
	s.counts.Words += len(x.seen)
	s.counts.count(x)
	for w, seen := range x.seen[:len(x.seen)-x.cut] {
		if !seen && classes != nil && t.cfg.Labels.Names[classes[w]] != outside {
			s.counts.TokenlessTagged++
		}
	}
	labelled := false
	for k := range x.windows {
		labels, n := t.labels(x.words[k], x.first[k], classes)
		if n == 0 {
			continue
		}
		labelled = true
		s.counts.Targets += n
		s.append(x, k, labels, sentence)
	}
	if !labelled {
		s.counts.Empty++
	}
}

// count takes in what became of a sentence.
func (c *TokenCounts) count(x *tokenText) {
	if len(x.windows) > 1 {
		c.Windowed++
	}
	if x.windows[0].Truncated > 0 {
		c.Cut++
		c.CutWords += x.cut
	}
	for _, seen := range x.seen[:len(x.seen)-x.cut] {
		if !seen {
			c.Tokenless++
		}
	}
}

// append adds a window of a sentence.
func (s *tokenSet) append(x *tokenText, window int, labels []int32, sentence int) {
	e := x.windows[window]
	s.ids, s.types, s.labels = append(s.ids, e.IDs...), append(s.types, e.Types...), append(s.labels, labels...)
	s.word, s.first = append(s.word, x.words[window]...), append(s.first, x.first[window]...)
	s.starts = append(s.starts, len(s.ids))
	s.sentence = append(s.sentence, sentence)
}

// labels returns the label of each token of a window, given the word of each and the classes of the words, and how many have one.
func (t *TokenCls) labels(words []int32, first []bool, classes []int32) (labels []int32, n int) {
	labels = make([]int32, len(words))
	for i, w := range words {
		labels[i] = batch.Ignore
		switch {
		case w < 0 || classes == nil:
			continue
		case first[i]:
			labels[i] = classes[w]
		case t.cfg.LabelAllTokens:
			labels[i] = t.inside[classes[w]]
		default:
			continue
		}
		n++
	}
	return labels, n
}
