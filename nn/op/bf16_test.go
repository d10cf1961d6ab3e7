package op

import (
	"slices"
	"testing"

	"github.com/spalora/spalora/internal/kernel"
)

// TestBF16 says where a pool with BF16 rounds: a frozen weight and its input, forward and backward; not a weight that
// trains, nor a correction.
func TestBF16(t *testing.T) {
	const rows, in, out, r = 19, 32, 24, 4
	rng := seedOf("bf16")
	x, w, dy := random(rng, rows*in, 1), random(rng, out*in, 1), random(rng, rows*out, 1)
	a, b := random(rng, r*in, 1), random(rng, out*r, 1)
	rounded := func(v []float32) []float32 {
		half, wide := make([]uint16, len(v)), make([]float32, len(v))
		kernel.Narrow(half, v, kernel.BF16)
		kernel.Widen(wide, half, kernel.BF16)
		return wide
	}
	// run returns y, dx and the gradients of A and B or of the weight.
	run := func(bf16, trains, adapted bool, x, w, dy []float32) (results [][]float32) {
		pool := NewPool(2)
		defer pool.Close()
		pool.UseBF16(bf16)
		tape := NewTape(pool)
		defer tape.Close()
		weight := NewMatrix(out, in)
		if err := weight.SetValues(slices.Clone(w)); err != nil {
			t.Fatal(err)
		}
		p := Projection{Weight: weight}
		if trains {
			weight.Train()
		}
		if adapted {
			p.Adapt = &Correction{A: NewParam(r, in, slices.Clone(a)), B: NewParam(out, r, slices.Clone(b)), Scale: 2}
		}
		input := NewParam(rows, in, slices.Clone(x))
		y := Affine(tape, input, Drop{}, p)
		results = append(results, slices.Clone(Values(y)))
		if err := tape.Backward(newProbe(tape, y, dy, make([]float32, rows*out))); err != nil {
			t.Fatal(err)
		}
		results = append(results, Grad(input))
		if trains {
			results = append(results, Grad(weight.Param))
		}
		if adapted {
			results = append(results, Grad(p.Adapt.A), Grad(p.Adapt.B))
		}
		return results
	}
	plain, same := run(false, true, false, x, w, dy), run(true, true, false, x, w, dy)
	for i, what := range []string{"y", "dx", "dW"} {
		equalBits(t, "a weight that trains: "+what, same[i], plain[i])
	}
	got, want := run(true, false, false, x, w, dy), run(false, false, false, rounded(x), rounded(w), rounded(dy))
	for i, what := range []string{"y", "dx"} {
		closeNorm(t, "a frozen weight: "+what, got[i], want[i])
	}
	if slices.Equal(got[0], run(false, false, false, x, w, dy)[0]) {
		t.Error("nothing was rounded")
	}
	// Of a correction without the weight nothing is rounded.
	none := make([]float32, out*in)
	got, want = run(true, false, true, x, none, dy), run(false, false, true, x, none, dy)
	for i, what := range []string{"y", "dx", "dA", "dB"} {
		closeNorm(t, "a correction: "+what, got[i], want[i])
	}
}

// TestBF16Attention: attention rounds queries, keys and values, and probabilities between its two products.
func TestBF16Attention(t *testing.T) {
	const n, dim = 70, 8
	rng := seedOf("bf16 attention")
	values := random(rng, 3*n*dim, 1)
	seqs := Seqs{Starts: []int{0, n}}
	run := func(bf16 bool) []float32 {
		pool := NewPool(2)
		defer pool.Close()
		pool.UseBF16(bf16)
		tape := NewTape(pool)
		defer tape.Close()
		x := NewParam(n, 3*dim, slices.Clone(values))
		return slices.Clone(Values(Attention(tape, Columns{X: x}, Columns{X: x, From: dim}, Columns{X: x, From: 2 * dim},
			seqs, seqs, Heads{Q: 1, KV: 1, Dim: dim}, Drop{})))
	}
	got, want := run(true), run(false)
	same := 0
	for i, v := range want {
		if d := got[i] - v; d > 0.02 || d < -0.02 {
			t.Errorf("element %d is %v in BF16, %v in float32", i, got[i], v)
		} else if d == 0 {
			same++
		}
	}
	if same > len(want)/2 {
		t.Errorf("%d of %d elements are the same as in float32", same, len(want))
	}
}
