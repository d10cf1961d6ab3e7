package op

import (
	"fmt"
	"math"
)

// Chain holds the transition scores of a linear-chain conditional random field (CRF) over K tags, for decoding. The
// score of tags y over n rows of emissions e is
//
//	T[0][y₁+1] + Σ e[i][yᵢ] + Σ T[yᵢ+1][yᵢ₊₁+1] + T[yₙ+1][0]
//
// and the probability of y is proportional to the exponential of its score. T is (K+1)×(K+1), laid out as spago's
// crf.Model does it: row 0 scores the first tag of a chain, column 0 the last one; T[0][0] has no meaning. All sums run
// in float64, in logarithms from which the maximum is subtracted, so that long chains neither overflow nor underflow. A
// Chain never changes and is safe for concurrent use.
type Chain struct {
	k          int
	start, end []float64 // K
	next       []float64 // K×K: from each tag to each
	last       []float64 // its transpose: to each tag from each
	top        float64   // the largest of next
	up, down   []float64 // exp(last − top), exp(next − top)
}

// make allocates the slices of a chain.
func (c *Chain) make(float64s func(n int) []float64) {
	c.start, c.end = float64s(c.k), float64s(c.k)
	for _, s := range []*[]float64{&c.next, &c.last, &c.up, &c.down} {
		*s = float64s(c.k * c.k)
	}
}

// NewChain returns the chain of the given transition scores, whose forbidden transitions, if there are any, no path
// takes. forbidden is laid out as transitions, row after row; nil: none. NewChain panics if the sizes do not fit.
func NewChain(transitions *Weight, forbidden []bool) *Chain {
	k := tagsOf(transitions, forbidden)
	c := &Chain{k: k}
	c.make(func(n int) []float64 { return make([]float64, n) })
	c.fill(scoresOf(transitions), forbidden)
	return c
}

// tagsOf returns K and panics if the sizes do not fit.
func tagsOf(transitions *Weight, forbidden []bool) int {
	k := transitions.Cols - 1
	mustBe(k > 0 && transitions.Rows == k+1, "CRF with %d×%d transitions", transitions.Rows, transitions.Cols)
	mustBe(forbidden == nil || len(forbidden) == transitions.Len(),
		"CRF of %d tags with %d forbidden transitions", k, len(forbidden))
	return k
}

// scoresOf returns the values of a weight, which the caller must not change.
func scoresOf(w *Weight) []float32 {
	if w.Param != nil {
		return Values(w.Param)
	}
	return w.Float32()
}

// fill sets the scores of c to those of t.
func (c *Chain) fill(t []float32, forbidden []bool) {
	at := func(i, j int) float64 {
		n := i*(c.k+1) + j
		if forbidden != nil && forbidden[n] {
			return math.Inf(-1)
		}
		return float64(t[n])
	}
	for i := range c.k {
		c.start[i], c.end[i] = at(0, i+1), at(i+1, 0)
		for j := range c.k {
			c.next[i*c.k+j] = at(i+1, j+1)
			c.last[j*c.k+i] = c.next[i*c.k+j]
		}
	}
	if c.top = largest(c.next); math.IsInf(c.top, -1) {
		c.top = 0
	}
	for i, v := range c.next {
		c.down[i], c.up[i] = math.Exp(v-c.top), math.Exp(c.last[i]-c.top)
	}
}

// Viterbi sets path to the tags with the largest score over the rows of emissions (n×K, n = len(path)). Of tags with
// equal scores it takes the lowest, from the last row on to the first. It panics if the sizes do not fit.
func (c *Chain) Viterbi(emissions []float32, path []int32) {
	k, n := c.k, len(path)
	mustBe(len(emissions) == n*k, "Viterbi of %d emissions of %d tags for a path of %d rows", len(emissions), k, n)
	if n == 0 {
		return
	}
	score, next := make([]float64, k), make([]float64, k)
	from := make([]int32, n*k)
	for j := range k {
		score[j] = float64(emissions[j]) + c.start[j]
	}
	for row := 1; row < n; row++ {
		for j := range k {
			e, to := float64(emissions[row*k+j]), c.last[j*k:(j+1)*k]
			best, most := 0, math.Inf(-1)
			for i, t := range to {
				if v := score[i] + e + t; v > most {
					best, most = i, v
				}
			}
			next[j], from[row*k+j] = most, int32(best)
		}
		score, next = next, score
	}
	best, most := 0, math.Inf(-1)
	for j, t := range c.end {
		if v := score[j] + t; v > most {
			best, most = j, v
		}
	}
	path[n-1] = int32(best)
	for row := n - 1; row > 0; row-- {
		path[row-1] = from[row*k+int(path[row])]
	}
}

