package tokencls

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/tagged"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// outside is the tag of a word that is in no entity.
const outside = "O"

// Counts counts sentences, their windows and their words.
type Counts struct {
	Sentences int // that were given
	Sequences int // that are trained on or evaluated: sentences, or windows of long ones
	Words     int // that were given
	Targets   int // tokens that have a label
	// Windowed is the number of sentences that are longer than the limit and were made into windows, Cut the number of
	// those that were cut, and CutWords the number of words that were lost by that.
	Windowed, Cut, CutWords int
	// WithoutTokens is the number of words that have no token of their own: the tokenizer leaves nothing of them, or, in
	// a raw text, they share a token with the word before. Nothing is predicted for them, and neither they nor words
	// that were cut off count in a score. WithoutTokensTagged of them are in an entity.
	WithoutTokens, WithoutTokensTagged int
	// Empty is the number of sentences that were left out because none of their words has a label.
	Empty int
}

// Add adds the counts of another part of the same sentences.
func (c *Counts) Add(o Counts) {
	c.Sentences += o.Sentences
	c.Sequences += o.Sequences
	c.Words += o.Words
	c.Targets += o.Targets
	c.Windowed += o.Windowed
	c.Cut += o.Cut
	c.CutWords += o.CutWords
	c.WithoutTokens += o.WithoutTokens
	c.WithoutTokensTagged += o.WithoutTokensTagged
	c.Empty += o.Empty
}

// Log logs what a user should know of the sentences of a file. limit is the largest number of tokens of a sequence.
func (c Counts) Log(log zerolog.Logger, file string, limit int) {
	if c.Windowed > 0 {
		log.Info().Msgf("%s: %d of %d sentences are longer than %d tokens and are read in windows that overlap",
			file, c.Windowed, c.Sentences, limit)
	}
	if c.Cut > 0 {
		log.Warn().Msgf("%s: %d of %d sentences are longer than %d tokens and were cut; %d words are lost and count in "+
			"no score", file, c.Cut, c.Sentences, limit, c.CutWords)
	}
	if c.WithoutTokens > 0 {
		of := ""
		if c.WithoutTokensTagged > 0 {
			of = fmt.Sprintf(", %d of them tagged", c.WithoutTokensTagged)
		}
		log.Warn().Msgf("%s: %d words have no token of their own%s; nothing is predicted for them, and they count in no "+
			"score", file, c.WithoutTokens, of)
	}
	if c.Empty > 0 {
		log.Warn().Msgf("%s: %d sentences have no word with a tag and a token and were left out", file, c.Empty)
	}
}

// sentence is a sentence as the model reads it.
type sentence struct {
	windows []tokenize.Encoding
	starts  []int     // number of the first token of each window among all tokens of the sentence
	leading int       // special tokens before the first
	words   [][]int32 // for each window, the word of each token; -1: none, or it belongs to another window
	first   [][]bool  // whether a token is the first of that word
	seen    []bool    // whether a word has a token
	kept    [2]int    // first word that was not cut off, and the word after the last
}

// portion is the number of sentences that are tokenised before they are used.
const portion = 4096

// read tokenises the sentences of a file, each with the settings of the predictor that of returns for it, and calls use
// with each, in order. The predictors share the tokenizer of p.
func (p *Predictor) read(
	ctx context.Context, f *tagged.File, of func(i int) *Predictor, use func(i int, e tagged.Sentence, x *sentence),
) error {
	for lo := 0; lo < f.Len(); lo += portion {
		part := data.Part(f, lo, min(lo+portion, f.Len()))
		list := make([]sentence, part.Len())
		for _, same := range tasks.Alike(part.Len(), func(i int) reading { return of(lo + i).reading() }) {
			some, err := p.tokenize(ctx, part, same, of(lo+same[0]).reading())
			if err != nil {
				return tasks.InputError(err, f.Name, func(i int) int { return part.At(same[i]).Line })
			}
			for j, i := range same {
				list[i] = some[j]
			}
		}
		for i, e := range part.All() {
			list[i].match(e, p.Tok.TruncationSide())
			use(lo+i, e, &list[i])
		}
	}
	return nil
}

