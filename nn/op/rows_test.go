package op

import (
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
)

// TestWithRows compares a table of which some rows train with one that trains in full: results, the gradients of these
// rows and that of the input, in every operator that reads tables, for frozen weights of each type.
func TestWithRows(t *testing.T) {
	const v, in, rows = 11, 6, 5
	rnd := seedOf("rows")
	index := []int32{7, 0, 10, 7} // one row twice, of which the last place counts
	ids := []int32{0, 7, 3, 10, 7}
	labels := []int32{7, 2, Ignore, 0, 10}
	for _, kind := range []DType{F32, F16, BF16} {
		values := random(rnd, v*in, 1)
		table := NewMatrix(v, in)
		table, base := stored(table, kind, values)
		own, param, err := table.WithRows(index)
		if err != nil {
			t.Fatal(err)
		}
		whole := NewMatrix(v, in)
		all := make([]float32, v*in)
		for i, x := range base {
			all[i] = float32(x)
		}
		for i, row := range index {
			for j := range in {
				Values(param)[i*in+j] += float32(i*in+j) / 8
				all[int(row)*in+j] = Values(param)[i*in+j]
			}
		}
		must(whole.SetValues(slices.Clone(all)))
		trained := whole.Train()
		if !slices.Equal(own.Float32(), all) || !own.Same(whole) || !slices.Equal(own.First(in+2), all[:in+2]) {
			t.Errorf("%v: the values are not those of the rows", kind)
		}
		x, dy, dy2 := random(rnd, rows*in, 1), random(rnd, rows*v, 1), random(rnd, rows*in, 1)
		run := func(w *Weight, do func(tape *Tape, x mat.Tensor, w *Weight) mat.Tensor) (y, dx []float32) {
			tape := NewTape(nil)
			defer tape.Close()
			p := NewParam(rows, in, slices.Clone(x))
			got := do(tape, p, w)
			y = slices.Clone(Values(got))
			up := dy
			if len(y) != len(dy) {
				up = dy2
			}
			if len(y) > 1 {
				got = newProbe(tape, got, up, make([]float32, len(y)))
			}
			must(tape.Backward(got))
			return y, slices.Clone(Grad(p))
		}
		near := func(what string, got, want []float32) {
			t.Helper()
			for i := range want {
				if d := got[i] - want[i]; len(got) != len(want) || d > 1e-4 || d < -1e-4 {
					t.Errorf("%v, %s: element %d is %g, want %g", kind, what, i, got[i], want[i])
					return
				}
			}
		}
		for name, do := range map[string]func(tape *Tape, x mat.Tensor, w *Weight) mat.Tensor{
			"Affine": func(tape *Tape, x mat.Tensor, w *Weight) mat.Tensor {
				return Affine(tape, x, Drop{}, Projection{Weight: w})
			},
			"Embedding": func(tape *Tape, x mat.Tensor, w *Weight) mat.Tensor {
				return Add(tape, x, Embedding(tape, ids, w, nil, 3))
			},
			"LinearCrossEntropy": func(tape *Tape, x mat.Tensor, w *Weight) mat.Tensor {
				y, _ := LinearCrossEntropy(tape, x, Drop{}, Projection{Weight: w}, labels, 0.1)
				return y
			},
		} {
			ZeroGrad(trained)
			ZeroGrad(param)
			y, dx := run(own, do)
			wantY, wantDX := run(whole, do)
			near(name, y, wantY)
			near(name+", dx", dx, wantDX)
			var want []float32
			for _, row := range index {
				want = append(want, Grad(trained)[int(row)*in:(int(row)+1)*in]...)
			}
			near(name+", rows", Grad(param), want)
		}
		few := func(w *Weight) []float32 {
			tape := NewEvalTape(nil)
			defer tape.Close()
			tape.FewRows(true)
			return slices.Clone(Values(Affine(tape, dense(x, rows, in), Drop{}, Projection{Weight: w})))
		}
		near("few rows", few(own), few(whole))
	}
	zeros := NewMatrix(v, in)
	must(zeros.SetValues(make([]float32, v*in)))
	for want, w := range map[string]*Weight{
		"row 11 of a table of 11 rows": zeros, "want a frozen table": NewMatrix(v, in),
	} {
		if _, _, err := w.WithRows([]int32{11}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
