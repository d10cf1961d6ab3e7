package op_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/spalora/spalora/nn/op"
)

// TestSizingTape: a tape that computes nothing allocates as a real one, with every kind of correction, and leaves
// nothing in a magnitude that later calls would take for its norms.
func TestSizingTape(t *testing.T) {
	const rows, in, out, rank = 70, 48, 40, 4
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	w := op.NewMatrix(out, in)
	if err := w.SetValues(draw(out * in)); err != nil {
		t.Fatal(err)
	}
	c := &op.Correction{
		A: op.NewParam(rank, in, draw(rank*in)), B: op.NewParam(out, rank, draw(out*rank)), Scale: 2, Dropout: 0.1, Site: 1,
		Magnitude: op.NewMagnitude(out),
	}
	x := op.NewParam(rows, in, draw(rows*in))
	seqs := op.Seqs{Starts: []int{0, 30, rows}}
	labels := make([]int32, rows)
	const workers = 3
	pass := func(tape *op.Tape) (loss float32) {
		scope := tape.Scope()
		h := op.Activate(tape, x, op.GELU)
		y := op.Affine(tape, h, op.Drop{Seqs: seqs}, op.Projection{Weight: w, Adapt: c})
		tape.Leave(scope, y)
		sum, _ := op.CrossEntropy(tape, y, labels, op.CrossEntropyConfig{})
		if tape.Recording() {
			if err := tape.Backward(sum); err != nil {
				t.Fatal(err)
			}
		}
		loss = op.Values(sum)[0]
		tape.Reset()
		return loss
	}
	want := c.Norms(nil, w, false)
	for _, record := range []bool{true, false} {
		sizing := op.NewSizingTape(workers, record)
		pass(sizing)
		pool := op.NewPool(workers)
		real := op.NewEvalTape(pool)
		if record {
			real = op.NewTape(pool)
		}
		if pass(real) <= 0 {
			t.Error("the loss is not positive")
		}
		_, peak := sizing.Memory()
		if _, p := real.Memory(); p != peak || p == 0 || sizing.Footprint() != real.Footprint() || sizing.Footprint() < p {
			t.Errorf("recording %v: %d bytes in use and %d taken; the real tape has %d and %d", record, peak,
				sizing.Footprint(), p, real.Footprint())
		}
		if got := c.Norms(pool, w, false); !slices.Equal(got, want) {
			t.Error("the norms changed")
		}
		for _, p := range []interface{ HasGrad() bool }{c.A, c.B, c.Magnitude.Param} {
			if record && !p.HasGrad() {
				t.Error("a parameter has no gradient")
			}
		}
		if err := sizing.Close(); err != nil {
			t.Error(err)
		}
		if err := real.Close(); err != nil {
			t.Error(err)
		}
		pool.Close()
	}
}
