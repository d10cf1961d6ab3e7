package op

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/kernel"
)

// TestTransposedWeight: an in×out weight set from out×in bytes equals the one set from in×out bytes in products,
// gradients, training and merging.
func TestTransposedWeight(t *testing.T) {
	g := golden.Open(t, "../../testdata/gguf/blocks.safetensors")
	rnd := seedOf("transposed")
	for _, kind := range []DType{kernel.Q4_0, kernel.Q6_K, F32} {
		out, in, rows := 10, 32, 6
		if kind == kernel.Q6_K {
			in = 256
		}
		w, want := NewMatrix(out, in), NewMatrix(out, in)
		w.InOut, want.InOut = true, true
		turned := g.Float32("Q4_0.values")[16*32:][:out*in] // out×in
		if kind == F32 {
			must(w.SetTransposed("F32", g.Tensor("Q4_0.values").Data[4*16*32:][:4*out*in]))
		} else {
			from := 16 * kind.BlockValues()
			turned = g.Float32(kind.String() + ".values")[from:][:out*in]
			must(w.SetTransposed(kind.String(), g.Tensor(kind.String() + ".bytes").Data[kind.Bytes(from):][:kind.Bytes(out*in)]))
		}
		values := make([]float32, out*in)
		for o := range out {
			for i := range in {
				values[i*out+o] = turned[o*in+i]
			}
		}
		must(want.SetValues(append([]float32(nil), values...)))
		t.Run(kind.String(), func(t *testing.T) {
			if s := w.Shape(); s[0] != in || s[1] != out || w.Type != kind {
				t.Errorf("%v %v", w.Type, s)
			}
			equalBits(t, "Float32", w.Float32(), values)
			for _, n := range []int{0, 1, 9, 10, 11, 100} {
				equalBits(t, "First", w.First(n), values[:n])
			}
			equalBits(t, "Copy", w.Copy().Float32(), values)
			x, dy := random(rnd, rows*in, 1), random(rnd, rows*out, 1)
			c := &Correction{A: NewParam(2, in, random(rnd, 2*in, 1)), B: NewParam(out, 2, random(rnd, 2*out, 1)), Scale: 0.5}
			run := func(w *Weight) (y, dx []float32) {
				tape := NewTape(nil)
				defer tape.Close()
				p := NewParam(rows, in, x)
				y0 := Affine(tape, p, Drop{}, Projection{Weight: w, Adapt: c})
				y = append(y, Values(y0)...)
				must(tape.Backward(newProbe(tape, y0, dy, make([]float32, len(dy)))))
				return y, Grad(p)
			}
			wantY, wantDX := run(want)
			y, dx := run(w)
			equalBits(t, "product", y, wantY)
			equalBits(t, "its gradient", dx, wantDX)
			equalBits(t, "merged", Merged(nil, w, c, false), Merged(nil, want, c, false))
			equalBits(t, "trained", Values(w.Train()), values)
			y, dx = run(w)
			equalBits(t, "product of the trained", y, wantY)
			equalBits(t, "its gradient", dx, wantDX)
		})
	}
	if err := NewMatrix(2, 32).SetTransposed("F32", make([]byte, 256)); err == nil ||
		!strings.Contains(err.Error(), "that is out×in") {
		t.Error(err)
	}
	w := NewMatrix(2, 16)
	w.InOut = true
	if err := w.SetTransposed("Q4_0", make([]byte, 18)); err == nil ||
		!strings.Contains(err.Error(), "stored rows of 16 values") {
		t.Error(err)
	}
}
