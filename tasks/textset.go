package tasks

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/models"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// TextSet is a list of tokenised texts with their targets: the [batch.Set] of tasks on text, or a part of one. The
// zero value is empty and ready to be appended to; it is not changed while it is in use.
type TextSet struct {
	Labels []int32   // one for each text, or nil
	Values []float32 // equally many for each text, one text after another, or nil
	// TokenLabels has a label for each token in place of Labels; empty: none.
	TokenLabels Buffer[int32]
	Cut         int // texts that were truncated to the length limit

	ids    Buffer[int32]
	types  Buffer[uint8] // empty as long as all are 0
	typed  bool          // batches have token types
	starts []int         // offset of each text but the first
}

// NewTextSet returns an empty set. typed says that batches have token types.
func NewTextSet(typed bool) *TextSet { return &TextSet{typed: typed} }

// Append adds a text. Types may be nil for zeros.
func (s *TextSet) Append(ids, types []int32) {
	if s.typed {
		s.appendTypes(len(ids), types)
	}
	s.ids.Append(ids...)
	s.starts = append(s.starts, s.ids.Len())
}

// appendTypes adds the types of the next n tokens, and zeros for those before if these are the first that are not 0.
func (s *TextSet) appendTypes(n int, types []int32) {
	some := s.types.Len() > 0
	for _, t := range types {
		some = some || t != 0
	}
	if !some {
		return
	}
	for s.types.Len() < s.ids.Len() {
		s.types.Append(0)
	}
	for i := range n {
		var t uint8
		if types != nil {
			t = uint8(types[i])
		}
		s.types.Append(t)
	}
}

// Len returns the number of texts.
func (s *TextSet) Len() int { return len(s.starts) }

// Start returns the number of tokens before text i; i may be Len.
func (s *TextSet) Start(i int) int {
	if i == 0 {
		return 0
	}
	return s.starts[i-1]
}

// Tokens returns the number of tokens of text i.
func (s *TextSet) Tokens(i int) int { return s.Start(i+1) - s.Start(i) }

// IDs appends the token ids of text i to dst and returns it.
func (s *TextSet) IDs(dst []int32, i int) []int32 {
	return s.ids.AppendTo(dst, s.Start(i), s.Start(i+1))
}

// Bytes returns how much memory the set takes.
func (s *TextSet) Bytes() int64 {
	values := s.ids.Len() + s.TokenLabels.Len() + len(s.Labels) + len(s.Values) + 2*len(s.starts)
	return 4*int64(values) + int64(s.types.Len())
}

// Batch returns the given texts one after another, without padding.
func (s *TextSet) Batch(_ context.Context, examples []int, _ op.Key) (*batch.Batch, error) {
	n := 0
	for _, e := range examples {
		n += s.Tokens(e)
	}
	b := &batch.Batch{IDs: make([]int32, 0, n)}
	b.Seqs = op.Seqs{Index: append([]int(nil), examples...), Starts: make([]int, 1, len(examples)+1)}
	if s.typed {
		b.Types = make([]int32, 0, n)
	}
	width := 0
	if s.Len() > 0 {
		width = len(s.Values) / s.Len()
	}
	for _, e := range examples {
		lo, hi := s.Start(e), s.Start(e+1)
		b.IDs = s.ids.AppendTo(b.IDs, lo, hi)
		b.Seqs.Starts = append(b.Seqs.Starts, len(b.IDs))
		if s.typed {
			for i := lo; i < hi; i++ {
				var t uint8
				if i < s.types.Len() {
					t = s.types.At(i)
				}
				b.Types = append(b.Types, int32(t))
			}
		}
		switch {
		case s.TokenLabels.Len() > 0:
			b.Labels = s.TokenLabels.AppendTo(b.Labels, lo, hi)
		case s.Labels != nil:
			b.Labels = append(b.Labels, s.Labels[e])
		}
		b.Values = append(b.Values, s.Values[e*width:(e+1)*width]...)
	}
	return b, nil
}

// textsAtOnce is how many texts are tokenised before their tokens are put together.
const textsAtOnce = 4096

// Texts is a list of texts and pairs to tokenise.
type Texts struct {
	Name  string // of the file, for messages
	Len   int
	Input func(i int) tokenize.Input
	Line  func(i int) int // of the file
}

