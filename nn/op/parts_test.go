package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nlpodyssey/spago/mat"
)

// randomCorrection returns a correction of rank r from in to out values.
func randomCorrection(rnd *rand.Rand, r, in, out int, magnitude, bias bool) *Correction {
	c := &Correction{A: NewParam(r, in, random(rnd, r*in, 1)), B: NewParam(out, r, random(rnd, out*r, 1)), Scale: 0.5}
	if magnitude {
		c.Magnitude = &Magnitude{Param: NewParam(1, out, random(rnd, out, 8))}
	}
	if bias {
		c.Bias = NewParam(1, out, random(rnd, out, 1))
	}
	return c
}

// TestParts: rows in parts have the bits that each part has alone: with corrections of all kinds or none, other
// weights, biases, rows of weights that train, heads of another width, no rows; and the loss of a head in parts is the
// sum.
func TestParts(t *testing.T) {
	rnd := seedOf("parts")
	pool := NewPool(3)
	defer pool.Close()
	const in, out = 40, 24
	weight := func(rows int) *Weight {
		w, _ := stored(NewMatrix(rows, in), F32, random(rnd, rows*in, 1))
		return w
	}
	vector := func(n int) *Weight {
		v := NewVector(n)
		must(v.SetValues(random(rnd, n, 1)))
		return v
	}
	w, bias := weight(out), vector(out)
	own, rows, err := w.WithRows([]int32{3, 20})
	must(err)
	for i := range Values(rows) {
		Values(rows)[i] += 0.25
	}
	parts := []Part{
		{2, w, bias, nil},
		{3, w, bias, randomCorrection(rnd, 3, in, out, false, false)},
		{1, w, bias, randomCorrection(rnd, 2, in, out, true, false)},
		{0, w, bias, randomCorrection(rnd, 2, in, out, false, false)},
		{2, w, bias, randomCorrection(rnd, 2, in, out, false, true)},
		{2, own, bias, nil},
		{1, w, vector(out), randomCorrection(rnd, 4, in, out, false, false)},
		{4, weight(out - 7), vector(out - 7), nil},
		{2, w, nil, randomCorrection(rnd, 1, in, out, true, false)},
	}
	n := 0
	for _, p := range parts {
		n += p.Rows
	}
	x := random(rnd, n*in, 1)
	affine := func(few bool, x []float32, p Projection) []float32 {
		tape := NewEvalTape(pool)
		defer tape.Close()
		tape.FewRows(few)
		return slices.Clone(Values(Affine(tape, dense(x, len(x)/in, in), Drop{}, Projection{Weight: w}, p)))
	}
	labels := make([]int32, n)
	for i := range labels {
		if labels[i] = int32(i * 3 % (out - 7)); i%4 == 1 {
			labels[i] = Ignore
		}
	}
	loss := func(x []float32, p Projection, labels []int32) (float64, TargetStats) {
		tape := NewEvalTape(pool)
		defer tape.Close()
		y, s := LinearCrossEntropy(tape, dense(x, len(x)/in, in), Drop{}, p, labels, 0)
		return float64(Values(y)[0]), s
	}
	for _, few := range []bool{false, true} {
		got := affine(few, x, Projection{Parts: parts})
		at := 0
		for i, p := range parts {
			if p.Rows == 0 {
				continue
			}
			cols := p.Weight.Rows
			alone := affine(few, x[at*in:(at+p.Rows)*in], Projection{Weight: p.Weight, Bias: p.Bias, Adapt: p.Adapt})
			for row := range p.Rows {
				name := fmt.Sprintf("few %v, part %d, row %d", few, i, row)
				y := got[(at+row)*2*out:][:2*out]
				equalBits(t, name, y[:out+cols], alone[row*(out+cols):][:out+cols])
				equalBits(t, name+" behind", y[out+cols:], make([]float32, out-cols))
			}
			at += p.Rows
		}
	}
	sum, counts := loss(x, Projection{Parts: parts}, labels)
	want, wantCounts, at := 0.0, TargetStats{}, 0
	for _, p := range parts {
		one, s := loss(x[at*in:(at+p.Rows)*in], Projection{Weight: p.Weight, Bias: p.Bias, Adapt: p.Adapt},
			labels[at:at+p.Rows])
		want += one
		wantCounts.Targets, wantCounts.Correct = wantCounts.Targets+s.Targets, wantCounts.Correct+s.Correct
		at += p.Rows
	}
	if float32(sum) != counts.CrossEntropy {
		t.Errorf("without smoothing the loss is %v, but the cross-entropy %v", sum, counts.CrossEntropy)
	}
	counts.CrossEntropy = 0
	if math.Abs(sum-want) > 1e-5*want || counts != wantCounts {
		t.Errorf("loss %v of %v, want %v of %v", sum, counts, want, wantCounts)
	}
}

