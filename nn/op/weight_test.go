package op

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/internal/kernel"
)

// TestWeightTypes: stored bytes are read in their type, aligned or not, and training starts at the widened values.
func TestWeightTypes(t *testing.T) {
	// −1, 0.5, 2⁻²⁴ (subnormal in F16; BF16 reads the same bits as another number), 2
	half := []uint16{0xbc00, 0x3800, 0x0001, 0x4000}
	brain := []uint16{0xbf80, 0x3f00, 0x3380, 0x4000}
	want := []float32{-1, 0.5, 0x1p-24, 2}
	bytesOf := func(words []uint16) []byte {
		var b []byte
		for _, w := range words {
			b = append(b, byte(w), byte(w>>8))
		}
		return b
	}
	single := make([]byte, 0, 16)
	for _, v := range want {
		u := math.Float32bits(v)
		single = append(single, byte(u), byte(u>>8), byte(u>>16), byte(u>>24))
	}
	for _, c := range []struct {
		dtype DType
		bytes []byte
	}{{F16, bytesOf(half)}, {BF16, bytesOf(brain)}, {F32, single}} {
		for shift := range 2 {
			t.Run(fmt.Sprintf("%v shifted by %d", c.dtype, shift), func(t *testing.T) {
				room := make([]byte, len(c.bytes)+shift)
				copy(room[shift:], c.bytes)
				w := NewMatrix(2, 2)
				if w.Filled() {
					t.Error("filled before it has values")
				}
				must(w.SetBytes(c.dtype, room[shift:]))
				if !w.Filled() || w.Type != c.dtype {
					t.Errorf("type %v, filled %v", w.Type, w.Filled())
				}
				equalBits(t, "Float32", w.Float32(), want)
				own := w.Copy()
				p := w.Train()
				if w.Train() != p || !w.Filled() {
					t.Error("Train made a second parameter")
				}
				equalBits(t, "parameter", Values(p), want)
				Values(p)[0] = 9
				if w.Float32()[0] != 9 || own.Float32()[0] != -1 {
					t.Error("training must change the weight and not its copy")
				}
				if room[shift] != c.bytes[0] || room[len(room)-1] != c.bytes[len(c.bytes)-1] {
					t.Error("training changed the stored bytes")
				}
				if got := w.First(1); len(got) != 1 || got[0] != 9 {
					t.Errorf("the first value of a trained weight is %v", got)
				}
			})
		}
	}
	vector := NewVector(4)
	must(vector.SetBytes(F16, bytesOf(half)))
	if vector.vector() == nil || vector.Type != F32 {
		t.Error("a vector is widened when it is set")
	}
}

