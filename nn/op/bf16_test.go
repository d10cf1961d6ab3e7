package op

import (
	"slices"
	"testing"

	"github.com/spalora/spalora/internal/kernel"
)

// TestBF16 says where a pool with BF16 rounds: a frozen weight and its input, forward and backward, and the operands of
// attention; not a weight that trains, nor a correction.
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
