package generate

import (
	"cmp"
	"math"
	"slices"
)

// search is the beam search of one prompt. It follows transformers' _beam_search to the order of its float32
// operations, since sums of log-probabilities that differ in the last bit can change the order of beams.
type search struct {
	*run
	prompt     int         // index in the call
	running    []beam      // NumBeams of them, the best first
	finished   []beam      // NumBeams places, the best first; places without a sequence have no finish
	improvable bool        // a running beam may become better than the finished ones
	open       bool        // the search continues
	list       []extension // the candidates of a step, the best first
}

// beam is a sequence of a beam search.
type beam struct {
	history
	parent int // index among the running beams of the step before
	// score is the sum of the log-probabilities of the new tokens; of a finished beam it is divided by a power of their
	// number.
	score  float32
	finish Finish // of a finished beam
}

// extension is a running beam with a further token.
type extension struct {
	beam   int
	id     int32
	score  float32
	finish Finish  // "" if it can be continued
	logp   float64 // log-probability of the token after the processors, with log_probs
}

// never is the score of a beam that does not exist. It is finite, as in transformers, and so large that the sum with a
// log-probability has no more digits of that.
const never = -1e9

func newSearch(at int, p Prompt, r *run) *search {
	s := &search{run: r, prompt: at, improvable: true, open: true}
	start := newHistory(p, r.g.model.MaxLength(), r.cfg)
	for i := range r.cfg.NumBeams { // of equal beams only the first counts in the first step
		x := beam{history: start.fork()}
		if i > 0 {
			x.score = never
		}
		s.running = append(s.running, x)
		s.finished = append(s.finished, beam{score: never})
	}
	return s
}

// divisor returns the power of a number of new tokens that divides the score of a sequence.
func (s *search) divisor(tokens int) float32 {
	return float32(math.Pow(float64(tokens), s.cfg.LengthPenalty))
}

// step extends the beams by a token. rows are the log-probabilities of all tokens, for each running beam, or for all at
// once in the first step. late says that this is the last token.
func (s *search) step(rows [][]float32, late bool) error {
	var totals []float64 // of the rows' probabilities, as logarithms
	for i, row := range rows {
		s.choose.process(row, &s.running[i].history)
		if s.cfg.LogProbs {
			totals = append(totals, logSumExp(row))
		}
		if best := argmax(row); best < 0 || math.IsInf(float64(row[best]), 1) {
			return errNotANumber
		}
	}
	s.extend(rows)
	list := s.list
	if list[0].score == none {
		return errNoToken
	}
	all := true // no candidate can be continued
	for i := range list {
		if at := min(list[i].beam, len(rows)-1); totals != nil {
			list[i].logp = float64(rows[at][list[i].id]) - totals[at]
		}
		list[i].finish = s.ending(list[i], late)
		all = all && list[i].finish != ""
	}
	s.collect(list)
	s.continueWith(list)
	s.improvable = s.improvable && s.improves()
	full := !slices.ContainsFunc(s.finished, func(x beam) bool { return x.finish == "" })
	s.open = s.improvable && !all && !(full && s.cfg.EarlyStopping == UntilFull)
	return nil
}

// extend sets s.list to the best extensions: enough of them that NumBeams are left if every beam is extended by each of
// the end tokens. Of equal ones, those of the first beam and of the lowest token come first. A heap has the
// worst of the best ones on top.
func (s *search) extend(rows [][]float32) {
	n := min(max(2, 1+len(s.cfg.EosTokenIDs)), len(rows[0])) * s.cfg.NumBeams
	worse := func(a, b extension) bool { return compare(a, b) > 0 }
	h := s.list[:0]
	for i := range s.running {
		sum := s.running[i].score
		for id, x := range rows[min(i, len(rows)-1)] {
			score := sum + x
			switch {
			case len(h) < n:
				h = append(h, extension{beam: i, id: int32(id), score: score})
				if len(h) == n {
					for k := n/2 - 1; k >= 0; k-- {
						sink(h, k, worse)
					}
				}
			case score > h[0].score:
				h[0] = extension{beam: i, id: int32(id), score: score}
				sink(h, 0, worse)
			}
		}
	}
	slices.SortFunc(h, compare)
	s.list = h
}

// compare orders extensions, the best first.
func compare(a, b extension) int {
	return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.beam, b.beam), cmp.Compare(a.id, b.id))
}

// ending returns why an extended beam ends, or "".
func (s *search) ending(x extension, late bool) Finish {
	h := &s.running[x.beam].history
	if f := s.ends[x.id]; f != "" {
		return f
	}
	if len(s.cfg.StopStrings) > 0 && s.stops(h.ids[h.prompt:], x.id) {
		return StopString
	}
	switch {
	case len(h.ids)+1 >= h.limit:
		return Length
	case late:
		return TimeUp
	}
	return ""
}

// stops reports whether the text of new tokens has a stop string.
func (s *search) stops(ids []int32, last int32) bool {
	stream, stop := s.g.tok.Stream(true), stopText{stops: s.cfg.StopStrings}
	for _, id := range ids {
		stop.add(stream.Next(id))
	}
	_, found := stop.add(stream.Next(last))
	return found
}

// collect takes the candidates that end among the finished beams, if they are better. Only the first NumBeams
// candidates may end; the others are there so that enough can continue.
func (s *search) collect(list []extension) {
	by := s.divisor(s.running[0].count() + 1)
	merged := slices.Clone(s.finished)
	for i, x := range list {
		if x.finish == "" || i >= s.cfg.NumBeams {
			continue
		}
		f := beam{history: s.running[x.beam].fork(), score: x.score / by, finish: x.finish}
		f.add(x.id)
		f.logp += x.logp
		merged = append(merged, f)
	}
	slices.SortStableFunc(merged, func(a, b beam) int { return cmp.Compare(b.score, a.score) })
	s.finished = merged[:s.cfg.NumBeams]
}

// continueWith makes the best candidates that do not end the running beams.
func (s *search) continueWith(list []extension) {
	for i := range list {
		if list[i].finish != "" {
			list[i].score += never
		}
	}
	slices.SortStableFunc(list, func(a, b extension) int { return cmp.Compare(b.score, a.score) })
	list = list[:s.cfg.NumBeams]
	next, taken := make([]beam, len(list)), make([]bool, len(s.running))
	for i, x := range list {
		next[i] = beam{history: s.running[x.beam].history, parent: x.beam, score: x.score}
		if taken[x.beam] {
			next[i].history = s.running[x.beam].fork()
		}
		taken[x.beam] = true
	}
	for i, x := range list { // after all copies were made
		next[i].add(x.id)
		next[i].logp += x.logp
	}
	s.running = next
}

// improves reports whether the best running beam may become better than a finished one.
func (s *search) improves() bool {
	tokens := s.running[0].count()
	if s.cfg.EarlyStopping == UntilImpossible && s.cfg.LengthPenalty > 0 {
		tokens = s.running[0].limit - s.running[0].prompt
	}
	possible := s.running[0].score / s.divisor(tokens)
	worst := s.finished[len(s.finished)-1].score
	for _, x := range s.finished {
		if x.finish == "" {
			worst = min(worst, never)
		}
	}
	return possible > worst
}
