package op

import (
	"fmt"
	"math"
	"testing"

	"github.com/spalora/spalora/internal/golden"
)

// TestAffineOfFewRows: with FewRows a tape computes the same result in another way, in which the bits of a row do not
// depend on the number of rows. A recording tape ignores FewRows.
func TestAffineOfFewRows(t *testing.T) {
	g := golden.Open(t, "../../testdata/gguf/blocks.safetensors")
	rnd := seedOf("few rows")
	pool := NewPool(3)
	defer pool.Close()
	const in, out = 64, 32
	weight := func(kind DType, inOut bool) *Weight {
		w := NewMatrix(out, in)
		w.InOut = inOut
		if kind.Quantised() {
			w, _ = quantised(t, g, kind, out, in, inOut)
			return w
		}
		w, _ = stored(w, kind, random(rnd, out*in, 1))
		return w
	}
	bias := NewVector(out)
	must(bias.SetValues(random(rnd, out, 1)))
	for _, kind := range []DType{F32, F16, BF16, mustType("Q4_0"), mustType("Q8_0")} {
		for _, inOut := range []bool{false, true} {
			ps := []Projection{
				{Weight: weight(kind, inOut), Bias: bias},
				{Weight: weight(kind, inOut), Adapt: &Correction{A: NewParam(3, in, random(rnd, 3*in, 1)),
					B: NewParam(out, 3, random(rnd, 3*out, 1)), Scale: 0.5}},
				{Weight: weight(kind, inOut), Bias: bias, Adapt: &Correction{A: NewParam(2, in, random(rnd, 2*in, 1)),
					B: NewParam(out, 2, random(rnd, 2*out, 1)), Bias: NewParam(1, out, random(rnd, out, 1)), Scale: 0.5}},
				{Weight: weight(kind, inOut), Bias: bias, Adapt: &Correction{A: NewParam(2, in, random(rnd, 2*in, 1)),
					B: NewParam(out, 2, random(rnd, 2*out, 1)), Scale: 0.5,
					Magnitude: &Magnitude{Param: NewParam(1, out, random(rnd, out, 8))}}},
			}
			x := random(rnd, 9*in, 1)
			run := func(tape *Tape, rows int, few bool) []float32 {
				defer tape.Close()
				tape.FewRows(few)
				y := Affine(tape, dense(x[:rows*in], rows, in), Drop{}, ps...)
				return append([]float32(nil), Values(y)...)
			}
			want := run(NewTape(pool), 9, true)
			equalBits(t, fmt.Sprintf("%v, in×out %v, not few", kind, inOut), run(NewEvalTape(pool), 9, false), want)
			one := run(NewEvalTape(nil), 1, true)
			for rows := 1; rows <= 9; rows++ {
				got := run(NewEvalTape(pool), rows, true)
				for i, v := range got {
					if math.Abs(float64(v-want[i])) > 2e-5*(1+math.Abs(float64(want[i]))) {
						t.Fatalf("%v, in×out %v, %d rows: element %d is %v, recorded %v", kind, inOut, rows, i, v, want[i])
					}
				}
				equalBits(t, fmt.Sprintf("%v, in×out %v, row 0 of %d", kind, inOut, rows), got[:len(one)], one)
			}
		}
	}
}

func mustType(name string) DType {
	t, err := ParseDType(name)
	must(err)
	return t
}
