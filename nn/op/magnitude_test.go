package op

import (
	"fmt"
	"math"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// TestNorms compares the norms of W + s·B·A with a float64 loop, for every way of storing W, for corrections of usual
// size, for none (B = 0), and for those that cancel W.
func TestNorms(t *testing.T) {
	g := golden.Open(t, "../../testdata/gguf/blocks.safetensors")
	rnd := seedOf("norms")
	pool := NewPool(3)
	defer pool.Close()
	const rows, cols, r = 64, 32, 3
	for _, kind := range []DType{F32, F16, BF16, mustType("Q4_0"), mustType("Q8_0")} {
		for _, layout := range []string{"out×in", "in×out", "table"} {
			w := NewMatrix(rows, cols)
			w.InOut = layout == "in×out"
			if kind.Quantised() {
				w, _ = quantised(t, g, kind, rows, cols, w.InOut)
			} else {
				w, _ = stored(w, kind, random(rnd, rows*cols, 1))
			}
			table := layout == "table"
			exact := wide(w.Float32())
			out, in := rows, cols
			switch layout {
			case "in×out":
				exact = refTranspose(exact, cols, rows)
			case "table":
				out, in = cols, rows
				exact = refTranspose(exact, rows, cols)
			}
			a, b := random(rnd, r*in, 1), random(rnd, out*r, 1)
			for _, size := range []float32{0, 0.1, 30} {
				scaled := make([]float32, len(b))
				for i, v := range b {
					scaled[i] = size * v
				}
				c := &Correction{A: NewParam(r, in, a), B: NewParam(out, r, scaled), Scale: 1.5, Magnitude: NewMagnitude(out)}
				want := refNorms(exact, wide(a), wide(scaled), out, in, r, 1.5)
				what := fmt.Sprintf("%v, %s, B of size %g", kind, layout, size)
				got := c.Norms(pool, w, table)
				for j := range want {
					if d := math.Abs(float64(got[j])/want[j] - 1); !(d < 1e-5) {
						t.Fatalf("%s: norm %d is %v, want %v", what, j, got[j], want[j])
					}
				}
				equalBits(t, what+" without workers", c.Norms(nil, w, table), got)
			}
			// The first row of A is what W has for output 0, and B subtracts nearly all of it.
			copy(a, narrow(exact[:in]))
			clear(b[:r])
			b[0] = -(1 - 1e-3) / 1.5
			c := &Correction{A: NewParam(r, in, a), B: NewParam(out, r, b), Scale: 1.5}
			want := refNorms(exact, wide(a), wide(b), out, in, r, 1.5)
			if got := c.Norms(pool, w, table); math.Abs(float64(got[0])/want[0]-1) > 1e-5 {
				t.Errorf("%v, %s: a row that cancels has the norm %v, want %v", kind, layout, got[0], want[0])
			}
		}
	}
}

func narrow(v []float64) []float32 {
	w := make([]float32, len(v))
	for i, x := range v {
		w[i] = float32(x)
	}
	return w
}

// TestNormsFollowValues: the norms are those of the current values of A, B, the scale and W.
func TestNormsFollowValues(t *testing.T) {
	rnd := seedOf("norms follow")
	w, _ := stored(NewMatrix(4, 5), F32, random(rnd, 20, 1))
	c := &Correction{A: NewParam(2, 5, random(rnd, 10, 1)), B: NewParam(4, 2, random(rnd, 8, 1)), Scale: 2,
		Magnitude: NewMagnitude(4)}
	before := c.norms(nil, w, false)
	if &before[0] != &c.norms(nil, w, false)[0] {
		t.Error("the norms of unchanged values are computed again")
	}
	for what, change := range map[string]func(){
		"A":     func() { Values(c.A)[3]++ },
		"B":     func() { Values(c.B)[7]++ },
		"scale": func() { c.Scale = 3 },
		"W":     func() { must(w.SetValues(random(rnd, 20, 1))) },
		"W trains": func() {
			w.Train()
			c.norms(nil, w, false)
			Values(w.Param)[2] += 3
		},
	} {
		change()
		equalBits(t, what, c.norms(nil, w, false), c.Norms(nil, w, false))
	}
}

// TestZeroRow: an output whose weights are all 0 stays 0 and gets finite gradients.
func TestZeroRow(t *testing.T) {
	w, _ := stored(NewMatrix(2, 2), F32, []float32{0, 0, 3, 4})
	m := NewMagnitude(2)
	c := &Correction{A: NewParam(1, 2, []float32{1, 2}), B: NewParam(2, 1, []float32{0, 0}), Scale: 1, Magnitude: m}
	copy(Values(m.Param), c.Norms(nil, w, false))
	tape := NewTape(nil)
	defer tape.Close()
	y := Affine(tape, dense([]float32{1, 1}, 1, 2), Drop{}, Projection{Weight: w, Adapt: c})
	equalBits(t, "y", Values(y), []float32{0, 7})
	if err := tape.Backward(newProbe(tape, y, []float32{1, 1}, []float32{0, 0})); err != nil {
		t.Fatal(err)
	}
	equalBits(t, "dm", Grad(m.Param), []float32{0, 7.0 / 5})
	equalBits(t, "dB", Grad(c.B), []float32{0, 3})
}