// Marginals sets p (n×K) to the probability of each tag in each row, over all paths through the rows of emissions
// (n×K). It panics if the sizes do not fit.
func (c *Chain) Marginals(emissions, p []float32) {
	k := c.k
	n := len(emissions) / k
	mustBe(len(emissions) == n*k && len(p) == n*k, "Marginals of %d tags: %d emissions, %d probabilities",
		k, len(emissions), len(p))
	if n == 0 {
		return
	}
	rows := make([]int32, n)
	for i := range rows {
		rows[i] = int32(i)
	}
	s := segment{c: c, x: emissions, rows: rows, scratch: make([]float64, s64(n, k)), first: true, last: true}
	s.backward(s.forward(), p, nil)
}

// Loss returns −log of the probability of tags over the rows of emissions (n×K, n = len(tags)), and the number of
// chains that it is of: 1, or 0 without a row. Where tags take a forbidden transition, the loss is that of [CRF]. It
// panics if the sizes do not fit or a tag is out of range.
func (c *Chain) Loss(emissions []float32, tags []int32) (loss float64, chains int) {
	mustBe(len(emissions) == len(tags)*c.k, "CRF of %d tags: %d emissions for %d rows", c.k, len(emissions), len(tags))
	rows := make([]int32, 0, len(tags))
	for i, y := range tags {
		c.mustBeTag(y)
		rows = append(rows, int32(i))
	}
	scratch := make([]float64, s64(len(tags), c.k))
	return c.segments(emissions, rows, tags, scratch, nil, nil), min(1, len(tags))
}

func (c *Chain) mustBeTag(y int32) {
	if uint(y) >= uint(c.k) {
		panic(fmt.Sprintf("op: CRF label %d of %d tags", y, c.k))
	}
}

// segments returns the loss of the chain of the given rows, whose tags are labels[row], and unless grad is nil, sets
// the rows of grad to the gradient of the emissions and adds to sums, the gradient of the transitions. Where the tags
// take a forbidden transition, the chain is cut: its parts are chains whose paths begin or end there with any tag, at
// no score.
func (c *Chain) segments(x []float32, rows, labels []int32, scratch []float64, grad []float32, sums []float64) float64 {
	loss := 0.0
	for lo := 0; lo < len(rows); {
		hi := lo + 1
		for hi < len(rows) && !math.IsInf(c.next[int(labels[rows[hi-1]])*c.k+int(labels[rows[hi]])], -1) {
			hi++
		}
		s := segment{c: c, x: x, rows: rows[lo:hi], scratch: scratch}
		s.first = lo == 0 && !math.IsInf(c.start[labels[rows[lo]]], -1)
		s.last = hi == len(rows) && !math.IsInf(c.end[labels[rows[hi-1]]], -1)
		z := s.forward()
		loss += z - s.gold(labels, sums)
		if grad != nil {
			s.backward(z, grad, sums)
			for _, row := range s.rows {
				grad[int(row)*c.k+int(labels[row])]--
			}
		}
		lo = hi
	}
	return loss
}

// segment is a part of a chain between cuts: the rows of x with the given numbers, at least one.
type segment struct {
	c           *Chain
	x           []float32
	rows        []int32
	scratch     []float64 // s64 values for the rows
	first, last bool      // whether the scores of a first and of a last tag count
}

// s64 returns the number of float64 values that a segment of n rows needs: the logarithms of the sums over all paths up
// to each tag of each row, and three rows more.
func s64(n, k int) int { return (n + 3) * k }

// start and end return the score of the first and of the last tag.
func (s *segment) start(j int) float64 {
	if !s.first {
		return 0
	}
	return s.c.start[j]
}

func (s *segment) end(j int) float64 {
	if !s.last {
		return 0
	}
	return s.c.end[j]
}