// TestSeveralCorrections: corrections of one layer follow one another as PEFT computes several active adapters: each
// adds its product, and one with a magnitude scales what there is, without the bias.
func TestSeveralCorrections(t *testing.T) {
	rnd := seedOf("several")
	const in, out, n = 24, 16, 5
	w, values := stored(NewMatrix(out, in), F32, random(rnd, out*in, 1))
	bias := NewVector(out)
	must(bias.SetValues(random(rnd, out, 1)))
	x := random(rnd, n*in, 1)
	for kinds := range 8 { // whether each of three has a magnitude
		var first *Correction
		z := make([]float64, n*out)
		for i := range n {
			for j := range out {
				for k := range in {
					z[i*out+j] += float64(x[i*in+k]) * values[j*in+k]
				}
			}
		}
		end := &first
		for k := range 3 {
			c := randomCorrection(rnd, 2, in, out, kinds>>k&1 == 1, k == 1)
			*end, end = c, &c.And
			single := *c
			norms := single.Norms(nil, w, false)
			for i := range n {
				for j := range out {
					for r := range 2 {
						u := 0.0
						for l := range in {
							u += float64(x[i*in+l]) * float64(Values(c.A)[r*in+l])
						}
						z[i*out+j] += 0.5 * u * float64(Values(c.B)[j*2+r])
					}
					if c.Magnitude != nil {
						z[i*out+j] *= float64(Values(c.Magnitude.Param)[j]) / float64(norms[j])
					}
				}
			}
		}
		for _, few := range []bool{false, true} {
			tape := NewEvalTape(nil)
			tape.FewRows(few)
			y := Values(Affine(tape, dense(x, n, in), Drop{}, Projection{Weight: w, Bias: bias, Adapt: first}))
			for i, v := range y {
				want := z[i] + float64(bias.Float32()[i%out]) + 0.5*float64(Values(first.And.Bias)[i%out])
				if math.Abs(float64(v)-want) > 1e-4*(1+math.Abs(want)) {
					t.Fatalf("magnitudes %03b, few %v: element %d is %v, want %v", kinds, few, i, v, want)
				}
			}
			tape.Close()
		}
	}
	var table *Correction
	ids := []int32{3, 0, 9, 3}
	plain := []*Correction{randomCorrection(rnd, 2, out, in, false, false), randomCorrection(rnd, 3, out, in, true, false)}
	lookup := func(c *Correction) []float32 {
		tape := NewEvalTape(nil)
		defer tape.Close()
		return slices.Clone(Values(Embedding(tape, ids, w, c, NoPadding)))
	}
	base, one := lookup(nil), lookup(plain[0])
	norms := plain[1].Norms(nil, w, true)
	table = &Correction{A: plain[0].A, B: plain[0].B, Scale: plain[0].Scale, And: plain[1]}
	for i, v := range lookup(table) {
		u := 0.0
		for r := range 3 {
			u += 0.5 * float64(Values(plain[1].A)[r*out+int(ids[i/in])]) * float64(Values(plain[1].B)[i%in*3+r])
		}
		j := i % in
		want := (float64(one[i]) + u) * float64(Values(plain[1].Magnitude.Param)[j]) / float64(norms[j])
		if math.Abs(float64(v)-want) > 1e-4*(1+math.Abs(want)) || one[i] == base[i] {
			t.Fatalf("embedding: element %d is %v, want %v", i, v, want)
		}
	}
}

// TestPartsDoNotTrain: on a tape that records, parts and several corrections are refused before anything is computed
// wrongly.
func TestPartsDoNotTrain(t *testing.T) {
	rnd := seedOf("recorded parts")
	const in, out = 8, 6
	w, _ := stored(NewMatrix(out, in), F32, random(rnd, out*in, 1))
	c, d := randomCorrection(rnd, 2, in, out, false, false), randomCorrection(rnd, 2, in, out, false, false)
	c.And = d
	e := randomCorrection(rnd, 2, out, in, false, false)
	e.And = randomCorrection(rnd, 2, out, in, false, false)
	for name, f := range map[string]func(tape *Tape, x mat.Tensor){
		"parts": func(tape *Tape, x mat.Tensor) {
			Affine(tape, x, Drop{}, Projection{Parts: []Part{{1, w, nil, d}, {1, w, nil, nil}}})
		},
		"several":   func(tape *Tape, x mat.Tensor) { Affine(tape, x, Drop{}, Projection{Weight: w, Adapt: c}) },
		"embedding": func(tape *Tape, _ mat.Tensor) { Embedding(tape, []int32{1}, w, e, NoPadding) },
		"below":     func(tape *Tape, x mat.Tensor) { Below(tape, x, x) },
	} {
		tape := NewTape(nil)
		var message string
		func() {
			defer func() { message = fmt.Sprint(recover()) }()
			f(tape, dense(random(rnd, 2*in, 1), 2, in))
		}()
		if !strings.Contains(message, "tape that records") {
			t.Errorf("%s: got %q", name, message)
		}
	}
}
