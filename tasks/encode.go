package tasks

import (
	"context"
	"fmt"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/tokenize"
)

// textSet is a list of tokenised texts with their targets: the data.Set of tasks on text.
type textSet struct {
	ids    []int32 // all texts, one after another
	types  []int32
	starts []int     // n+1
	labels []int32   // one for each text, or nil
	values []float32 // width for each text, or nil
	width  int
}

// Len returns the number of texts.
func (s *textSet) Len() int { return len(s.starts) - 1 }

// Tokens returns the length of text i.
func (s *textSet) Tokens(i int) int { return s.starts[i+1] - s.starts[i] }

// Batch puts texts together, without padding.
func (s *textSet) Batch(rows []int) *data.Batch {
	n := 0
	for _, r := range rows {
		n += s.Tokens(r)
	}
	b := &data.Batch{
		Rows: append([]int(nil), rows...), IDs: make([]int32, 0, n), Types: make([]int32, 0, n),
		Starts: make([]int, 1, len(rows)+1),
	}
	for _, r := range rows {
		lo, hi := s.starts[r], s.starts[r+1]
		b.IDs, b.Types = append(b.IDs, s.ids[lo:hi]...), append(b.Types, s.types[lo:hi]...)
		b.Starts = append(b.Starts, len(b.IDs))
		if s.labels != nil {
			b.Labels = append(b.Labels, s.labels[r])
		}
		if s.values != nil {
			b.Values = append(b.Values, s.values[r*s.width:(r+1)*s.width]...)
		}
	}
	return b
}

// encode tokenises the texts of t. It returns the number of texts that had to be cut to the limit.
func encode(ctx context.Context, tok *tokenize.Tokenizer, t *data.Table, o tokenize.Options, workers int) (*textSet, int, error) {
	inputs := make([]tokenize.Input, len(t.Examples))
	for i, e := range t.Examples {
		inputs[i] = tokenize.Input{Text: e.Text, Pair: e.Pair, HasPair: e.HasPair}
	}
	list, err := tok.EncodeBatch(ctx, inputs, o, workers)
	if err != nil {
		return nil, 0, fmt.Errorf("tasks: %s: %w", t.Name, err)
	}
	s := &textSet{starts: make([]int, 1, len(list)+1)}
	cut := 0
	for i, e := range list {
		if len(e.IDs) == 0 { // a tokenizer that adds nothing, as GPT-2's
			return nil, 0, &data.Error{File: t.Name, Line: t.Examples[i].Line, Msg: "the text has no tokens, so a classifier has nothing to read"}
		}
		s.ids, s.types = append(s.ids, e.IDs...), append(s.types, e.Types...)
		s.starts = append(s.starts, len(s.ids))
		if e.Truncated > 0 {
			cut++
		}
	}
	return s, cut, nil
}

// eachBatch runs f over all examples in batches of at most so many tokens, longest examples first so that equal lengths
// meet and the largest batch comes first.
func eachBatch(ctx context.Context, s data.Set, tokens int, f func(rows []int, b *data.Batch) error) error {
	order := byLength(s)
	for lo := 0; lo < len(order); {
		hi, n := lo, 0
		for hi < len(order) && (hi == lo || n+s.Tokens(order[hi]) <= tokens) {
			n += s.Tokens(order[hi])
			hi++
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(order[lo:hi], s.Batch(order[lo:hi])); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}
