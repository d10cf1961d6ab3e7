package tasks

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tokenize"
)

// questionSet is a list of windows of contexts, each with its question before it.
type questionSet struct {
	textSet
	spans   [][2]int32 // of each window: the tokens at which the answer begins and ends, or batch.Ignore
	offsets [][2]int32 // of each token: the code points of the context it was made from, or notContext
	first   []int      // question i has windows first[i] to first[i+1]
	counts  QuestionCounts
}

// notContext is the range of a token that is not of a context.
var notContext = [2]int32{-1, -1}

// QuestionCounts tells what became of questions.
type QuestionCounts struct {
	Questions int
	Windows   int // sequences that they became
	Split     int // questions whose context is in more than one
	Answered  int // windows that hold the answer that is learned
	Lost      int // questions whose answer is in no window as a whole
	Shrunk    int // questions whose windows overlap less than they should, for lack of room
	Shortened int // questions that were cut to the limit of their own
}

// Add adds the counts of other questions.
func (c *QuestionCounts) Add(o QuestionCounts) {
	c.Questions += o.Questions
	c.Windows += o.Windows
	c.Split += o.Split
	c.Answered += o.Answered
	c.Lost += o.Lost
	c.Shrunk += o.Shrunk
	c.Shortened += o.Shortened
}

// Batch makes a batch of windows, with the first and the last token of each answer in Labels. It never fails.
func (s *questionSet) Batch(ctx context.Context, examples []int, key op.Key) (*batch.Batch, error) {
	b, err := s.textSet.Batch(ctx, examples, key)
	if err != nil {
		return nil, err
	}
	for _, r := range examples {
		b.Labels = append(b.Labels, s.spans[r][:]...)
	}
	return b, nil
}

// questionsAtOnce is how many questions are tokenised before their windows are put together.
const questionsAtOnce = 1024

// encode tokenises questions and contexts.
func (t *QuestionAnswering) encode(ctx context.Context, q *question.File) (*questionSet, error) {
	s := &questionSet{textSet: textSet{starts: []int{0}}, first: []int{0}}
	s.counts.Questions = q.Len()
	typed := t.model.TokenTypes() > 1 && !t.cfg.ZeroTypes
	for lo := 0; lo < q.Len(); lo += questionsAtOnce {
		part := q.Part(lo, min(lo+questionsAtOnce, q.Len()))
		inputs := make([]tokenize.Input, part.Len())
		for i, e := range part.All() {
			inputs[i] = tokenize.Input{Text: trimLeft(e.Question), Pair: e.Context, HasPair: true}
		}
		list, err := t.tok.WindowsBatch(ctx, inputs, t.cut, t.cfg.Pool.Workers())
		if err != nil {
			return nil, t.encodeError(q, lo, err)
		}
		for i, e := range part.All() {
			s.add(e, &list[i], typed)
		}
	}
	return s, nil
}

// encodeError names the question that cannot be cut, and what to do.
func (t *QuestionAnswering) encodeError(q *question.File, lo int, err error) error {
	var bad *tokenize.InputError
	if !errors.As(err, &bad) {
		return err
	}
	e := &data.Error{File: q.Name, Line: q.At(lo + bad.Index).Line, Msg: "the question cannot be put before its context", Err: bad.Err}
	if errors.Is(err, tokenize.ErrNoRoom) {
		e.Msg = "the question does not fit; raise the max length, or lower the doc stride or the max query length"
	}
	return e
}

// trimLeft takes white space off the beginning of a question, as transformers' example does: with long contexts it would be cut, too.
func trimLeft(s string) string { return strings.TrimLeftFunc(s, isSpace) }

// isSpace reports what Python's str.strip takes for white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// add appends the windows of a question.
func (s *questionSet) add(q question.Question, w *tokenize.Windows, typed bool) {
	s.counts.Windows += len(w.List)
	count := func(n *int, yes bool) {
		if yes {
			*n++
		}
	}
	count(&s.counts.Split, len(w.List) > 1)
	count(&s.counts.Shrunk, w.Shrunk)
	count(&s.counts.Shortened, w.Dropped > 0)
	from, to, known := answerRange(q)
	found := false
	for _, e := range w.List {
		s.ids = append(s.ids, e.IDs...)
		if typed {
			s.types = append(s.types, e.Types...)
		}
		s.starts = append(s.starts, len(s.ids))
		for k, o := range e.Offsets {
			r := notContext
			if e.Sequences[k] == 1 {
				r = [2]int32{int32(o[0]), int32(o[1])}
			}
			s.offsets = append(s.offsets, r)
		}
		span := [2]int32{batch.Ignore, batch.Ignore}
		switch {
		case known:
			var inside bool
			span, inside = answerTokens(e, from, to)
			count(&s.counts.Answered, inside)
			found = found || inside
		case q.Impossible:
			span = [2]int32{}
		}
		s.spans = append(s.spans, span)
	}
	count(&s.counts.Lost, known && !found)
	s.first = append(s.first, len(s.starts)-1)
}

// answerRange returns the code points of the answer that is learned, without white space around it.
func answerRange(q question.Question) (from, to int, known bool) {
	a, known := q.Place()
	if !known {
		return 0, 0, false
	}
	left := trimLeft(a.Text)
	text := strings.TrimRightFunc(left, isSpace)
	from = a.Start + utf8.RuneCountInString(a.Text) - utf8.RuneCountInString(left)
	return from, from + utf8.RuneCountInString(text), true
}

// answerTokens returns the tokens of a window at which code points from to to of the context begin and end: the last context token that
// does not begin after from, and the first that does not end before to. They are 0, and inside is false, if the window does not hold them all.
func answerTokens(e tokenize.Encoding, from, to int) (span [2]int32, inside bool) {
	lo := slices.Index(e.Sequences, 1)
	if lo < 0 {
		return span, false
	}
	hi := lo
	for hi+1 < len(e.Sequences) && e.Sequences[hi+1] == 1 {
		hi++
	}
	if e.Offsets[lo][0] > from || e.Offsets[hi][1] < to {
		return span, false
	}
	start, end := lo, hi
	for start < hi && e.Offsets[start+1][0] <= from {
		start++
	}
	for end > lo && e.Offsets[end-1][1] >= to {
		end--
	}
	if start > end { // a character of several tokens: all of them
		start, end = end, start
	}
	return [2]int32{int32(start), int32(end)}, true
}
