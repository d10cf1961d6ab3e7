package qa

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/nn/op"
	"github.com/spalora/spalora/tasks"
	"github.com/spalora/spalora/tokenize"
)

// set is a list of windows of contexts, each with its question before it.
type set struct {
	*tasks.TextSet
	spans [][2]int32 // of each window: the tokens at which the answer begins and ends, or batch.Ignore
	first []int      // question i has windows first[i] to first[i+1]
	// offsets has the code points of the context that each token was made from, or notContext. It is empty for windows in
	// which no answer is looked for.
	offsets tasks.Buffer[[2]int32]
	file    *question.File // the questions, if they can be evaluated
	counts  Counts
}

// notContext is the range of a token that does not belong to a context.
var notContext = [2]int32{-1, -1}

// Counts says how questions were cut into windows.
type Counts struct {
	Questions int
	Windows   int // sequences that the questions became
	Split     int // questions whose context is in more than one window
	Answered  int // windows that hold the answer that training learns
	Lost      int // questions whose answer is in no window as a whole
	Shrunk    int // questions whose windows overlap less than they should, for lack of room
	Shortened int // questions that were cut to the limit for questions
}

// Add adds the counts of other questions.
func (c *Counts) Add(o Counts) {
	c.Questions += o.Questions
	c.Windows += o.Windows
	c.Split += o.Split
	c.Answered += o.Answered
	c.Lost += o.Lost
	c.Shrunk += o.Shrunk
	c.Shortened += o.Shortened
}

// Log logs the counts of the questions of a file, which are used as the split s. limit is the number of tokens that a
// window may have.
func (c Counts) Log(log zerolog.Logger, name string, s batch.Split, limit int) {
	if c.Split > 0 {
		log.Info().Msgf("%s: %d questions are %d windows of at most %d tokens; %d contexts are longer than one",
			name, c.Questions, c.Windows, limit, c.Split)
	}
	if c.Shrunk > 0 {
		log.Info().Msgf("%s: the windows of %d contexts overlap by half of what they hold, "+
			"since the default of `doc_stride` does not fit", name, c.Shrunk)
	}
	if c.Lost > 0 {
		what := "it cannot be predicted as a whole"
		if s == batch.Train {
			what = "they are learned as questions without an answer"
		}
		log.Warn().Msgf("%s: %d questions have a first answer that is not within one window: %s; raise "+
			"`max_length` or `doc_stride`",
			name, c.Lost, what)
	}
	if c.Shortened > 0 {
		log.Warn().Msgf("%s: %d questions are longer than `max_query_length` and were cut", name, c.Shortened)
	}
}

// Batch makes a batch of windows, with the first and the last token of each answer in Labels. It never fails.
func (s *set) Batch(ctx context.Context, examples []int, key op.Key) (*batch.Batch, error) {
	b, err := s.TextSet.Batch(ctx, examples, key)
	if err != nil {
		return nil, err
	}
	for _, e := range examples {
		b.Labels = append(b.Labels, s.spans[e][:]...)
	}
	return b, nil
}

// questionsAtOnce is how many questions are tokenised before their windows are put together.
const questionsAtOnce = 1024

// encode tokenises questions and contexts. answers says that answers will be looked for, so that offsets are kept.
func (p *Predictor) encode(ctx context.Context, f *question.File, answers bool) (*set, error) {
	return p.encodeEach(ctx, f, p.all, answers)
}

// encodeEach is encode for questions that several predictors on one model serve.
func (p *Predictor) encodeEach(
	ctx context.Context, f *question.File, of func(i int) *Predictor, answers bool,
) (*set, error) {
	typed := false
	for i := 0; i < f.Len() && !typed; i++ {
		typed = p.Net.TokenTypes() > 1 && !of(i).cfg.ZeroTypes
	}
	s := &set{TextSet: tasks.NewTextSet(typed), first: []int{0}, counts: Counts{Questions: f.Len()}}
	for lo := 0; lo < f.Len(); lo += questionsAtOnce {
		part := data.Part(f, lo, min(lo+questionsAtOnce, f.Len()))
		list := make([]tokenize.Windows, part.Len())
		for _, same := range tasks.Alike(part.Len(), func(i int) tokenize.Windowing { return of(lo + i).cut }) {
			inputs := make([]tokenize.Input, len(same))
			for j, i := range same {
				q := part.At(i)
				inputs[j] = tokenize.Input{Text: trimLeft(q.Question), Pair: q.Context, HasPair: true}
			}
			some, err := p.Tok.WindowsBatch(ctx, inputs, of(lo+same[0]).cut, p.Pool.Workers())
			if err != nil {
				return nil, encodeError(part, same, err)
			}
			for j, i := range same {
				list[i] = some[j]
			}
		}
		for i, q := range part.All() {
			if of(lo + i).cfg.ZeroTypes {
				for w := range list[i].List {
					list[i].List[w].Types = nil
				}
			}
			s.add(q, &list[i], answers)
		}
	}
	return s, nil
}

// encodeError adds to an error the line of the question that cannot be cut, and what to do. The questions were those of
// the file with the given numbers.
func encodeError(f *question.File, numbers []int, err error) error {
	at, ok := errors.AsType[*tokenize.InputError](err)
	if !ok {
		return err
	}
	e := &data.Error{
		File: f.Name, Line: f.At(numbers[at.Index]).Line, Msg: "the question cannot be put before its context", Err: at.Err,
	}
	if errors.Is(err, tokenize.ErrNoRoom) {
		e.Msg = "the question does not fit; raise `max_length`, or lower `doc_stride` or `max_query_length`"
	}
	return e
}

// trimLeft removes white space from the beginning of a question, as transformers' example does: with long contexts it
// would be cut, too.
func trimLeft(s string) string { return strings.TrimLeftFunc(s, isSpace) }

// isSpace reports whether Python's str.strip takes r for white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// add appends the windows of a question.
func (s *set) add(q question.Question, w *tokenize.Windows, answers bool) {
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
	for i := range w.List {
		e := &w.List[i]
		s.Append(e.IDs, e.Types)
		if answers {
			s.appendOffsets(e)
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
	s.first = append(s.first, s.Len())
}

// appendOffsets adds the offsets of the tokens of a window.
func (s *set) appendOffsets(e *tokenize.Encoding) {
	for k, o := range e.Offsets {
		r := notContext
		if e.Sequences[k] == 1 {
			r = [2]int32{int32(o[0]), int32(o[1])}
		}
		s.offsets.Append(r)
	}
}

// answerRange returns the code points of the answer that training learns, without white space around it.
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

// answerTokens returns the tokens of a window at which code points from to to of the context begin and end: the last
// context token that does not begin after from, and the first that does not end before to. They are 0, and inside is
// false, if the window does not hold them all.
func answerTokens(e *tokenize.Encoding, from, to int) (span [2]int32, inside bool) {
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
