package generate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// errNotANumber is the error for logits with a NaN or without a finite largest value.
var errNotANumber = errors.New("the model's logits are not numbers (NaN or infinite): " +
	"the weights of the model or the adapter are damaged, or their training diverged")

// errNoToken is the error for a step at which no token may follow.
var errNoToken = fmt.Errorf("%w: they forbid every token; remove some of `suppress_tokens`, `begin_suppress_tokens`, "+
	"`bad_words_ids`, `no_repeat_ngram_size`, `encoder_no_repeat_ngram_size`, `min_new_tokens` and `min_length`",
	ErrConfig)

// forbids reports whether there are settings that exclude tokens.
func (c *Config) forbids() bool {
	return len(c.SuppressTokens) > 0 || len(c.BeginSuppressTokens) > 0 || len(c.BadWordsIDs) > 0 ||
		c.NoRepeatNgramSize > 0 || c.EncoderNoRepeatNgramSize > 0 || c.MinNewTokens > 0 || c.MinLength > 0 ||
		len(c.SequenceBias) > 0 || c.Timestamps != nil
}

// chooser chooses tokens. It keeps buffers between the steps of one call; the sequences of a call share it.
type chooser struct {
	cfg  Config
	left candidates // tokens that may be drawn
	heap []float32  // of the largest logits
}

// candidate is a token that may be drawn.
type candidate struct {
	id    int32
	logit float32
	p     float64 // probability among the candidates
}

type candidates []candidate

// next returns the token that follows a sequence, and adds its log-probability to those of h if the configuration asks
// for them. It changes logits (V values). It draws one number if the configuration samples. It returns an error if
// logits has a NaN or its largest value is infinite, or if the settings forbid every token.
func (c *chooser) next(logits []float32, h *history, draw *rand.Rand) (int32, error) {
	c.process(logits, h)
	best := argmax(logits)
	switch {
	case best >= 0 && logits[best] == none && c.cfg.forbids():
		return 0, errNoToken
	case best < 0 || math.IsInf(float64(logits[best]), 0):
		return 0, errNotANumber
	}
	if !c.cfg.DoSample {
		if c.cfg.LogProbs {
			h.logp += float64(logits[best]) - logSumExp(logits)
		}
		return int32(best), nil
	}
	c.warp(logits)
	id := c.left.draw(draw.Float64())
	if c.cfg.LogProbs {
		h.logp += c.left.logProb(id, c.cfg.Temperature)
	}
	return id, nil
}

// logSumExp returns log Σ exp(x), −∞ if all values are −∞.
func logSumExp(x []float32) float64 {
	best := float64(slices.Max(x))
	if math.IsInf(best, -1) {
		return best
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v) - best)
	}
	return best + math.Log(sum)
}

// logProb returns the log-probability of a candidate among the others, without the temperature that divided the logits.
func (l candidates) logProb(id int32, temperature float64) float64 {
	logits, at := make([]float32, len(l)), 0
	for i, x := range l {
		logits[i] = x.logit * float32(temperature)
		if x.id == id {
			at = i
		}
	}
	return float64(logits[at]) - logSumExp(logits)
}

// argmax returns the index of the largest value, the first among equal ones, or −1 if a value is NaN or x is empty.
func argmax(x []float32) int {
	if len(x) == 0 || x[0] != x[0] {
		return -1
	}
	best, at := x[0], 0
	for i, v := range x {
		if v > best {
			best, at = v, i
		} else if v != v {
			return -1
		}
	}
	return at
}

// warp sets c.left to the tokens that sampling may draw, in the order of their ids, with their logits after temperature
// and their probabilities. It applies the processors in transformers' order: temperature, top_h, top_k, top_p, min_p,
// typical_p, epsilon_cutoff, eta_cutoff. The most probable token always stays, except under typical_p.
func (c *chooser) warp(logits []float32) {
	if t := float32(c.cfg.Temperature); t != 1 {
		for i := range logits {
			logits[i] /= t
		}
	}
	if c.cfg.TopH > 0 {
		c.topH(logits, float32(c.cfg.TopH))
	}
	least := none
	if k := c.cfg.TopK; k > 0 && k < len(logits) {
		least = c.kthLargest(logits, k)
	}
	c.left = c.left[:0]
	for i, v := range logits {
		if v >= least && v > none {
			c.left = append(c.left, candidate{id: int32(i), logit: v})
		}
	}
	c.left.softmax()
	if c.cfg.TopP < 1 {
		c.left = c.left.topP(float32(1 - c.cfg.TopP))
	}
	if c.cfg.MinP > 0 {
		c.left = c.left.minP(float32(c.cfg.MinP))
	}
	if p := c.cfg.TypicalP; p > 0 && p < 1 {
		c.left = c.left.typical(float32(p))
	}
	if c.cfg.EpsilonCutoff > 0 {
		c.left = c.left.atLeast(float32(c.cfg.EpsilonCutoff))
	}
	if e := float32(c.cfg.EtaCutoff); e > 0 {
		root := float32(math.Sqrt(float64(e)))
		c.left = c.left.atLeast(min(e, root*float32(math.Exp(-float64(float32(c.left.entropy()))))))
	}
}

// topHTokens is the number of most probable tokens that top_h looks at.
const topHTokens = 100

