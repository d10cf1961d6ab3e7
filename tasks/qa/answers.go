package qa

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/tasks"
)

// Span is a part of a context that may be the answer to a question.
type Span struct {
	Text       string
	Start, End int     // code points of the context, Start ≤ i < End; -1 and -1: no answer
	Score      float64 // probability: the softmax of StartLogit + EndLogit over the answers that were kept
	// StartLogit and EndLogit add up to the value that answers are compared by.
	StartLogit, EndLogit float32
}

// Null reports whether the span means no answer.
func (s Span) Null() bool { return s.Start < 0 }

// logit returns the value that answers are compared by.
func (s Span) logit() float32 { return s.StartLogit + s.EndLogit }

// Answer is the prediction for a question.
type Answer struct {
	Span // the answer
	// NBest has the best answers, the best first; no answer is among them if questions may have none. An answer that is
	// white space alone is no answer, too.
	NBest []Span
	// NullDiff is the difference by which the logits of no answer exceed those of the best answer, if questions may have
	// none.
	NullDiff float64
}

// answers finds the answer to each question in the logits of its windows.
func (p *Predictor) answers(f *question.File, s *set, logits []float32) ([]Answer, error) {
	return answersEach(f, s, logits, p.all)
}

// answersEach is answers for questions that several predictors serve.
func answersEach(
	f *question.File, s *set, logits []float32, of func(i int) *Predictor,
) ([]Answer, error) {
	out := make([]Answer, f.Len())
	var offsets [][2]int32
	for i, q := range f.All() {
		var c candidates
		for w := s.first[i]; w < s.first[i+1]; w++ {
			lo, hi := s.Start(w), s.Start(w+1)
			window := logits[2*lo : 2*hi]
			if err := checkFinite(f.Name, q.Line, window); err != nil {
				return nil, err
			}
			offsets = s.offsets.AppendTo(offsets[:0], lo, hi)
			c.window(offsets, window, of(i).cfg.NBest, of(i).cfg.MaxAnswer)
		}
		out[i] = c.choose(q.Context, of(i).cfg)
	}
	return out, nil
}

// checkFinite returns an error if one of the logits of the question at the given line of a file is NaN or infinite.
func checkFinite(file string, line int, logits []float32) error {
	for i, v := range logits {
		if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
			return &data.Error{File: file, Line: line, Msg: fmt.Sprintf(
				"logit %d is %v; the weights of the model or the adapter are damaged, get them again", i, x)}
		}
	}
	return nil
}

// candidates are the answers to one question that its windows offer.
type candidates struct {
	list []Span // without text
	null Span   // the least likely "no answer" of all windows
	any  bool   // null is set
}

// window adds what one window offers: pairs of its nBest best starts and nBest best ends that lie in the context, in
// this order, and are at most longest tokens long. The first token represents no answer.
func (c *candidates) window(offsets [][2]int32, logits []float32, nBest, longest int) {
	null := Span{Start: -1, End: -1, StartLogit: logits[0], EndLogit: logits[1]}
	if !c.any || c.null.logit() > null.logit() {
		c.null, c.any = null, true
	}
	ends := best(logits[1:], nBest)
	for _, i := range best(logits, nBest) {
		for _, j := range ends {
			if offsets[i] == notContext || offsets[j] == notContext || j < i || j-i+1 > longest {
				continue
			}
			c.list = append(c.list, Span{
				Start: int(offsets[i][0]), End: int(offsets[j][1]), StartLogit: logits[2*i], EndLogit: logits[2*j+1],
			})
		}
	}
}

// best returns the places of the n largest of logits 0, 2, 4 …, the largest first, the later first among equals.
func best(logits []float32, n int) []int {
	order := make([]int, (len(logits)+1)/2)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(logits[2*b], logits[2*a]), b-a) })
	return order[:min(n, len(order))]
}

// choose picks the answer, as postprocess_qa_predictions of transformers' examples does, but returns no answer
// instead of the text "empty" if no window offers anything, and instead of white space alone.
func (c *candidates) choose(context string, cfg Config) Answer {
	if cfg.NullAnswers {
		c.list = append(c.list, c.null)
	}
	slices.SortStableFunc(c.list, func(a, b Span) int { return cmp.Compare(b.logit(), a.logit()) })
	kept := c.list[:min(cfg.NBest, len(c.list))]
	if cfg.NullAnswers && !slices.ContainsFunc(kept, Span.Null) {
		kept = append(kept[:len(kept):len(kept)], c.null)
	}
	p := Answer{Span: Span{Start: -1, End: -1}, NBest: slices.Clone(kept)}
	none := slices.IndexFunc(kept, Span.Null) // before blank answers become null, too
	probabilities(p.NBest)
	runes := []rune(context)
	found := false
	for i := range p.NBest {
		a := &p.NBest[i]
		if a.Null() {
			continue
		}
		a.Text = string(runes[a.Start:a.End])
		// With null answers an empty text means none, and the next best is taken.
		if !found && (a.Text != "" || !cfg.NullAnswers) {
			p.Span, found = *a, true
		}
		a.trim()
	}
	p.Span.trim()
	if !cfg.NullAnswers {
		return p
	}
	// In float32 and this order, as the reference.
	diff := c.null.logit() - p.StartLogit - p.EndLogit
	p.NullDiff = float64(diff)
	if p.Null() || p.NullDiff > cfg.NullThreshold {
		p.Span = p.NBest[none]
	}
	return p
}

// probabilities sets the scores: the softmax of the logits.
func probabilities(list []Span) {
	if len(list) == 0 {
		return
	}
	logits := make([]float32, len(list))
	for i, a := range list {
		logits[i] = a.logit()
	}
	norm := tasks.LogSumExp(logits)
	for i := range list {
		list[i].Score = math.Exp(float64(logits[i]) - norm)
	}
}

// trim removes white space from both ends, since tokens of some models begin with it. A span of nothing else becomes no
// answer.
func (s *Span) trim() {
	left := trimLeft(s.Text)
	s.Start += utf8.RuneCountInString(s.Text) - utf8.RuneCountInString(left)
	s.Text = strings.TrimRightFunc(left, isSpace)
	s.End = s.Start + utf8.RuneCountInString(s.Text)
	if s.Text == "" {
		s.Start, s.End = -1, -1
	}
}
