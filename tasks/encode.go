package tasks

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/text"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// textSet is a list of tokenised texts with their targets: the batch.Set of tasks on text.
type textSet struct {
	ids    []int32   // all texts, one after another
	types  []int32   // nil: the model makes no difference
	starts []int     // n+1
	labels []int32   // one for each text, or nil
	each   bool      // labels has one for each token instead
	values []float32 // width for each text, or nil
	width  int
}

// Len returns the number of texts.
func (s *textSet) Len() int { return len(s.starts) - 1 }

// Tokens returns the length of text i.
func (s *textSet) Tokens(i int) int { return s.starts[i+1] - s.starts[i] }

// Batch makes a batch of texts. It never fails.
func (s *textSet) Batch(_ context.Context, examples []int, _ op.Key) (*batch.Batch, error) {
	n := 0
	for _, r := range examples {
		n += s.Tokens(r)
	}
	b := &batch.Batch{
		Seqs: op.Seqs{Starts: make([]int, 1, len(examples)+1), Index: slices.Clone(examples)},
		IDs:  make([]int32, 0, n),
	}
	if s.types != nil {
		b.Types = make([]int32, 0, n)
	}
	for _, r := range examples {
		lo, hi := s.starts[r], s.starts[r+1]
		b.IDs = append(b.IDs, s.ids[lo:hi]...)
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
		if s.types != nil {
			b.Types = append(b.Types, s.types[lo:hi]...)
		}
		switch {
		case s.labels != nil && s.each:
			b.Labels = append(b.Labels, s.labels[lo:hi]...)
		case s.labels != nil:
			b.Labels = append(b.Labels, s.labels[r])
		}
		if s.values != nil {
			b.Values = append(b.Values, s.values[r*s.width:(r+1)*s.width]...)
		}
	}
	return b, nil
}

// encode tokenises the texts of t. It returns the number of texts that had to be cut to the limit.
func encode(ctx context.Context, tok *tokenize.Tokenizer, t *text.File, o tokenize.Options, workers int) (*textSet, int, error) {
	inputs := make([]tokenize.Input, t.Len())
	for i, e := range t.All() {
		inputs[i] = tokenize.Input{Text: e.Text, Pair: e.Pair, HasPair: e.HasPair}
	}
	s, cut, err := encodeInputs(ctx, tok, t.Name, inputs, func(i int) int { return t.At(i).Line }, o, workers)
	n := 0
	for _, c := range cut {
		if c {
			n++
		}
	}
	return s, n, err
}

// encodeInputs tokenises texts and pairs of the file name, of which line tells where each stands. It returns which of them had to be cut
// to the limit.
func encodeInputs(ctx context.Context, tok *tokenize.Tokenizer, name string, inputs []tokenize.Input, line func(i int) int, o tokenize.Options, workers int) (*textSet, []bool, error) {
	list, err := tok.EncodeBatch(ctx, inputs, o, workers)
	if err != nil {
		return nil, nil, inputError(err, name, line)
	}
	s := &textSet{starts: make([]int, 1, len(list)+1)}
	cut := make([]bool, len(list))
	for i, e := range list {
		if len(e.IDs) == 0 { // a tokenizer that adds nothing, as GPT-2's
			return nil, nil, &data.Error{File: name, Line: line(i), Msg: "the text has no tokens, so a classifier has nothing to read"}
		}
		s.ids, s.types = append(s.ids, e.IDs...), append(s.types, e.Types...)
		s.starts = append(s.starts, len(s.ids))
		cut[i] = e.Truncated > 0
	}
	return s, cut, nil
}

// inputError says in which line of the file name the text stands that could not be encoded.
func inputError(err error, name string, line func(i int) int) error {
	var at *tokenize.InputError
	if errors.As(err, &at) {
		return &data.Error{File: name, Line: line(at.Index), Msg: "cannot be tokenised", Err: at.Err}
	}
	return fmt.Errorf("tasks: %s: %w", name, err)
}

// checkText reports settings that contradict what a model or tokenizer can do.
func checkText(m models.TextModel, tok *tokenize.Tokenizer, maxLength int) []error {
	var errs []error
	if tok.VocabSize() > m.Vocabulary() {
		errs = append(errs, fmt.Errorf("the tokenizer has %d tokens, the model's word_embeddings %d rows: they do not belong together", tok.VocabSize(), m.Vocabulary()))
	}
	if maxLength < 0 || maxLength > m.MaxLength() {
		errs = append(errs, fmt.Errorf("max_length is %d; the model has %d positions", maxLength, m.MaxLength()))
	}
	return errs
}

// textLimit returns how many tokens a sequence may have: maxLength or, if that is 0, what model and tokenizer allow.
func textLimit(m models.TextModel, tok *tokenize.Tokenizer, maxLength int) int {
	if maxLength > 0 {
		return maxLength
	}
	if n := tok.MaxLength(); n > 0 && n < m.MaxLength() {
		return n
	}
	return m.MaxLength()
}

// checkLoss reports options of the cross-entropy over k classes that make no sense.
func checkLoss(smoothing float32, weights []float32, k int) []error {
	var errs []error
	if !(smoothing >= 0 && smoothing < 1) {
		errs = append(errs, fmt.Errorf("label smoothing is %g; want at least 0 and below 1", smoothing))
	}
	if weights != nil && len(weights) != k {
		errs = append(errs, fmt.Errorf("%d class weights for %d classes", len(weights), k))
	}
	for i, w := range weights {
		if !(w >= 0) || math.IsInf(float64(w), 0) {
			errs = append(errs, fmt.Errorf("class weight %d is %g; want 0 or more", i, w))
		}
	}
	return errs
}

// eachBatch runs f over all examples in batches of at most the given number of tokens, longest examples first so that
// equal lengths meet and the largest batch comes first.
func eachBatch(ctx context.Context, s batch.Set, tokens int, f func(rows []int, b *batch.Batch) error) error {
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
		b, err := s.Batch(ctx, order[lo:hi], op.Key{})
		if err != nil {
			return fmt.Errorf("tasks: making a batch of %d examples: %w", hi-lo, err)
		}
		if err := f(order[lo:hi], b); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}
