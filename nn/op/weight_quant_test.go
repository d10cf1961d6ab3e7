package op

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/internal/golden"
	"github.com/spalora/spalora/internal/kernel"
)

// quantised returns an out×in weight whose stored rows are blocks of the fixture, and a float32 weight with the values
// that llama.cpp's gguf package computes from them.
func quantised(t *testing.T, g *golden.Fixture, kind DType, out, in int, inOut bool) (q, f *Weight) {
	t.Helper()
	b, v := g.Tensor(kind.String()+".bytes").Data, g.Float32(kind.String()+".values")
	from := 16 * kind.BlockValues() // after the blocks with extreme scales
	q, f = NewMatrix(out, in), NewMatrix(out, in)
	q.InOut, f.InOut = inOut, inOut
	must(q.SetStored(kind.String(), b[kind.Bytes(from):][:kind.Bytes(out*in)]))
	must(f.SetValues(v[from:][:out*in]))
	return q, f
}

func quantisedTypes() []DType {
	var all []DType
	for _, t := range kernel.Types() {
		if t.Quantised() {
			all = append(all, t)
		}
	}
	return all
}

// TestQuantisedWeight: a quantised weight gives the same bits as the float32 weight with its values.
func TestQuantisedWeight(t *testing.T) {
	g := golden.Open(t, "../../testdata/gguf/blocks.safetensors")
	rnd := seedOf("quantised")
	for _, kind := range quantisedTypes() {
		for _, inOut := range []bool{false, true} {
			name := kind.String()
			if inOut {
				name += " in×out"
			}
			t.Run(name, func(t *testing.T) {
				out, in := 10, kind.BlockValues()
				if inOut {
					out, in = in, out
				}
				q, f := quantised(t, g, kind, out, in, inOut)
				if !q.Filled() || q.Type != kind || q.f32 != nil {
					t.Fatalf("type %v, filled %v", q.Type, q.Filled())
				}
				equalBits(t, "Float32", q.Float32(), f.Float32())
				equalBits(t, "First", q.First(7), f.First(7))
				equalBits(t, "Copy", q.Copy().Float32(), f.Float32())

				rows := 6
				x, dy := random(rnd, rows*in, 1), random(rnd, rows*out, 1)
				a, b := random(rnd, 2*in, 1), random(rnd, 2*out, 1)
				run := func(w *Weight) (y, dx []float32) {
					tape := NewTape(nil)
					defer tape.Close()
					p := NewParam(rows, in, x)
					y0 := Affine(tape, p, Drop{}, Projection{Weight: w,
						Adapt: &Correction{A: NewParam(2, in, a), B: NewParam(out, 2, b), Scale: 0.5}})
					y = append(y, Values(y0)...)
					must(tape.Backward(newProbe(tape, y0, dy, make([]float32, len(dy)))))
					return y, Grad(p)
				}
				y, dx := run(q)
				wantY, wantDX := run(f)
				equalBits(t, "product", y, wantY)
				equalBits(t, "its gradient", dx, wantDX)
				equalBits(t, "trained", Values(q.Train()), f.Float32())
				equalBits(t, "product of the trained", func() []float32 { y, _ := run(q); return y }(), wantY)
				if q.blocks != nil {
					t.Error("a trained weight keeps its blocks")
				}
			})
		}
	}
}

func TestQuantisedTable(t *testing.T) {
	g := golden.Open(t, "../../testdata/gguf/blocks.safetensors")
	for _, kind := range quantisedTypes() {
		q, f := quantised(t, g, kind, 8, kind.BlockValues()*2, false)
		tape := NewTape(nil)
		ids := []int32{7, 0, 3, 3}
		equalBits(t, kind.String(), Values(Embedding(tape, ids, q, nil, NoPadding)),
			Values(Embedding(tape, ids, f, nil, NoPadding)))
		tape.Close()
	}
}

func TestQuantisedVector(t *testing.T) {
	g := golden.Open(t, "../../testdata/gguf/blocks.safetensors")
	w := NewVector(64)
	must(w.SetBytes(kernel.Q8_0, g.Tensor("Q8_0.bytes").Data[:68]))
	equalBits(t, "a vector is widened when it is set", w.vector(), g.Float32("Q8_0.values")[:64])
	if w.Type != F32 {
		t.Errorf("its type is %v", w.Type)
	}
}

func TestQuantisedErrors(t *testing.T) {
	inOut := NewMatrix(32, 3)
	inOut.InOut = true
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"length", "35 bytes of Q4_0 for a weight of 2×32", NewMatrix(2, 32).SetBytes(kernel.Q4_0, make([]byte, 35))},
		{"rows that are not whole blocks",
			"stored rows of 16 values of a weight of 4×16 do not consist of whole blocks: Q4_0 has blocks of 32 values",
			NewMatrix(4, 16).SetBytes(kernel.Q4_0, make([]byte, 36))},
		{"rows that are no blocks", "blocks of 256 values", NewMatrix(3, 32).SetBytes(kernel.Q6_K, make([]byte, 210))},
		{"vector", "stored rows of 33 values", NewVector(33).SetBytes(kernel.Q8_0, make([]byte, 34))},
		{"unknown type", "Q2_K", NewMatrix(1, 256).SetStored("Q2_K", make([]byte, 84))},
		{"unknown type", "BF16, Q8_0", NewMatrix(1, 1).SetStored("I8", nil)},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, c.err, c.want)
		}
	}
	if err := inOut.SetBytes(kernel.Q4_0, make([]byte, 3*18)); err != nil {
		t.Errorf("in×out: %v", err)
	}
	if err := NewMatrix(0, 32).SetBytes(kernel.Q4_0, nil); err != nil {
		t.Errorf("no rows: %v", err)
	}
}
