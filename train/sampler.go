package train

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/spalora/spalora/batch"
)

// position is the position of a micro-batch in a run: batch Batch of epoch Epoch, both from 0. Between two steps it
// determines all following micro-batches.
type position struct {
	Epoch int `json:"epoch"`
	Batch int `json:"batch"`
}

// sampler divides the rows into micro-batches. Its results depend on its fields and the epoch only, so that a run can
// start at any position.
type sampler struct {
	set        batch.Set
	batchSize  int // 0: tokens determines the size
	tokens     int // largest number of tokens of a micro-batch
	accumulate int
	seed       uint64
	inOrder    bool
	byLength   bool
}

func newSampler(set batch.Set, c Config) *sampler {
	return &sampler{
		set: set, batchSize: c.BatchSize, tokens: c.TokensPerBatch, accumulate: c.GradientAccumulationSteps,
		seed: c.Seed, inOrder: c.NoShuffle, byLength: c.GroupByLength,
	}
}

// epoch is the division of the rows of one epoch into micro-batches.
type epoch struct {
	order []int // all rows
	ends  []int // batch i is order[ends[i-1]:ends[i]]
}

// rows returns the rows of micro-batch i. The caller may keep the slice, but must not change it.
func (e *epoch) rows(i int) []int {
	start := 0
	if i > 0 {
		start = e.ends[i-1]
	}
	return e.order[start:e.ends[i]:e.ends[i]]
}

// epoch returns the micro-batches of epoch number n.
func (s *sampler) epoch(n int) *epoch {
	e := &epoch{order: s.order(n)}
	filled := 0
	for i, row := range e.order {
		size := 0
		if s.batchSize == 0 {
			size = s.set.Tokens(row)
		}
		if i > 0 && s.full(i, filled, size) {
			e.ends = append(e.ends, i)
			filled = 0
		}
		filled += size
	}
	if len(e.order) > 0 {
		e.ends = append(e.ends, len(e.order))
	}
	return e
}

// full reports whether the batch of row i−1, which has filled tokens, has no room for row i with size tokens.
func (s *sampler) full(i, filled, size int) bool {
	if s.batchSize > 0 {
		return i%s.batchSize == 0
	}
	return filled+size > s.tokens
}

// order returns the rows in the order of epoch number n.
func (s *sampler) order(n int) []int {
	order := make([]int, s.set.Len())
	for i := range order {
		order[i] = i
	}
	if s.inOrder {
		return order
	}
	shuffle(order, s.seed, uint64(n))
	if s.byLength {
		s.groupByLength(order)
	}
	return order
}

// shuffle permutes order with the Fisher–Yates algorithm and the PCG generator of math/rand/v2, seeded with (seed,
// epoch). Go promises to keep the numbers of that generator. The algorithm is here so that no release of Go changes the
// order of rows.
func shuffle(order []int, seed, epoch uint64) {
	g := rand.NewPCG(seed, epoch)
	for i := len(order) - 1; i > 0; i-- {
		j := below(g, uint64(i)+1)
		order[i], order[j] = order[j], order[i]
	}
}

// below returns a uniform number in [0, n) with Lemire's algorithm (2019, arXiv:1805.10941): the upper half of a
// 128-bit product, drawn again if the lower half would make some numbers more likely.
func below(g *rand.PCG, n uint64) uint64 {
	high, low := bits.Mul64(g.Uint64(), n)
	for low < n && low < -n%n {
		high, low = bits.Mul64(g.Uint64(), n)
	}
	return high
}

// groupedBatches is the number of batches whose rows are sorted by length together, as in transformers: large enough
// for batches of similar lengths and small enough for a random order.
const groupedBatches = 50

// groupByLength sorts shuffled rows by length, longest first, within groups of groupedBatches batches, and puts the
// longest of all first, so that a run that needs too much memory fails at once (as get_length_grouped_indices in
// transformers' trainer_pt_utils.py).
func (s *sampler) groupByLength(order []int) {
	size := s.batchSize
	if size == 0 {
		size = max(1, s.tokens*len(order)/max(1, s.allTokens()))
	}
	longest := 0
	for start := 0; start < len(order); start += groupedBatches * size {
		group := order[start:min(start+groupedBatches*size, len(order))]
		slices.SortStableFunc(group, func(a, b int) int { return s.set.Tokens(b) - s.set.Tokens(a) })
		if s.set.Tokens(order[start]) > s.set.Tokens(order[longest]) {
			longest = start
		}
	}
	if len(order) > 0 {
		order[0], order[longest] = order[longest], order[0]
	}
}

// allTokens returns the number of tokens of the whole set.
func (s *sampler) allTokens() int {
	n := 0
	for i := range s.set.Len() {
		n += s.set.Tokens(i)
	}
	return n
}

// stepsOf returns the number of optimiser steps of epoch number n.
func (s *sampler) stepsOf(n int) int {
	batches := 0
	if s.batchSize > 0 {
		batches = (s.set.Len() + s.batchSize - 1) / s.batchSize
	} else {
		batches = len(s.epoch(n).ends)
	}
	return (batches + s.accumulate - 1) / s.accumulate
}

// totalSteps returns the number of steps of the given number of epochs, at most limit. With a batch size it is
// ⌈epochs · steps of an epoch⌉ as in transformers. With a number of tokens the epochs may differ, so it sums their
// steps.
func (s *sampler) totalSteps(epochs float64, limit int) int {
	if s.batchSize > 0 {
		return int(min(float64(limit), math.Ceil(epochs*float64(s.stepsOf(0)))))
	}
	whole, part := math.Modf(epochs)
	total := 0
	for e := 0; float64(e) < whole && total < limit; e++ {
		total += s.stepsOf(e)
	}
	if part > 0 && total < limit {
		total += int(math.Ceil(part * float64(s.stepsOf(int(whole)))))
	}
	return min(total, limit)
}
