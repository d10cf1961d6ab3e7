package op

import (
	"math"
	"unsafe"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// chainsPerTask is the number of chains whose gradients of transitions one task of the pool adds up. It does not depend
// on the number of workers, so that sums always have the same order.
const chainsPerTask = 4

// CRF returns the negative log-likelihood of the labels under a linear-chain conditional random field, summed
// (1×1) over the chains, and their number. emissions is N×K. Chain i consists of those of the rows starts[i] to
// starts[i+1]−1 whose label is not [Ignore]; a chain without rows does not count. transitions is (K+1)×(K+1)
// and may train; [Chain] has its layout and the probability of a path.
//
// forbidden has an element for each transition, nil: none. No path takes a forbidden transition, and its score gets no
// gradient. Where the labels themselves take one, the chain is cut: its parts are chains whose paths may begin or end
// there with any tag, at no score.
//
// The forward computes the gradients too, by the marginals of tags and transitions, in K² steps a row and in float64.
// CRF panics if the sizes do not fit or a label is out of range.
func CRF(
	t *Tape, emissions mat.Tensor, transitions *Weight, starts []int, labels []int32, forbidden []bool,
) (sum mat.Tensor, chains int) {
	n, k := Size(emissions)
	s := len(starts) - 1
	mustBe(s >= 0 && starts[0] == 0 && starts[s] == n, "CRF of %d rows with %d sequences", n, s)
	mustBe(len(labels) == n, "CRF of %d×%d emissions with %d labels", n, k, len(labels))
	mustBe(tagsOf(transitions, forbidden) == k, "CRF of %d×%d emissions with %d×%d transitions",
		n, k, transitions.Rows, transitions.Cols)
	f := &crf{x: emissions, w: transitions, starts: starts, labels: labels, forbidden: forbidden}
	f.inputs = trained([]mat.Tensor{emissions}, transitions)
	f.chain = Chain{k: k}
	for i := range s {
		some := false
		for _, y := range labels[starts[i]:starts[i+1]] {
			if y != Ignore {
				f.chain.mustBeTag(y)
				some = true
			}
		}
		if some {
			chains++
		}
	}
	return t.run(f), chains
}

type crf struct {
	node
	x         mat.Tensor
	w         *Weight
	starts    []int
	labels    []int32
	forbidden []bool
	chain     Chain
	dx, dw    []float32 // gradients, if the function is recorded
}

// Forward computes the losses of chains on the pool and adds them in order.
func (f *crf) Forward() (mat.Tensor, error) {
	n, k := Size(f.x)
	s := len(f.starts) - 1
	tasks := (s + chainsPerTask - 1) / chainsPerTask
	var lent [][]float32
	scratch := func(size int) []float64 {
		if size == 0 {
			return nil
		}
		b := f.t.alloc(2 * size)
		lent = append(lent, b)
		return unsafe.Slice((*float64)(unsafe.Pointer(&b[0])), size)
	}
	f.chain.make(scratch)
	f.chain.fill(scoresOf(f.w), f.forbidden)
	losses, paths := scratch(s), scratch(n*k+3*k*s)
	rows := f.t.Ints(n)
	var sums []float64 // the gradient of the transitions, a matrix for each task
	if f.keep {
		f.dx, f.dw = f.buffer(n*k), f.buffer((k+1)*(k+1))
		clear(f.dx)
		sums = scratch(tasks * len(f.dw))
		clear(sums)
	}
	x := Values(f.x)
	f.t.pool.For(tasks, func(task, _ int) {
		var sum []float64
		if f.keep {
			sum = sums[task*len(f.dw) : (task+1)*len(f.dw)]
		}
		for i := task * chainsPerTask; i < min(s, (task+1)*chainsPerTask); i++ {
			lo, hi := f.starts[i], f.starts[i+1]
			of := rows[lo:lo]
			for row := lo; row < hi; row++ {
				if f.labels[row] != Ignore {
					of = append(of, int32(row))
				}
			}
			losses[i] = f.chain.segments(x, of, f.labels, paths[lo*k+3*k*i:hi*k+3*k*(i+1)], f.dx, sum)
		}
	})
	total := 0.0
	for _, v := range losses {
		total += v
	}
	for i := range f.dw {
		sum := 0.0
		for task := range tasks {
			sum += sums[task*len(f.dw)+i]
		}
		f.dw[i] = float32(sum)
	}
	for _, b := range lent {
		f.t.free(b)
	}
	f.chain = Chain{}
	y := f.t.tensor(1, 1)
	y.data[0] = float32(total)
	return y, nil
}

// Backward: dX = gy·(marginals of tags − labels), dT = gy·(marginals of transitions − those of the labels).
func (f *crf) Backward(gy mat.Tensor) error {
	s := Values(gy)[0]
	scaled := func(grad []float32) func(dst []float32, add bool) {
		return func(dst []float32, add bool) {
			if add {
				kernel.AddScaled(dst, grad, s)
			} else {
				kernel.Scale(dst, grad, s)
			}
		}
	}
	f.into(f.x, scaled(f.dx))
	if f.w.Param != nil {
		f.into(f.w.Param, scaled(f.dw))
	}
	return nil
}

// Forbidden is the score that stands for a forbidden transition where transitions are stored: it is finite, as values
// in files must be, and no other score is near it.
const Forbidden = -10000

// ForbiddenIn returns the mask of [CRF] and [NewChain] for the transitions whose stored scores say that they are
// forbidden, those that are −1000 or below (weight decay brings [Forbidden] closer to 0); nil: none.
func ForbiddenIn(transitions *Weight) []bool {
	var mask []bool
	for i, v := range scoresOf(transitions) {
		if float64(v) > Forbidden/10 || math.IsNaN(float64(v)) {
			continue
		}
		if mask == nil {
			mask = make([]bool, transitions.Len())
		}
		mask[i] = true
	}
	return mask
}
