package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// softmaxPlain is Softmax with the plain Go functions.
func softmaxPlain(row []float32, scale float32) float32 {
	top := maxScaledGeneric(row, scale)
	if math.IsInf(float64(top), -1) {
		clear(row)
		return top
	}
	total := expSumGeneric(row, scale, top)
	scaleGeneric(row, row, 1/total)
	return top + float32(math.Log(float64(total)))
}

func TestSoftmax(t *testing.T) {
	rng := rand.New(rand.NewPCG(19, 20))
	for _, n := range rowLengths() {
		for _, scale := range []float32{0.125, 1, -2, 20} {
			x := normalSlice(rng, n)
			if n > 2 { // masked elements, and one far below the largest
				x[n/2], x[n-1] = float32(math.Inf(-1)), -1000
				if scale < 0 {
					x[n/2], x[n-1] = float32(math.Inf(1)), 1000
				}
			}
			top, total := math.Inf(-1), 0.0
			for _, v := range x {
				top = max(top, float64(v)*float64(scale))
			}
			want := make([]float64, n)
			for i, v := range x {
				want[i] = math.Exp(float64(v)*float64(scale) - top)
				total += want[i]
			}
			for version, f := range versions(Softmax, softmaxPlain) {
				what := fmt.Sprintf("Softmax %s of %d, scale %v", version, n, scale)
				row := fence(x, n%9)
				lse := f(row.data, scale)
				if err := math.Abs(float64(lse) - top - math.Log(total)); err > 1e-6*(1+math.Abs(top)) {
					t.Errorf("%s: lse %v, want %v", what, lse, top+math.Log(total))
				}
				for i := range want {
					// An exponent of size e is rounded to e·2^-24.
					p, tolerance := want[i]/total, 1e-6+math.Abs(float64(x[i])*float64(scale))*0x1p-23+math.Abs(top)*0x1p-23
					if p == 0 && row.data[i] == 0 {
						continue // its tolerance may be Inf·0
					}
					if !(math.Abs(float64(row.data[i])-p) <= p*tolerance+1e-37) {
						t.Fatalf("%s: element %d is %v, want %v", what, i, row.data[i], p)
					}
				}
				if n > 2 && (row.data[n/2] != 0 || row.data[n-1] != 0) {
					t.Errorf("%s: masked elements are %v, %v", what, row.data[n/2], row.data[n-1])
				}
				row.check(t, what)
				again := fence(x, (n+4)%9)
				if f(again.data, scale) != lse {
					t.Errorf("%s: another alignment gives another lse", what)
				}
				mustEqualBits(t, what+", another alignment", again.data, row.data)
			}
		}
	}
}

// logSoftmaxPlain is LogSoftmax with the plain Go functions.
func logSoftmaxPlain(row []float32) {
	top := maxScaledGeneric(row, 1)
	rest := float32(math.Log(expShiftedSumGeneric(row, top)))
	for i, v := range row {
		row[i] = v - top - rest
	}
}

func TestLogSoftmax(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for _, n := range rowLengths() {
		x := normalSlice(rng, n)
		if n > 2 {
			x[n/2], x[n-1] = float32(math.Inf(-1)), -1000
		}
		top, total := math.Inf(-1), 0.0
		for _, v := range x {
			top = max(top, float64(v))
		}
		for _, v := range x {
			total += math.Exp(float64(v) - top)
		}
		for version, f := range versions(LogSoftmax, logSoftmaxPlain) {
			row := fence(x, n%9)
			f(row.data)
			for i, v := range x {
				want := float64(v) - top - math.Log(total)
				if got := float64(row.data[i]); got != want && !(math.Abs(got-want) <= 2e-6*max(1, math.Abs(want))) {
					t.Errorf("%s of %d: element %d is %v, want %v", version, n, i, got, want)
				}
			}
			row.check(t, version)
		}
	}
	for _, x := range [][]float32{{1, float32(math.NaN())}, {1, float32(math.Inf(1))}, {float32(math.Inf(-1))}} {
		if LogSoftmax(x); x[0] == x[0] {
			t.Errorf("logits that are not numbers give %v", x)
		}
	}
}

func TestSoftmaxLimits(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for version, f := range versions(Softmax, softmaxPlain) {
		for _, test := range []struct {
			name      string
			row, want []float32
			lse       float32
		}{
			{"empty", nil, nil, -inf},
			{"one", []float32{3}, []float32{1}, 3},
			{"masked", []float32{-inf, -inf, -inf}, []float32{0, 0, 0}, -inf},
			{"all but one masked", []float32{-inf, -7, -inf}, []float32{0, 1, 0}, -7},
			{"large", []float32{3e38, -3e38}, []float32{1, 0}, 3e38},
			{"NaN", []float32{1, nan, 2}, []float32{nan, nan, nan}, nan},
			{"NaN among masked", []float32{-inf, nan, -inf}, []float32{nan, nan, nan}, nan},
			{"infinite", []float32{1, inf, 2}, []float32{nan, nan, nan}, nan},
			{"equal", []float32{5, 5, 5, 5}, []float32{.25, .25, .25, .25}, 5 + math.Ln2*2},
		} {
			lse := f(test.row, 1)
			mustEqualBits(t, version+": "+test.name, test.row, test.want)
			if !equalBits(lse, test.lse) {
				t.Errorf("%s: %s: lse %v, want %v", version, test.name, lse, test.lse)
			}
		}
	}
}

func TestSoftmaxBackward(t *testing.T) {
	rng := rand.New(rand.NewPCG(21, 22))
	for _, n := range rowLengths() {
		const scale = 0.125
		p, dp := normalSlice(rng, n), normalSlice(rng, n)
		Softmax(p, 1)
		var dot float64
		for i := range p {
			dot += float64(p[i]) * float64(dp[i])
		}
		want := make([]float64, n)
		for i := range want {
			want[i] = scale * float64(p[i]) * (float64(dp[i]) - dot)
		}
		what := fmt.Sprintf("SoftmaxBackward of %d", n)
		dx := fence(dp, n%9)
		SoftmaxBackward(dx.data, dx.data, p, scale)
		mustBeNear(t, what, dx.data, want, 1e-6)
		dx.check(t, what)
		SoftmaxBackward(p, dp, p, scale)
		mustEqualBits(t, what+" over p", p, dx.data)
	}
}