// forward returns the logarithm of the sum over all paths.
func (s *segment) forward() float64 {
	k := s.c.k
	alpha, v := s.scratch[:len(s.rows)*k], s.scratch[len(s.rows)*k:][:k]
	for n, row := range s.rows {
		e, to := s.x[int(row)*k:int(row+1)*k], alpha[n*k:(n+1)*k]
		if n == 0 {
			for j, x := range e {
				to[j] = s.start(j) + float64(x)
			}
			continue
		}
		before := alpha[(n-1)*k : n*k]
		copy(v, before)
		top := shiftedExp(v)
		for j, x := range e {
			if sum := dot(v, s.c.up[j*k:(j+1)*k]); sum >= tiny {
				to[j] = s.c.top + top + math.Log(sum) + float64(x)
			} else {
				to[j] = logSumExp(before, s.c.last[j*k:(j+1)*k]) + float64(x)
			}
		}
	}
	for j := range k {
		v[j] = s.end(j)
	}
	return logSumExp(alpha[(len(s.rows)-1)*k:], v)
}

// backward sets the rows of p to the probability of each tag and adds those of the transitions to sums, unless it is
// nil. z is the result of forward, which must have run.
func (s *segment) backward(z float64, p []float32, sums []float64) {
	k, n := s.c.k, len(s.rows)
	alpha, free := s.scratch[:n*k], s.scratch[n*k:]
	beta, behind, v := free[:k], free[k:2*k], free[2*k:3*k]
	for j := range k {
		beta[j] = s.end(j)
	}
	for at := n - 1; at >= 0; at-- {
		row := int(s.rows[at])
		for j, b := range beta {
			q := math.Exp(alpha[at*k+j] + b - z)
			p[row*k+j] = float32(q)
			if sums == nil {
				continue
			}
			if at == 0 && s.first {
				sums[j+1] += q
			}
			if at == n-1 && s.last {
				sums[(j+1)*(k+1)] += q
			}
		}
		if at == 0 {
			return
		}
		for j, b := range beta {
			behind[j] = float64(s.x[row*k+j]) + b
		}
		copy(v, behind)
		top := shiftedExp(v)
		for i := range k {
			before := alpha[(at-1)*k+i]
			sum := dot(v, s.c.down[i*k:(i+1)*k])
			if sum >= tiny {
				beta[i] = s.c.top + top + math.Log(sum)
			} else {
				beta[i] = logSumExp(behind, s.c.next[i*k:(i+1)*k])
			}
			if sums == nil {
				continue
			}
			to := sums[(i+1)*(k+1)+1:][:k]
			if sum >= tiny {
				f := math.Exp(before + s.c.top + top - z)
				for j, q := range s.c.down[i*k : (i+1)*k] {
					to[j] += f * q * v[j]
				}
				continue
			}
			for j, t := range s.c.next[i*k : (i+1)*k] {
				to[j] += math.Exp(before + t + behind[j] - z)
			}
		}
	}
}

// gold returns the score of the labels and, unless sums is nil, takes 1 from the element of each transition.
func (s *segment) gold(labels []int32, sums []float64) float64 {
	k := s.c.k
	score, last := 0.0, 0
	for n, row := range s.rows {
		y := int(labels[row])
		score += float64(s.x[int(row)*k+y])
		switch {
		case n > 0:
			score += s.c.next[last*k+y]
		case s.first:
			score += s.c.start[y]
		}
		if sums != nil && (n > 0 || s.first) {
			from := 0
			if n > 0 {
				from = last + 1
			}
			sums[from*(k+1)+y+1]--
		}
		last = y
	}
	if s.last {
		score += s.c.end[last]
		if sums != nil {
			sums[(last+1)*(k+1)]--
		}
	}
	return score
}

// tiny is the least sum of products of exponentials that is exact enough: the logarithms are summed below it.
const tiny = 1e-250

// dot returns Σ a·b.
func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a[:len(b)] {
		sum += x * b[i]
	}
	return sum
}

// logSumExp returns log Σ exp(a + b), −∞ if all sums are.
func logSumExp(a, b []float64) float64 {
	top, sum := math.Inf(-1), 0.0
	for i, x := range b {
		if v := a[i] + x; v > top || v != v {
			top = v
		}
	}
	if math.IsInf(top, -1) {
		return top
	}
	for i, x := range b {
		sum += math.Exp(a[i] + x - top)
	}
	return top + math.Log(sum)
}

// shiftedExp replaces the values of v by exp(v − top) and returns top, the largest one, or 0 if that is −∞.
func shiftedExp(v []float64) (top float64) {
	if top = largest(v); math.IsInf(top, -1) {
		top = 0
	}
	for i, x := range v {
		v[i] = math.Exp(x - top)
	}
	return top
}

// largest returns the largest value, NaN if there is one.
func largest(v []float64) float64 {
	top := v[0]
	for _, x := range v[1:] {
		if x > top || x != x {
			top = x
		}
	}
	return top
}
