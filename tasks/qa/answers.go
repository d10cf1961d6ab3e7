package tasks

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spalora/spalora/data"
	"github.com/spalora/spalora/data/question"
)

// Span is a part of a context that may be the answer to a question.
type Span struct {
	Text       string
	Start, End int // code points of the context, Start ≤ i < End; -1 and -1: no answer
	// StartLogit and EndLogit add up to the score that answers are compared by.
	StartLogit, EndLogit float32
	// Probability is the softmax of the scores of the answers that were kept.
	Probability float64
}

// Null reports whether the span stands for no answer.
func (s Span) Null() bool { return s.Start < 0 }

func (s Span) score() float32 { return s.StartLogit + s.EndLogit }

// AnswerPrediction is what is predicted for a question.
type AnswerPrediction struct {
	Span         // the answer
	NBest []Span // the best answers by score, no answer among them if questions may have none; one that is white space alone is no answer, too
	// NullDiff is by how much the score of no answer exceeds that of the best answer, if questions may have none.
	NullDiff float64
}

// answers finds the answer to each question in the logits of its windows.
func (t *QuestionAnswering) answers(q *question.File, s *questionSet, logits []float32) ([]AnswerPrediction, error) {
	for i, v := range logits {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			w, _ := slices.BinarySearch(s.starts, i/2+1)
			n, _ := slices.BinarySearch(s.first, w)
			return nil, &data.Error{File: q.Name, Line: q.At(n - 1).Line, Msg: "a logit is no finite number; the weights of the model or the adapter are damaged"}
		}
	}
	out := make([]AnswerPrediction, q.Len())
	for i, e := range q.All() {
		var c candidates
		for w := s.first[i]; w < s.first[i+1]; w++ {
			lo, hi := s.starts[w], s.starts[w+1]
			c.window(s.offsets[lo:hi], logits[2*lo:2*hi], t.cfg.NBest, t.cfg.MaxAnswer)
		}
		out[i] = c.choose(e.Context, t.cfg)
	}
	return out, nil
}

// candidates are the answers to one question that its windows offer.
type candidates struct {
	list []Span // without text
	null Span   // the least likely "no answer" of all windows
	any  bool   // null is set
}

// window adds what one window offers: pairs of its nBest best starts and nBest best ends that lie in the context, in this order, and are at
// most longest tokens long. The first token stands for no answer.
func (c *candidates) window(offsets [][2]int32, logits []float32, nBest, longest int) {
	null := Span{Start: -1, End: -1, StartLogit: logits[0], EndLogit: logits[1]}
	if !c.any || c.null.score() > null.score() {
		c.null, c.any = null, true
	}
	ends := best(logits[1:], nBest)
	for _, i := range best(logits, nBest) {
		for _, j := range ends {
			if offsets[i] == notContext || offsets[j] == notContext || j < i || j-i+1 > longest {
				continue
			}
			c.list = append(c.list, Span{Start: int(offsets[i][0]), End: int(offsets[j][1]), StartLogit: logits[2*i], EndLogit: logits[2*j+1]})
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

// choose picks the answer, as postprocess_qa_predictions of transformers' examples does. Where that returns the text "empty" because no window
// offers anything, or white space alone, there is no answer.
func (c *candidates) choose(context string, cfg QuestionAnsweringConfig) AnswerPrediction {
	if cfg.NullAnswers {
		c.list = append(c.list, c.null)
	}
	slices.SortStableFunc(c.list, func(a, b Span) int { return cmp.Compare(b.score(), a.score()) })
	kept := c.list[:min(cfg.NBest, len(c.list))]
	if cfg.NullAnswers && !slices.ContainsFunc(kept, Span.Null) {
		kept = append(kept[:len(kept):len(kept)], c.null)
	}
	p := AnswerPrediction{Span: Span{Start: -1, End: -1}, NBest: slices.Clone(kept)}
	none := slices.IndexFunc(kept, Span.Null) // before blank answers become as it
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
	diff := c.null.score() - p.StartLogit - p.EndLogit
	p.NullDiff = float64(diff)
	if p.Null() || p.NullDiff > cfg.NullThreshold {
		p.Span = p.NBest[none]
	}
	return p
}

// probabilities sets the softmax of the scores.
func probabilities(list []Span) {
	if len(list) == 0 {
		return
	}
	scores := make([]float32, len(list))
	for i, a := range list {
		scores[i] = a.score()
	}
	norm := logSumExp(scores)
	for i := range list {
		list[i].Probability = math.Exp(float64(scores[i]) - norm)
	}
}

// trim leaves white space out at both ends, which tokens of some models begin with. Where nothing else is in it, there is no answer.
func (s *Span) trim() {
	left := trimLeft(s.Text)
	s.Start += utf8.RuneCountInString(s.Text) - utf8.RuneCountInString(left)
	s.Text = strings.TrimRightFunc(left, isSpace)
	s.End = s.Start + utf8.RuneCountInString(s.Text)
	if s.Text == "" {
		s.Start, s.End = -1, -1
	}
}
