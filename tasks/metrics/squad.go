package metrics

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/spalora/spalora/data/question"
	"github.com/spalora/spalora/tasks/metrics/normalize"
)

// SQuADScores are exact match and F1 of predicted answers, in percent as the official scripts print them.
type SQuADScores struct {
	// Total is the number of questions that count: those whose answers are given.
	Total int
	// Missing is how many of them have no prediction. They count as wrong.
	Missing int
	// Exact is the part of the questions whose prediction equals one of the answers, F1
	// the mean of the best F1 of words with one of the answers.
	Exact, F1 float64

	// HasAnsTotal and what follows are about the questions that have an answer.
	HasAnsTotal           int
	HasAnsExact, HasAnsF1 float64
	// NoAnsTotal and what follows are about those that have none, where only the empty text is right.
	NoAnsTotal          int
	NoAnsExact, NoAnsF1 float64

	// Thresholds reports whether scores of no answer were given and the rest is set.
	Thresholds bool
	// BestExact and BestF1 are the best values that are reached if "" is predicted where
	// the score of no answer is above a threshold, and else the prediction.
	BestExact, BestExactThresh float64
	BestF1, BestF1Thresh       float64
}

// SQuAD scores predicted answers, by question id, as the evaluation of SQuAD defines
// it. Texts are compared in lower case without ASCII punctuation, without the words
// a, an and the, and with one space between words, as Python does each.
//
// The rules are those of version 2.0 if a question has no answer or noAnswer is given:
// answers of which nothing is left do not count, and empty texts have an F1 of 1 with
// each other. Otherwise they are those of version 1.1, where that F1 is 0.
//
// noAnswer are scores by question id that the question has no answer, the larger the more certain; nil for none. They
// do not change Exact and F1. As in the official script, the threshold is one of the scores, or 0.
//
// Questions whose answers are not given do not count. It is an error if none counts,
// or a score of no answer is missing or not finite.
func SQuAD(
	predictions map[string]string, questions iter.Seq[question.Question], noAnswer map[string]float64,
) (*SQuADScores, error) {
	s := &SQuADScores{Thresholds: noAnswer != nil}
	second := noAnswer != nil
	for q := range questions {
		second = second || q.Labelled && len(q.Answers) == 0
	}
	var rows []squadRow
	for q := range questions {
		if !q.Labelled {
			continue
		}
		row := squadRow{hasAnswer: len(q.Answers) > 0}
		prediction, ok := predictions[q.ID]
		if ok {
			row.exact, row.f1 = squadOne(prediction, q.Answers, second)
			row.empty = prediction == ""
		} else {
			s.Missing++
		}
		if noAnswer != nil {
			row.noAnswer, ok = noAnswer[q.ID]
			if !ok || math.IsNaN(row.noAnswer) || math.IsInf(row.noAnswer, 0) {
				return nil, fmt.Errorf("metrics: the score that question %q has no answer is %s", q.ID, missingOr(ok, row.noAnswer))
			}
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("metrics: %w", ErrNoTargets)
	}
	s.average(rows)
	if noAnswer != nil {
		s.BestExact, s.BestExactThresh = bestThreshold(rows, func(r squadRow) float64 { return r.exact })
		s.BestF1, s.BestF1Thresh = bestThreshold(rows, func(r squadRow) float64 { return r.f1 })
	}
	return s, nil
}

func missingOr(there bool, v float64) string {
	if !there {
		return "missing"
	}
	return fmt.Sprint(v)
}

// squadRow holds the scores of one question.
type squadRow struct {
	exact, f1        float64
	hasAnswer, empty bool    // empty: the prediction is the empty text
	noAnswer         float64 // score that it has no answer
}

// average fills in the means.
func (s *SQuADScores) average(rows []squadRow) {
	for _, r := range rows {
		s.Total++
		s.Exact += r.exact
		s.F1 += r.f1
		if r.hasAnswer {
			s.HasAnsTotal++
			s.HasAnsExact += r.exact
			s.HasAnsF1 += r.f1
		} else {
			s.NoAnsTotal++
			s.NoAnsExact += r.exact
			s.NoAnsF1 += r.f1
		}
	}
	for _, m := range []struct {
		n    int
		sums []*float64
	}{{s.Total, []*float64{&s.Exact, &s.F1}}, {s.HasAnsTotal, []*float64{&s.HasAnsExact, &s.HasAnsF1}},
		{s.NoAnsTotal, []*float64{&s.NoAnsExact, &s.NoAnsF1}}} {
		for _, sum := range m.sums {
			*sum = 100 * *sum / float64(max(m.n, 1))
		}
	}
}

// bestThreshold goes from a threshold below all scores, where every prediction is the
// empty text, to one above all, and returns the best mean with its threshold. Among
// equal scores the order of the questions decides, as in the official script.
func bestThreshold(rows []squadRow, score func(squadRow) float64) (best, threshold float64) {
	order := slices.Clone(rows)
	slices.SortStableFunc(order, func(a, b squadRow) int { return cmp.Compare(a.noAnswer, b.noAnswer) })
	for _, r := range rows {
		if !r.hasAnswer {
			best++
		}
	}
	now := best
	for _, r := range order {
		switch {
		case r.hasAnswer:
			now += score(r)
		case !r.empty:
			now--
		}
		if now > best {
			best, threshold = now, r.noAnswer
		}
	}
	return 100 * best / float64(len(rows)), threshold
}

// squadOne returns the best exact match (0 or 1) and F1 of a prediction with answers.
func squadOne(prediction string, answers []question.Answer, second bool) (exact, f1 float64) {
	p := squadWords(prediction)
	one := func(answer []string) {
		if slices.Equal(p, answer) {
			exact = 1
		}
		f1 = max(f1, wordsF1(p, answer, second))
	}
	compared := false
	for _, a := range answers {
		if words := squadWords(a.Text); len(words) > 0 || !second {
			one(words)
			compared = true
		}
	}
	if !compared {
		one(nil)
	}
	return exact, f1
}

// wordsF1 is the harmonic mean of precision and recall of words, each counted as often as it occurs in both.
func wordsF1(prediction, answer []string, second bool) float64 {
	if second && (len(prediction) == 0 || len(answer) == 0) {
		if len(prediction) == len(answer) {
			return 1
		}
		return 0
	}
	left := map[string]int{}
	for _, w := range answer {
		left[w]++
	}
	same := 0
	for _, w := range prediction {
		if left[w] > 0 {
			left[w]--
			same++
		}
	}
	if same == 0 {
		return 0
	}
	precision, recall := ratio(same, len(prediction)), ratio(same, len(answer))
	return 2 * precision * recall / (precision + recall)
}

// squadWords returns the words of a text that count.
func squadWords(s string) []string {
	var b, word strings.Builder
	flush := func() {
		switch w := word.String(); w {
		case "a", "an", "the":
			b.WriteByte(' ')
		default:
			b.WriteString(w)
		}
		word.Reset()
	}
	for _, r := range normalize.Lower(s) {
		switch {
		case r < 0x80 && (unicode.IsPunct(r) || unicode.IsSymbol(r)): // Python's string.punctuation
		case unicode.IsLetter(r) || unicode.IsNumber(r): // what \b in Python's re has on one side
			word.WriteRune(r)
		default:
			flush()
			b.WriteRune(r)
		}
	}
	flush()
	return strings.FieldsFunc(b.String(), normalize.IsSpace)
}
