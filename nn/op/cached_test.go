package op

import (
	"fmt"
	"testing"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
)

// TestCachedAttention compares attention to rows of a cache with attention to the same rows in a batch: with and
// without a bias, causal ones with new rows behind earlier ones, others with as many keys as the other side has.
func TestCachedAttention(t *testing.T) {
	plain, grouped := Heads{Q: 2, KV: 2, Dim: 3}, Heads{Q: 4, KV: 2, Dim: 2}
	causal, windowed := grouped, plain
	causal.Causal = true
	windowed.Causal, windowed.Window = true, 2
	later := Seqs{Starts: []int{0, 1, 3, 4}, First: []int{4, 0, 2}}
	own, other := Seqs{Starts: []int{0, 5, 7, 10}}, Seqs{Starts: []int{0, 2, 2, 9}}
	for i, c := range []struct {
		h      Heads
		ks     Seqs
		biased bool
	}{
		{causal, own, false}, {causal, own, true}, {windowed, own, true}, {plain, other, false}, {grouped, other, true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			tape := NewEvalTape(nil)
			defer tape.Close()
			r := seedOf(t.Name())
			nq, nk, width := later.Rows(), c.ks.Rows(), c.h.KV*c.h.Dim
			q := dense(random(r, nq*c.h.Q*c.h.Dim, 1), nq, c.h.Q*c.h.Dim)
			k, v := dense(random(r, nk*width, 1), nk, width), dense(random(r, nk*width, 1), nk, width)
			if c.biased {
				c.h.Bias = Bias{X: dense(random(r, 15*c.h.Q, 2), 15, c.h.Q), Low: -7}
			}
			past := make([]Past, c.ks.Len())
			for i := range past {
				lo, hi := c.ks.Starts[i]*width, c.ks.Starts[i+1]*width
				past[i] = Past{Keys: Values(k)[lo:hi], Values: Values(v)[lo:hi]}
			}
			got := Values(CachedAttention(tape, Columns{X: q}, later, past, c.h))
			want := Values(Attention(tape, Columns{X: q}, Columns{X: k}, Columns{X: v}, later, c.ks, c.h, Drop{}))
			closeNorm(t, "result", got, want)
		})
	}
}

// TestBiasMustCover: a bias without a row for a distance that a query sees is refused.
func TestBiasMustCover(t *testing.T) {
	seqs := Seqs{Starts: []int{0, 3, 5}}
	x := dense(make([]float32, 10), 5, 2)
	bias := func(rows, low int) Bias { return Bias{X: dense(make([]float32, 2*rows), rows, 2), Low: low} }
	for name, h := range map[string]Heads{
		"later keys":    {Q: 2, KV: 2, Dim: 1, Bias: bias(4, -2)},
		"earlier keys":  {Q: 2, KV: 2, Dim: 1, Bias: bias(4, -1)},
		"causal":        {Q: 2, KV: 2, Dim: 1, Causal: true, Bias: bias(2, -1)},
		"other heads":   {Q: 1, KV: 1, Dim: 2, Bias: bias(9, -4)},
		"a column more": {Q: 2, KV: 2, Dim: 1, Bias: Bias{X: dense(make([]float32, 27), 9, 3), Low: -4}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			tape := NewEvalTape(nil)
			defer tape.Close()
			Attention(tape, Columns{X: x}, Columns{X: dense(make([]float32, 10), 5, 2)}, Columns{X: dense(make([]float32, 10),
				5, 2)}, seqs, seqs, h, Drop{})
		})
	}
}

// TestBranches: two checkpointed blocks that read the same rows add up their gradients to the bits of two plain blocks.
func TestBranches(t *testing.T) {
	grads := func(checkpoint bool) []float32 {
		tape := NewTape(nil)
		defer tape.Close()
		s := decoderSample("branches", true)
		twice := s
		twice.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
			for range 2 {
				if x := xs[0]; checkpoint {
					xs[0] = t.Checkpoint(xs, func(t *Tape, xs []mat.Tensor) mat.Tensor { return s.run(t, xs, ps) })
				} else {
					xs[0] = s.run(t, []mat.Tensor{x, xs[1], xs[2]}, ps)
				}
			}
			return xs[0]
		}
		out := twice.execute(t, tape, results, walk)
		var all []float32
		for _, name := range []string{"x", "memory", "bias", "w"} {
			all = append(all, out.grads[name]...)
		}
		return all
	}
	equalBits(t, "gradients", grads(true), grads(false))
}
