package op

import (
	"fmt"
	"slices"
	"testing"
)

// TestAttentionBlocks: the results and gradients for 300 queries, which are several blocks, are those of a few queries
// at a time, for as many keys as Whisper has and for fewer.
func TestAttentionBlocks(t *testing.T) {
	const queries, step, dim = 300, 12, 4
	for _, keys := range []int{40, 1000, 1500} {
		h := Heads{Q: 1, KV: 1, Dim: dim}
		r := seedOf("blocks")
		q, dy := random(r, queries*dim, 1), random(r, queries*dim, 1)
		k, v := NewParam(keys, dim, random(r, keys*dim, 1)), NewParam(keys, dim, random(r, keys*dim, 1))
		run := func(lo, hi int) (y, dq []float32) {
			tape := NewTape(nil)
			defer tape.Close()
			x := NewParam(hi-lo, dim, slices.Clone(q[lo*dim:hi*dim]))
			out := Attention(tape, Columns{X: x}, Columns{X: k}, Columns{X: v}, Seqs{Starts: []int{0, hi - lo}},
				Seqs{Starts: []int{0, keys}}, h, Drop{})
			y = slices.Clone(Values(out))
			if err := tape.Backward(newProbe(tape, out, dy[lo*dim:hi*dim], make([]float32, (hi-lo)*dim))); err != nil {
				t.Fatal(err)
			}
			return y, Grad(x)
		}
		y, dq := run(0, queries)
		dk, dv := slices.Clone(Grad(k)), slices.Clone(Grad(v))
		ZeroGrad(k)
		ZeroGrad(v)
		var parts, dparts []float32
		for lo := 0; lo < queries; lo += step {
			y, dq := run(lo, lo+step)
			parts, dparts = append(parts, y...), append(dparts, dq...)
		}
		equalBits(t, fmt.Sprintf("%d keys: result", keys), y, parts)
		closeNorm(t, fmt.Sprintf("%d keys: dQ", keys), dq, dparts)
		closeNorm(t, fmt.Sprintf("%d keys: dK", keys), dk, Grad(k))
		closeNorm(t, fmt.Sprintf("%d keys: dV", keys), dv, Grad(v))
	}
}

// TestAttentionConstant: constant columns get a gradient of 0, and the others the gradients that they have otherwise.
func TestAttentionConstant(t *testing.T) {
	const n, dim = 37, 4
	r := seedOf("constant")
	values, dy := random(r, 3*n*dim, 1), random(r, n*dim, 1)
	seqs := Seqs{Starts: []int{0, n}}
	for _, causal := range []bool{false, true} {
		run := func(constant [3]bool) []float32 {
			tape := NewTape(nil)
			defer tape.Close()
			x := NewParam(n, 3*dim, slices.Clone(values))
			var c [3]Columns
			for i := range c {
				c[i] = Columns{X: x, From: i * dim, Constant: constant[i]}
			}
			h := Heads{Q: 1, KV: 1, Dim: dim, Causal: causal}
			y := Attention(tape, c[0], c[1], c[2], seqs, seqs, h, Drop{})
			if err := tape.Backward(newProbe(tape, y, dy, make([]float32, n*dim))); err != nil {
				t.Fatal(err)
			}
			return Grad(x)
		}
		all := run([3]bool{})
		for set := range 8 {
			constant := [3]bool{set&1 != 0, set&2 != 0, set&4 != 0}
			got, want := run(constant), slices.Clone(all)
			for i := range want {
				if constant[i/dim%3] {
					want[i] = 0
				}
			}
			equalBits(t, fmt.Sprintf("causal %v, constant %v", causal, constant), got, want)
		}
	}
}
