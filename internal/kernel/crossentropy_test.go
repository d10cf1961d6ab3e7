package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// crossEntropyPlain is CrossEntropyRow with the plain Go functions.
func crossEntropyPlain(x []float32, label int, grad bool) (float64, bool) {
	top := maxScaledGeneric(x, 1)
	own := float64(x[label]) - float64(top)
	correct := slices.Index(x, top) == label
	var total float64
	if grad {
		total = expShiftGeneric(x, top)
		p := float64(x[label]) / total
		scaleGeneric(x, x, float32(1/total))
		x[label] = float32(p - 1)
	} else {
		total = expShiftedSumGeneric(x, top)
	}
	loss := math.Log(total) - own
	return loss, correct && loss == loss
}

func TestCrossEntropyRow(t *testing.T) {
	rng := rand.New(rand.NewPCG(39, 40))
	for _, n := range append(rowLengths(), 50257) {
		for _, std := range []float32{0.5, 4, 30} {
			x := normalSlice(rng, n)
			Scale(x, x, std)
			top := slices.Max(x)
			for _, label := range []int{0, n - 1, n / 2, slices.Index(x, top)} {
				largest := slices.Index(x, top)
				var rest, slack float64 // the sum without the largest term; the effect on it of rounding exponents to float32
				for i, v := range x {
					if i != largest {
						d := float64(v) - float64(top)
						rest += math.Exp(d)
						slack += math.Exp(d) * math.Abs(d) * 0x1p-24
					}
				}
				total := 1 + rest
				want := math.Log1p(rest) + float64(top) - float64(x[label])
				slack = slack/total + float64(n)*0x1p-53
				for version, f := range versions(CrossEntropyRow, crossEntropyPlain) {
					what := fmt.Sprintf("%s of %d, std %v, label %d", version, n, std, label)
					row := fence(x, n%9)
					loss, correct := f(row.data, label, false)
					if math.Abs(loss-want) > 5e-7*want+slack {
						t.Errorf("%s: loss %v, want %v", what, loss, want)
					}
					if correct != (x[label] == top) {
						t.Errorf("%s: correct is %v", what, correct)
					}
					mustEqualBits(t, what+" without gradient", row.data, x)
					again, _ := f(row.data, label, true)
					if again != loss {
						t.Errorf("%s: loss with gradient is %v, without %v", what, again, loss)
					}
					for i, v := range x {
						p := math.Exp(float64(v)-float64(top)) / total
						tolerance := p * (2e-6 + math.Abs(float64(v)-float64(top))*0x1p-23)
						if i == label {
							p--
							tolerance += 0x1p-24 // of the difference
						}
						if !(math.Abs(float64(row.data[i])-p) <= tolerance+1e-37) {
							t.Fatalf("%s: gradient %d is %v, want %v", what, i, row.data[i], p)
						}
					}
					row.check(t, what)
				}
			}
		}
	}
}

// TestCrossEntropyRowConfident checks that a loss far below 1 keeps its digits, which a sum in float32 would lose.
func TestCrossEntropyRowConfident(t *testing.T) {
	x := make([]float32, 1000)
	for i := range x {
		x[i] = -18
	}
	x[123] = 0
	for version, f := range versions(CrossEntropyRow, crossEntropyPlain) {
		want := math.Log1p(999 * math.Exp(-18))
		if got, correct := f(slices.Clone(x), 123, false); math.Abs(got/want-1) > 1e-6 || !correct {
			t.Errorf("%s: loss %v (correct: %v), want %v", version, got, correct, want)
		}
	}
}

func TestCrossEntropyRowLimits(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for version, f := range versions(CrossEntropyRow, crossEntropyPlain) {
		for _, test := range []struct {
			name    string
			x       []float32
			label   int
			loss    float64
			correct bool
		}{
			{"one", []float32{7}, 0, 0, true},
			{"first of equals", []float32{1, 3, 3}, 1, math.Log(2 + math.Exp(-2)), true},
			{"second of equals", []float32{1, 3, 3}, 2, math.Log(2 + math.Exp(-2)), false},
			{"masked others", []float32{-inf, -5, -inf}, 1, 0, true},
			{"masked label", []float32{-inf, -5, -inf}, 0, math.Inf(1), false},
			{"all masked", []float32{-inf, -inf}, 0, math.NaN(), false},
			{"NaN", []float32{1, nan, 5}, 2, math.NaN(), false},
			{"label NaN", []float32{1, nan, 5}, 1, math.NaN(), false},
			{"infinite", []float32{1, inf, 5}, 1, math.NaN(), false},
			{"far apart", []float32{3e38, -3e38}, 1, 2 * float64(float32(3e38)), false},
		} {
			for _, grad := range []bool{false, true} {
				loss, correct := f(slices.Clone(test.x), test.label, grad)
				same := loss == test.loss || loss != loss && test.loss != test.loss || math.Abs(loss-test.loss) < 1e-7
				if !same || correct != test.correct {
					t.Errorf("%s: %s: loss %v (correct: %v), want %v (%v)", version, test.name, loss, correct, test.loss, test.correct)
				}
			}
		}
	}
}
