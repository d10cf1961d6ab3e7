package generate

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
)

// errNotANumber is the error for logits with a NaN or without a finite largest value.
var errNotANumber = errors.New("the model's logits are not numbers (NaN or infinite): " +
	"the weights of the model or the adapter are damaged, or their training diverged")

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

// next returns the token that follows a sequence. It changes logits (V values). seen holds each token of the sequence
// once, count is the number of generated tokens. It draws one number if the configuration samples. It returns an error
// if logits has a NaN or its largest value is infinite.
func (c *chooser) next(logits []float32, seen []int32, count int, draw *rand.Rand) (int32, error) {
	c.penalise(logits, seen, count)
	best := argmax(logits)
	if best < 0 || math.IsInf(float64(logits[best]), 0) {
		return 0, errNotANumber
	}
	if !c.cfg.DoSample {
		return int32(best), nil
	}
	c.warp(logits)
	return c.left.draw(draw.Float64()), nil
}

// penalise applies the processors that also affect greedy choices, in transformers' order: repetition penalty, then the
// minimum number of new tokens.
func (c *chooser) penalise(logits []float32, seen []int32, count int) {
	if p := float32(c.cfg.RepetitionPenalty); p != 1 {
		for _, id := range seen {
			if x := logits[id]; x < 0 {
				logits[id] = x * p
			} else {
				logits[id] = x / p
			}
		}
	}
	if count < c.cfg.MinNewTokens {
		for _, id := range c.cfg.EosTokenIDs {
			if int(id) < len(logits) {
				logits[id] = float32(math.Inf(-1))
			}
		}
	}
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
// and their probabilities. It applies the processors in transformers' order: temperature, top_k, top_p, min_p. The most
// probable token always stays.
func (c *chooser) warp(logits []float32) {
	if t := float32(c.cfg.Temperature); t != 1 {
		for i := range logits {
			logits[i] /= t
		}
	}
	none := float32(math.Inf(-1))
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
