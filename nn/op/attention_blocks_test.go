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