// Encode tokenises texts with the options of each and calls each with the encoding of every text, in order. If a text
// cannot be tokenised, it returns an error that names the line.
func Encode(
	ctx context.Context, tok *tokenize.Tokenizer, t Texts, options func(i int) tokenize.Options, workers int,
	each func(i int, e *tokenize.Encoding) error,
) error {
	inputs := make([]tokenize.Input, 0, min(t.Len, textsAtOnce))
	list := make([]tokenize.Encoding, cap(inputs))
	for lo := 0; lo < t.Len; lo += textsAtOnce {
		n := min(textsAtOnce, t.Len-lo)
		for _, same := range Alike(n, func(i int) tokenize.Options { return options(lo + i) }) {
			inputs = inputs[:0]
			for _, i := range same {
				inputs = append(inputs, t.Input(lo+i))
			}
			encoded, err := tok.EncodeBatch(ctx, inputs, options(lo+same[0]), workers)
			if err != nil {
				return InputError(err, t.Name, func(i int) int { return t.Line(lo + same[i]) })
			}
			for j, i := range same {
				list[i] = encoded[j]
			}
		}
		for i := range n {
			if err := each(lo+i, &list[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Alike returns the numbers below n in lists of those with the same key, each in order.
func Alike[K comparable](n int, key func(i int) K) [][]int {
	place := map[K]int{}
	var lists [][]int
	for i := range n {
		k := key(i)
		at, ok := place[k]
		if !ok {
			at = len(lists)
			place[k], lists = at, append(lists, nil)
		}
		lists[at] = append(lists[at], i)
	}
	return lists
}

// Inputs returns texts and pairs that are in no file, as a list with numbers from 1 for lines.
func Inputs(list []tokenize.Input) Texts {
	return Texts{
		Name: "texts", Len: len(list), Input: func(i int) tokenize.Input { return list[i] },
		Line: func(i int) int { return i + 1 },
	}
}

// WarnCut logs that n of the texts of a file were truncated to a number of tokens, if there are any.
func WarnCut(log zerolog.Logger, file string, n, of, limit int) {
	if n > 0 {
		log.Warn().Msgf("%s: %d of %d texts are longer than %d tokens and were cut", file, n, of, limit)
	}
}

// InputError names the line of the file name at which the text of a [tokenize.InputError] is.
func InputError(err error, name string, line func(i int) int) error {
	if at, ok := errors.AsType[*tokenize.InputError](err); ok {
		return &data.Error{File: name, Line: line(at.Index), Msg: "cannot be tokenised", Err: at.Err}
	}
	return fmt.Errorf("tasks: %s: %w", name, err)
}

// CheckText returns the errors about settings that a model cannot meet. maxLength 0 is no limit.
func CheckText(m models.TextModel, maxLength int) []error {
	var errs []error
	if maxLength < 0 || maxLength > m.MaxLength() {
		errs = append(errs, fmt.Errorf("`max_length` is %d; want 1 to %d, the positions of the model, or 0 for its limit",
			maxLength, m.MaxLength()))
	}
	return errs
}

// TextLimit returns the largest number of tokens of a sequence: maxLength or, if that is 0, what model and tokenizer
// allow.
func TextLimit(m models.TextModel, tok *tokenize.Tokenizer, maxLength int) int {
	if maxLength > 0 {
		return maxLength
	}
	if n := tok.MaxLength(); n > 0 && n < m.MaxLength() {
		return n
	}
	return m.MaxLength()
}

// CheckRoom returns an error if a limit of tokens leaves no room beside the special tokens of a text, or of a pair. 0
// is no limit.
func CheckRoom(tok *tokenize.Tokenizer, limit int, pair bool) error {
	if limit <= 0 {
		return nil
	}
	var e tokenize.Encoding
	var err error
	if pair {
		e, err = tok.EncodePair("", "", tokenize.Options{})
	} else {
		e, err = tok.Encode("", tokenize.Options{})
	}
	if err == nil && limit < len(e.IDs) {
		err = fmt.Errorf("`max_length` is %d, but the special tokens alone are %d; raise it", limit, len(e.IDs))
	}
	return err
}

// Truncations lists the values of the setting truncation.
const Truncations = "longest_first, only_first or only_second"

// ParseTruncation reads the value of the setting truncation; "" is longest_first.
func ParseTruncation(s string) (tokenize.Strategy, error) {
	for _, t := range []tokenize.Strategy{tokenize.LongestFirst, tokenize.OnlyFirst, tokenize.OnlySecond} {
		if s == t.String() || s == "" {
			return t, nil
		}
	}
	return 0, fmt.Errorf("`truncation` is %q; want %s", s, Truncations)
}

// TruncationName returns the value of the setting truncation: its default for "".
func TruncationName(s string) string { return cmp.Or(s, tokenize.LongestFirst.String()) }