// topH excludes all tokens but the most probable ones whose entropy is at most share of the entropy of the topHTokens
// most probable ones.
func (c *chooser) topH(logits []float32, share float32) {
	n := min(topHTokens, len(logits))
	least := c.kthLargest(logits, n)
	top := c.left[:0]
	for i, v := range logits {
		if v >= least && v > none {
			top = append(top, candidate{id: int32(i), logit: v})
		}
	}
	slices.SortStableFunc(top, func(a, b candidate) int { return cmp.Compare(b.logit, a.logit) })
	top = top[:min(n, len(top))]
	top.softmax()
	budget, sum, keep := float32(top.entropy())*share, 0.0, 1
	for i, x := range top {
		p := float32(x.p)
		if sum += float64(-p * float32(math.Log(float64(p)))); p == 0 || float32(sum) > budget {
			break
		}
		keep = i + 1
	}
	exclude(logits)
	for _, x := range top[:keep] {
		logits[x.id] = x.logit
	}
	c.left = top
}

// kthLargest returns the k-th largest value, 0 < k ≤ len(x): the smallest one in a heap of the k largest.
func (c *chooser) kthLargest(x []float32, k int) float32 {
	less := func(a, b float32) bool { return a < b }
	h := append(c.heap[:0], x[:k]...)
	for i := k/2 - 1; i >= 0; i-- {
		sink(h, i, less)
	}
	for _, v := range x[k:] {
		if v > h[0] {
			h[0] = v
			sink(h, 0, less)
		}
	}
	c.heap = h
	return h[0]
}

// softmax sets the probabilities of the candidates, which add up to 1.
func (l candidates) softmax() {
	best := l[0].logit
	for _, x := range l {
		best = max(best, x.logit)
	}
	sum := 0.0
	for i := range l {
		l[i].p = math.Exp(float64(l[i].logit - best))
		sum += l[i].p
	}
	for i := range l {
		l[i].p /= sum
	}
}

// topP removes the least probable candidates whose probabilities add up to at most rest, and returns the others with
// new probabilities. Of equally probable candidates it removes those with lower ids first, as after a stable ascending
// sort. It pops candidates from a heap until the remaining ones can be removed, so that most of them are never sorted.
func (l candidates) topP(rest float32) candidates {
	below := 0.0 // sum of the probabilities that are still in the heap
	for i := range l {
		l[i].p = float64(float32(l[i].p)) // torch sums float32 values
		below += l[i].p
	}
	more := func(a, b candidate) bool { return a.logit > b.logit || a.logit == b.logit && a.id > b.id }
	for i := len(l)/2 - 1; i >= 0; i-- {
		sink(l, i, more)
	}
	n := len(l) // l[n:] are the candidates that stay
	for n > 0 && (n == len(l) || float32(below) > rest) {
		below -= l[0].p
		n--
		l[0], l[n] = l[n], l[0]
		sink(l[:n], 0, more)
	}
	l = l[:copy(l, l[n:])]
	slices.SortFunc(l, func(a, b candidate) int { return cmp.Compare(a.id, b.id) })
	l.softmax()
	return l
}

// minP removes the candidates whose probability is below share times the largest, and returns the others with new
// probabilities.
func (l candidates) minP(share float32) candidates {
	most := float32(0)
	for _, x := range l {
		most = max(most, float32(x.p))
	}
	n := 0
	for _, x := range l {
		if float32(x.p) >= share*most {
			l[n] = x
			n++
		}
	}
	l = l[:n]
	l.softmax()
	return l
}

// typical removes the candidates whose information −log p is farthest from the entropy, and keeps as few as reach the
// probability mass (Meister et al. 2022, arXiv:2202.00666). It returns the others with new probabilities.
func (l candidates) typical(mass float32) candidates {
	type distance struct {
		shift float32
		p     float64
	}
	entropy := float32(l.entropy())
	shift := func(x candidate) float32 {
		return float32(math.Abs(float64(float32(-math.Log(x.p)) - entropy)))
	}
	order := make([]distance, len(l))
	for i, x := range l {
		order[i] = distance{shift(x), x.p}
	}
	slices.SortStableFunc(order, func(a, b distance) int { return cmp.Compare(a.shift, b.shift) })
	sum, last := 0.0, 0
	for ; last < len(order)-1; last++ {
		if sum += float64(float32(order[last].p)); float32(sum) >= mass {
			break
		}
	}
	n := 0
	for _, x := range l {
		if shift(x) <= order[last].shift {
			l[n] = x
			n++
		}
	}
	l = l[:n]
	l.softmax()
	return l
}

// atLeast removes the candidates whose probability is below least, but never the most probable ones, and returns the
// others with new probabilities.
func (l candidates) atLeast(least float32) candidates {
	best := none
	for _, x := range l {
		best = max(best, x.logit)
	}
	n := 0
	for _, x := range l {
		if float32(x.p) >= least || x.logit == best {
			l[n] = x
			n++
		}
	}
	l = l[:n]
	l.softmax()
	return l
}

// entropy returns −Σ p·log p.
func (l candidates) entropy() float64 {
	sum := 0.0
	for _, x := range l {
		if x.p > 0 {
			sum -= x.p * math.Log(x.p)
		}
	}
	return sum
}

// draw returns the first token at which the cumulated probability exceeds u ∈ [0, 1).
func (l candidates) draw(u float64) int32 {
	last := 0
	for i, x := range l {
		if x.p == 0 {
			continue
		}
		if last = i; u < x.p {
			break
		}
		u -= x.p
	}
	return l[last].id // after rounding, u may exceed the sum of all probabilities
}

// sink moves the element at i of a binary heap down to its place. above reports whether a belongs nearer to the top
// than b.
func sink[T any](h []T, i int, above func(a, b T) bool) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && above(h[child+1], h[child]) {
			child++
		}
		if !above(h[child], h[i]) {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