func TestWeightErrors(t *testing.T) {
	w := NewMatrix(2, 3)
	for what, err := range map[string]error{
		"6 bytes":  w.SetBytes(F16, make([]byte, 6)),
		"12 bytes": w.SetBytes(F32, make([]byte, 12)),
		"5 values": w.SetValues(make([]float32, 5)),
	} {
		if err == nil || !strings.Contains(err.Error(), "2×3") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if w.Filled() {
		t.Error("the weight has values after an error")
	}
	empty := NewMatrix(0, 3)
	if err := empty.SetBytes(F32, nil); err != nil || !empty.Filled() {
		t.Errorf("an empty weight: %v", err)
	}
	if err := NewMatrix(3, 0).SetBytes(BF16, nil); err != nil {
		t.Error(err)
	}
}

func TestWeightShape(t *testing.T) {
	inOut := NewMatrix(2, 3)
	inOut.InOut = true
	shaped := NewShaped(2, 6, 2, 3, 2)
	if err := shaped.SetValues(make([]float32, 12)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		w    *Weight
		want string
	}{
		{NewMatrix(2, 3), "[2 3]"}, {NewVector(3), "[3]"}, {inOut, "[3 2]"}, {shaped, "[2 3 2]"},
		{shaped.Copy(), "[2 3 2]"}, {shaped.Trained(), "[2 3 2]"},
	} {
		if got := fmt.Sprint(c.w.Shape()); got != c.want {
			t.Errorf("shape %s, want %s", got, c.want)
		}
	}
}

// TestSame compares weights with equal and with different values in all ways of storing them.
func TestSame(t *testing.T) {
	for _, n := range []int{1, 6, 1<<14 + 7} {
		v := make([]float32, 3*n)
		for i := range v {
			v[i] = float32(i%5) - 2 // exact in every type
		}
		fill := func(w *Weight, v []float32) *Weight {
			if err := w.SetValues(slices.Clone(v)); err != nil {
				t.Fatal(err)
			}
			return w
		}
		inOut := func() *Weight { w := NewMatrix(n, 3); w.InOut = true; return w }
		half := make([]byte, 0, 2*len(v))
		for _, x := range v {
			half = binary.LittleEndian.AppendUint16(half, uint16(math.Float32bits(x)>>16))
		}
		bf16, err := NewMatrix(3, n).Like("BF16", half)
		if err != nil {
			t.Fatal(err)
		}
		turned := inOut()
		transposed := make([]float32, len(v))
		for i, x := range v {
			transposed[i%n*3+i/n] = x
		}
		if err := turned.SetTransposed("F32", bytesOf(transposed)); err != nil {
			t.Fatal(err)
		}
		w := fill(NewMatrix(3, n), v)
		trained := fill(NewMatrix(3, n), v)
		trained.Train()
		for i, x := range []struct {
			a, b *Weight
			want bool
		}{
			{w, fill(NewMatrix(3, n), v), true}, {w, bf16, true}, {bf16, trained, true}, {fill(inOut(), v), turned, true},
			{w, fill(NewVector(3*n), v), false},
		} {
			if x.a.Same(x.b) != x.want || x.b.Same(x.a) != x.want {
				t.Errorf("pair %d of %d columns: the same: %v", i, n, !x.want)
			}
		}
		v[3*n-1] += 0.5
		for i, x := range []*Weight{w, bf16, trained} {
			if x.Same(fill(NewMatrix(3, n), v)) {
				t.Errorf("weight %d of %d columns equals one with another last value", i, n)
			}
		}
		if turned.Same(fill(inOut(), v)) {
			t.Errorf("a transposed weight of %d columns equals one with another last value", n)
		}
	}
}

// TestMerged compares Merged with W + s·B·A in float64, for each way of storing a weight.
func TestMerged(t *testing.T) {
	const out, in, r, scale = 5, 4, 3, 1.5
	rnd := seedOf("merged")
	v := random(rnd, out*in, 1)
	for _, c := range []struct {
		name         string
		dtype        DType
		inOut, table bool
	}{{"linear", F32, false, false}, {"F16", F16, false, false}, {"BF16", BF16, false, false}, {"InOut", F32, true, false},
		{"InOut F16", F16, true, false}, {"table", F32, false, true}} {
		t.Run(c.name, func(t *testing.T) {
			w := NewMatrix(out, in)
			w.InOut = c.inOut
			w, base := stored(w, c.dtype, v)
			rowsA, rowsB := in, out // A is r×rowsA, B is rowsB×r
			if c.table {
				rowsA, rowsB = out, in
			}
			a, b := random(rnd, r*rowsA, 1), random(rnd, rowsB*r, 1)
			got := Merged(nil, w, &Correction{A: NewParam(r, rowsA, a), B: NewParam(rowsB, r, b), Scale: scale}, c.table)
			delta := refMatMul(wide(b), refTranspose(wide(a), r, rowsA), rowsB, rowsA, r)
			if c.table || c.inOut {
				delta = refTranspose(delta, rowsB, rowsA)
			}
			for i := range got {
				if want := base[i] + scale*delta[i]; math.Abs(float64(got[i])-want) > 1e-5 {
					t.Errorf("element %d is %g, want %g", i, got[i], want)
				}
			}
			if again := Merged(nil, w, nil, c.table); !slices.Equal(wide(again), base) {
				t.Error("Merged changed the weight, or does not return its values without a correction")
			}
		})
	}
}

// TestPanics: a function panics on shapes that do not fit before it computes anything, and names them.
func TestPanics(t *testing.T) {
	tape := NewTape(nil)
	defer tape.Close()
	x := func(rows, cols int) mat.Tensor { return NewParam(rows, cols, make([]float32, rows*cols)) }
	vector := func(n int) *Weight {
		w := NewVector(n)
		must(w.SetValues(make([]float32, n)))
		return w
	}
	matrix := func(out, in int) *Weight {
		w := NewMatrix(out, in)
		must(w.SetValues(make([]float32, out*in)))
		return w
	}
	pair := func(r, in, out, s int) *Correction { // A is r×in, B is out×s
		return &Correction{A: NewParam(r, in, make([]float32, r*in)), B: NewParam(out, s, make([]float32, out*s))}
	}
	two := Seqs{Starts: []int{0, 2}}
	heads := Heads{Q: 2, KV: 2, Dim: 3}
	drop := Drop{P: 0.1, Seqs: Seqs{Starts: []int{0, 3}}}
	for _, c := range []struct {
		name, want string
		f          func()
	}{
		{"NewParam", "2×3 over 5", func() { NewParam(2, 3, make([]float32, 5)) }},
		{"Affine width", "2×4 with a weight 3×5",
			func() { Affine(tape, x(2, 4), Drop{}, Projection{Weight: matrix(3, 5)}) }},
		{"Affine bias", "3 rows of weight", func() {
			Affine(tape, x(2, 5), Drop{}, Projection{Weight: matrix(3, 5), Bias: vector(4)})
		}},
		{"Affine correction", "2×4 and 3×2", func() {
			Affine(tape, x(2, 5), Drop{}, Projection{Weight: matrix(3, 5), Adapt: pair(2, 4, 3, 2)})
		}},
		{"Affine rank", "2×5 and 3×1", func() {
			Affine(tape, x(2, 5), Drop{}, Projection{Weight: matrix(3, 5), Adapt: pair(2, 5, 3, 1)})
		}},
		{"Affine dropout", "2 rows", func() {
			c := pair(1, 5, 3, 1)
			c.Dropout = 0.1
			Affine(tape, x(2, 5), drop, Projection{Weight: matrix(3, 5), Adapt: c})
		}},
		{"Embedding id", "id 4 in a table of 4", func() { Embedding(tape, []int32{4}, matrix(4, 2), nil, NoPadding) }},
		{"Embedding negative id", "id -1", func() { Embedding(tape, []int32{-1}, matrix(4, 2), nil, NoPadding) }},
		{"Embedding correction", "1×3 and 2×1", func() {
			Embedding(tape, []int32{0}, matrix(4, 2), pair(1, 3, 2, 1), NoPadding)
		}},
		{"LayerNorm gain", "2×3 with 4 gains and 3 biases",
			func() { LayerNorm(tape, x(2, 3), nil, Drop{}, vector(4), vector(3), 1) }},
		{"LayerNorm h", "2×3 plus 3×2", func() { LayerNorm(tape, x(2, 3), x(3, 2), Drop{}, vector(3), vector(3), 1) }},
		{"LayerNorm dropout", "2 rows", func() { LayerNorm(tape, x(2, 3), x(2, 3), drop, vector(3), vector(3), 1) }},
		{"Add", "2×3 and 3×2", func() { Add(tape, x(2, 3), x(3, 2)) }},
		{"Dropout", "2 rows with sequences of 3 rows", func() { Dropout(tape, x(2, 3), drop) }},
		{"Rows", "row 2 of 2×3", func() { Rows(tape, x(2, 3), []int{1, 2}) }},
		{"Attention heads", "3 query and 2 key heads", func() {
			uneven := Heads{Q: 3, KV: 2, Dim: 3}
			Attention(tape, Columns{X: x(2, 9)}, Columns{X: x(2, 6)}, Columns{X: x(2, 6)}, two, two, uneven, Drop{})
		}},
		{"Attention no key heads", "0 key heads", func() {
			Attention(tape, Columns{X: x(2, 6)}, Columns{X: x(2, 6)}, Columns{X: x(2, 6)}, two, two, Heads{Q: 2, Dim: 3}, Drop{})
		}},
		{"Attention columns", "over 6, 5 and 6 columns", func() {
			Attention(tape, Columns{X: x(2, 6)}, Columns{X: x(2, 5)}, Columns{X: x(2, 6)}, two, two, heads, Drop{})
		}},
		{"Attention rows", "3 queries", func() {
			Attention(tape, Columns{X: x(3, 6)}, Columns{X: x(2, 6)}, Columns{X: x(2, 6)}, two, two, heads, Drop{})
		}},
		{"Attention values", "3 values", func() {
			Attention(tape, Columns{X: x(2, 6)}, Columns{X: x(2, 6)}, Columns{X: x(3, 6)}, two, two, heads, Drop{})
		}},
		{"Attention overlap", "overlap", func() {
			q := x(2, 12)
			Attention(tape, Columns{X: q}, Columns{X: q, From: 5}, Columns{X: x(2, 6)}, two, two, heads, Drop{})
		}},
		{"CrossEntropy labels", "2×3 logits with 1 labels",
			func() { CrossEntropy(tape, x(2, 3), []int32{1}, CrossEntropyConfig{}) }},
		{"CrossEntropy label", "label 3 of 3", func() { CrossEntropy(tape, x(1, 3), []int32{3}, CrossEntropyConfig{}) }},
		{"CrossEntropy negative label", "label -1 of 3",
			func() { CrossEntropy(tape, x(1, 3), []int32{-1}, CrossEntropyConfig{}) }},
		{"GroupCrossEntropy groups", "2 rows with 1 groups",
			func() { GroupCrossEntropy(tape, x(2, 1), []int{0, 1}, []int32{0}) }},
		{"GroupCrossEntropy labels", "1 groups with 2 columns and 1 labels",
			func() { GroupCrossEntropy(tape, x(2, 2), []int{0, 2}, []int32{0}) }},
		{"GroupCrossEntropy empty", "group 0 has 0 rows",
			func() { GroupCrossEntropy(tape, x(2, 1), []int{0, 0, 2}, []int32{0, 0}) }},
		{"GroupCrossEntropy label", "label 2 in a group of 2",
			func() { GroupCrossEntropy(tape, x(2, 1), []int{0, 2}, []int32{2}) }},
		{"CrossEntropy weights", "3 classes with 2",
			func() { CrossEntropy(tape, x(1, 3), []int32{0}, CrossEntropyConfig{ClassWeights: []float32{1, 1}}) }},
		{"BCE", "1×3 logits with 2", func() { BCEWithLogits(tape, x(1, 3), []float32{1, 0}) }},
		{"MSE", "1×3 values with 2", func() { MSE(tape, x(1, 3), []float32{1, 0}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				r := recover()
				if s, ok := r.(string); !ok || !strings.HasPrefix(s, "op: ") || !strings.Contains(s, c.want) {
					t.Errorf("panic %v, want one of op with %q", r, c.want)
				}
			}()
			c.f()
		})
	}
	tape.Reset()
}

func TestParseActivation(t *testing.T) {
	for name, want := range map[string]Activation{
		"gelu": GELU, "gelu_python": GELU, "gelu_new": GELUTanh, "gelu_pytorch_tanh": GELUTanh, "gelu_fast": GELUTanh,
		"gelu_accurate": GELUTanh, "relu": ReLU, "tanh": Tanh, "silu": SiLU, "swish": SiLU,
	} {
		if got, err := ParseActivation(name); err != nil || got != want {
			t.Errorf("%s is %v, %v; want %v", name, got, err, want)
		}
	}
	for _, name := range []string{"", "GELU", "SiLU", "quick_gelu"} {
		if _, err := ParseActivation(name); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestSeqs(t *testing.T) {
	s := Seqs{Starts: []int{0, 2, 2, 5}, First: []int{0, 4, 10}, Index: []int{7, 8, 9}}
	if s.Len() != 3 || s.Rows() != 5 || (Seqs{}).Len() != 0 || (Seqs{}).Rows() != 0 {
		t.Error("sizes")
	}
	var got [][3]int
	s.each(1, 5, func(row, example, position int) { got = append(got, [3]int{row, example, position}) })
	if want := [][3]int{{1, 7, 1}, {2, 9, 10}, {3, 9, 11}, {4, 9, 12}}; !slices.Equal(got, want) {
		t.Errorf("rows %v, want %v", got, want)
	}
}

// TestDropoutMean: dropout keeps the mean of its operand.
func TestDropoutMean(t *testing.T) {
	const rows, cols = 200, 500
	tape := NewEvalTape(nil)
	defer tape.Close()
	ones := make([]float32, rows*cols)
	for i := range ones {
		ones[i] = 1
	}
	x := dense(ones, rows, cols)
	for _, p := range []float32{0.1, 0.5, 0.9} {
		y := Values(Dropout(tape, x, Drop{P: p, Site: 1, Key: kernel.Key{Seed: 1}, Seqs: Seqs{Starts: []int{0, rows}}}))
		mean, zeros := 0.0, 0
		for _, v := range y {
			mean += float64(v) / float64(len(y))
			if v == 0 {
				zeros++
			}
		}
		// Five standard deviations of the mean of 100,000 elements.
		if bound := 5 * math.Sqrt(float64(p)/(1-float64(p))/rows/cols); math.Abs(mean-1) > bound {
			t.Errorf("p = %g: mean %.4f, want 1 ± %.4f", p, mean, bound)
		}
		if share := float64(zeros) / float64(len(y)); math.Abs(share-float64(p)) > 0.01 {
			t.Errorf("p = %g: %.3f dropped", p, share)
		}
	}
	if Dropout(tape, x, Drop{Seqs: Seqs{Starts: []int{0, rows}}}) != mat.Tensor(x) {
		t.Error("dropout of nothing must be the operand itself")
	}
}

// TestParseDType: ParseDType and SetStored accept the name of every type and reject others.
func TestParseDType(t *testing.T) {
	for _, want := range []DType{F32, F16, BF16} {
		if got, err := ParseDType(want.String()); err != nil || got != want {
			t.Errorf("ParseDType(%q) = %v, %v", want.String(), got, err)
		}
	}
	for _, name := range []string{"", "f32", "I64", "F64"} {
		if _, err := ParseDType(name); err == nil {
			t.Errorf("ParseDType(%q) returned no error", name)
		}
		if err := NewVector(1).SetStored(name, make([]byte, 4)); err == nil {
			t.Errorf("SetStored(%q) returned no error", name)
		}
	}
	w := NewVector(1)
	if err := w.SetStored("F16", []byte{0, 0x3c}); err != nil || w.Float32()[0] != 1 {
		t.Errorf("SetStored: %v", err)
	}
}