// reading says how sentences become windows.
type reading struct{ limit, stride int }

func (p *Predictor) reading() reading { return reading{p.Limit(), p.cfg.Stride} }

// tokenize returns the windows of those sentences of a file that have the given numbers.
func (p *Predictor) tokenize(ctx context.Context, f *tagged.File, numbers []int, r reading) ([]sentence, error) {
	inputs := make([]tokenize.Input, len(numbers))
	for i, n := range numbers {
		if e := f.At(n); e.Split {
			inputs[i].Words = e.WordTexts()
		} else {
			inputs[i].Text = e.Text
		}
	}
	out := make([]sentence, len(inputs))
	workers := p.Pool.Workers()
	if r.stride < 0 {
		o := tokenize.Options{MaxLength: r.limit, Offsets: true, Words: true}
		list, err := p.Tok.EncodeBatch(ctx, inputs, o, workers)
		for i := range list {
			out[i] = sentence{windows: list[i : i+1], starts: []int{0}}
		}
		return out, err
	}
	w := tokenize.Windowing{MaxLength: r.limit, Stride: r.stride, Shrink: true}
	list, err := p.Tok.WindowsBatch(ctx, inputs, w, workers)
	for i, l := range list {
		if p.Tok.TruncationSide() == tokenize.Left { // windows come from the end of the text
			slices.Reverse(l.List)
			slices.Reverse(l.Starts)
		}
		out[i] = sentence{windows: l.List, starts: l.Starts}
	}
	return out, err
}

// match finds the word of each token. The tokens of a word belong to one window, the one that shows most of what is
// around the word. Those that are not in it, because the word is longer than what windows share, belong to others. A
// sentence that is too long was cut on the given side.
func (x *sentence) match(e tagged.Sentence, side tokenize.Side) {
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
	x.kept = [2]int{0, len(e.Words)}
	switch {
	case x.windows[0].Truncated == 0:
	case side == tokenize.Left:
		if x.kept[0] = slices.Index(x.seen, true); x.kept[0] < 0 {
			x.kept[0] = len(e.Words)
		}
	default:
		x.kept[1] = int(last) + 1
	}
}

// cut returns the number of words that were cut off.
func (x *sentence) cut() int { return len(x.seen) - x.kept[1] + x.kept[0] }

// wordsOfTokens returns the word of each token of the sentence, without special ones, and for each window the number of
// the token before which it ends.
func (x *sentence) wordsOfTokens(e tagged.Sentence) (of []int32, ends []int) {
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

// wordAt returns the word that a token begins in or, if it begins in none, the first one that it reaches into; -1 if
// there is none. A token that is only the blank before a word (▁, of SentencePiece models) is the word's first, as it
// is when the text comes in words. Words before number at end before the token.
func wordAt(text []rune, words []tagged.Word, at int, offsets [2]int) (word int32, next int) {
	from, to := offsets[0], max(offsets[1], offsets[0]+1) // a token of no character belongs to what follows
	for at < len(words) && words[at].To <= from {
		at++
	}
	if at == len(words) {
		return -1, at
	}
	if w := words[at]; w.From < to || w.From == to && blank(string(text[from:offsets[1]])) {
		return int32(at), at
	}
	return -1, at
}

// blank reports whether text is white space, and some.
func blank(text string) bool { return text != "" && strings.TrimSpace(text) == "" }

// home returns the window, of those that hold token from, in which the shorter of the two contexts of the tokens
// from ≤ i < to is longest. Windows begin at starts and end before ends, and all but the last are equally long.
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

// count adds a sentence to the counts.
func (c *Counts) count(x *sentence) {
	c.Sentences++
	c.Words += len(x.seen)
	if len(x.windows) > 1 {
		c.Windowed++
	}
	if x.windows[0].Truncated > 0 {
		c.Cut++
		c.CutWords += x.cut()
	}
	for _, seen := range x.seen[x.kept[0]:x.kept[1]] {
		if !seen {
			c.WithoutTokens++
		}
	}
}
