package op

import (
	"math/rand/v2"
	"slices"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/checkpoint/safetensors"
	"github.com/spalora/spalora/internal/kernel"
)

// samples returns the table of this package's functions: each in every way of using it.
func samples() []sample {
	return slices.Concat(affineSamples(), embeddingSamples(), layerNormSamples(), attentionSamples(), rowSamples(),
		lossSamples(), crfSamples(), pairSamples(), causalSamples(), customSamples(), imageSamples())
}

// ragged are sequences of lengths 3, 1 and 4 whose global numbers differ from their index in the batch.
func ragged() Seqs { return Seqs{Starts: []int{0, 3, 4, 8}, Index: []int{17, 3, 90210}} }

func dropping(p float32, s Seqs) Drop {
	return Drop{P: p, Site: 5, Key: kernel.Key{Seed: 3, Step: 8}, Seqs: s}
}

// stored returns a frozen weight of the given type and its exact values, widened, in stored order.
func stored(w *Weight, t DType, v []float32) (*Weight, []float64) {
	if t == F32 {
		must(w.SetValues(v))
		return w, wide(v)
	}
	words := make([]uint16, len(v))
	kernel.Narrow(words, v, t)
	b, exact := make([]byte, 2*len(v)), make([]float64, len(v))
	for i, h := range words {
		b[2*i], b[2*i+1] = byte(h), byte(h>>8)
		if exact[i] = float64(safetensors.FromF16(h)); t == BF16 {
			exact[i] = float64(safetensors.FromBF16(h))
		}
	}
	must(w.SetBytes(t, b))
	return w, exact
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// projection describes one projection of an affine sample.
type projection struct {
	out, r       int // r 0: no correction
	dtype        DType
	inOut, train bool
	bias         byte // 0: none, 'f': frozen, 't': trained
	dora, low    bool // the correction has a magnitude, a bias
}

func affineSample(name string, seqs Seqs, in int, drop float32, size float32, ps ...projection) sample {
	r := seedOf(name)
	n := seqs.Rows()
	s := sample{name: "affine/" + name, xs: []leaf{{"x", n, in, random(r, n*in, size)}}, big: n*in > 2000}
	d := dropping(drop, seqs)
	mask := refMask(d, in)
	type built struct {
		projection
		w, b     *Weight
		wv, bv   []float64
		at       [6]int // indices of w, b, A, B, magnitude and low bias among the parameters; −1: absent
		scale, p float32
		norms    []float64
	}
	var bs []built
	for i, p := range ps {
		b := built{projection: p, at: [6]int{-1, -1, -1, -1, -1, -1}, scale: 1.7 - float32(i)/2, p: drop}
		b.w = NewMatrix(p.out, in)
		b.w.InOut = p.inOut
		v := random(r, p.out*in, size)
		param := func(k int, name string, rows, cols int, v []float32) {
			b.at[k] = len(s.ps)
			s.ps = append(s.ps, leaf{name + string(rune('0'+i)), rows, cols, v})
		}
		if p.train {
			param(0, "w", p.out, in, v)
		} else {
			b.w, b.wv = stored(b.w, p.dtype, v)
		}
		switch p.bias {
		case 'f':
			b.b, b.bv = stored(NewVector(p.out), F32, random(r, p.out, 1))
		case 't':
			b.b = NewVector(p.out)
			param(1, "b", 1, p.out, random(r, p.out, 1))
		}
		if p.r > 0 {
			param(2, "A", p.r, in, random(r, p.r*in, size))
			param(3, "B", p.out, p.r, random(r, p.out*p.r, size))
		}
		if p.dora {
			exact := wide(v)
			if !p.train {
				exact = b.wv
			}
			if p.inOut {
				exact = refTranspose(exact, in, p.out)
			}
			b.norms = refNorms(exact, wide(s.ps[b.at[2]].v), wide(s.ps[b.at[3]].v), p.out, in, p.r, float64(b.scale))
			param(4, "m", 1, p.out, random(r, p.out, 2))
		}
		if p.low {
			param(5, "lb", 1, p.out, random(r, p.out, 1))
		}
		bs = append(bs, b)
	}
	s.run = func(t *Tape, xs []mat.Tensor, params []*spago.Param) mat.Tensor {
		var list []Projection
		for _, b := range bs {
			q := Projection{Weight: b.w, Bias: b.b}
			if b.at[0] >= 0 {
				q.Weight = &Weight{Rows: b.out, Cols: in, InOut: b.inOut, Param: params[b.at[0]]}
			}
			if b.at[1] >= 0 {
				q.Bias = &Weight{Rows: 1, Cols: b.out, Vector: true, Param: params[b.at[1]]}
			}
			if b.r > 0 {
				q.Adapt = &Correction{A: params[b.at[2]], B: params[b.at[3]], Scale: b.scale, Dropout: b.p, Site: d.Site}
			}
			if b.dora {
				q.Adapt.Magnitude = &Magnitude{Param: params[b.at[4]]}
			}
			if b.low {
				q.Adapt.Bias = params[b.at[5]]
			}
			list = append(list, q)
		}
		return Affine(t, xs[0], Drop{Key: d.Key, Seqs: seqs}, list...)
	}
	s.ref = func(xs, params [][]float64) []float64 {
		var list []refProjection
		for _, b := range bs {
			q := refProjection{w: b.wv, b: b.bv, out: b.out, r: b.r, scale: float64(b.scale)}
			if b.at[0] >= 0 {
				q.w = params[b.at[0]]
			}
			if b.inOut {
				q.w = refTranspose(q.w, in, b.out)
			}
			if b.at[1] >= 0 {
				q.b = params[b.at[1]]
			}
			if b.r > 0 {
				q.lowA, q.lowB = params[b.at[2]], params[b.at[3]]
			}
			if b.dora {
				q.m, q.norms = params[b.at[4]], b.norms
			}
			if b.low {
				q.lowBias = params[b.at[5]]
			}
			list = append(list, q)
		}
		return refAffine(xs[0], in, mask, list...)
	}
	return s
}

func affineSamples() []sample {
	one, many := Seqs{Starts: []int{0, 1}}, Seqs{Starts: []int{0, 100, 333}, Index: []int{4, 2}}
	return []sample{
		affineSample("frozen", ragged(), 5, 0, 1, projection{out: 4}),
		affineSample("frozen bias", ragged(), 5, 0, 1, projection{out: 4, bias: 'f'}),
		affineSample("trained", ragged(), 5, 0, 1, projection{out: 4, train: true, bias: 't'}),
		affineSample("trained bias alone", ragged(), 5, 0, 1, projection{out: 4, bias: 't'}),
		affineSample("trained weight alone", ragged(), 5, 0, 1, projection{out: 4, train: true, bias: 'f'}),
		affineSample("F16", ragged(), 6, 0, 1, projection{out: 3, dtype: F16, bias: 'f', r: 2}),
		affineSample("BF16", ragged(), 6, 0, 1, projection{out: 3, dtype: BF16, bias: 't', r: 2}),
		affineSample("InOut", ragged(), 6, 0, 1, projection{out: 3, inOut: true, bias: 'f', r: 2}),
		affineSample("InOut F16", ragged(), 6, 0, 1, projection{out: 3, inOut: true, dtype: F16}),
		affineSample("InOut trained", ragged(), 6, 0, 1, projection{out: 3, inOut: true, train: true, bias: 't', r: 1}),
		affineSample("correction", ragged(), 5, 0, 1, projection{out: 4, bias: 'f', r: 2}),
		affineSample("correction dropout", ragged(), 5, 0.3, 1, projection{out: 4, bias: 'f', r: 2}),
		affineSample("correction on trained", ragged(), 5, 0.5, 1, projection{out: 4, train: true, bias: 't', r: 3}),
		affineSample("correction bias", ragged(), 5, 0.4, 1, projection{out: 4, bias: 'f', r: 2, low: true}),
		affineSample("correction bias alone", ragged(), 5, 0, 1, projection{out: 4, r: 2, low: true, inOut: true}),
		affineSample("magnitude", ragged(), 5, 0, 1, projection{out: 4, bias: 'f', r: 2, dora: true}),
		affineSample("magnitude dropout", ragged(), 5, 0.4, 1, projection{out: 4, bias: 't', r: 2, dora: true, low: true}),
		affineSample("magnitude F16", ragged(), 6, 0, 1, projection{out: 3, dtype: F16, r: 2, dora: true}),
		affineSample("magnitude InOut", ragged(), 6, 0.4, 1,
			projection{out: 3, dtype: BF16, r: 2, bias: 'f', dora: true, inOut: true}),
		affineSample("magnitude on trained", ragged(), 5, 0, 1, projection{out: 4, train: true, r: 2, dora: true}),
		affineSample("magnitude on trained dropout", ragged(), 5, 0.5, 1,
			projection{out: 4, train: true, bias: 't', r: 2, dora: true}),
		affineSample("magnitude InOut trained", ragged(), 5, 0.5, 1,
			projection{out: 4, train: true, inOut: true, r: 2, dora: true}),
		affineSample("magnitude beside others", ragged(), 5, 0.4, 1, projection{out: 4, r: 2, bias: 'f', dora: true},
			projection{out: 2, bias: 'f'}, projection{out: 3, r: 1}),
		affineSample("three", ragged(), 5, 0, 1, projection{out: 4, r: 2, bias: 'f'}, projection{out: 2},
			projection{out: 3, r: 1, dtype: F16}),
		affineSample("three dropout", ragged(), 5, 0.4, 1, projection{out: 4, r: 2, bias: 'f'},
			projection{out: 2, train: true, bias: 't'}, projection{out: 3, r: 1}),
		affineSample("rank above sizes", ragged(), 3, 0, 1, projection{out: 2, r: 5}),
		affineSample("one row", one, 5, 0.4, 1, projection{out: 4, r: 2, train: true, bias: 't'}),
		affineSample("one in one out", ragged(), 1, 0, 1, projection{out: 1, r: 1, train: true, bias: 't'}),
		affineSample("big", many, 96, 0.2, 0.1, projection{out: 80, r: 8, bias: 't'}, projection{out: 33, dtype: BF16},
			projection{out: 70, r: 4, train: true}),
		affineSample("big magnitude", many, 96, 0.2, 0.1, projection{out: 80, r: 8, bias: 't', dora: true},
			projection{out: 33, dtype: BF16}, projection{out: 70, r: 4, dora: true, inOut: true}),
	}
}

func embeddingSample(name string, ids []int32, rows, cols int, dtype DType, train bool, r, padding int,
	dora ...bool) sample {
	rnd := seedOf(name)
	s := sample{name: "embedding/" + name, big: len(ids) > 100}
	w, wv := stored(NewMatrix(rows, cols), dtype, random(rnd, rows*cols, 1))
	scale := float32(0.75)
	at := 0
	if train {
		s.ps = append(s.ps, leaf{"w", rows, cols, random(rnd, rows*cols, 1)})
		at = 1
	}
	if r > 0 {
		s.ps = append(s.ps, leaf{"A", r, rows, random(rnd, r*rows, 1)}, leaf{"B", cols, r, random(rnd, cols*r, 1)})
	}
	var norms []float64
	if len(dora) > 0 {
		exact := wv
		if train {
			exact = wide(s.ps[0].v)
		}
		norms = refNorms(refTranspose(exact, rows, cols), wide(s.ps[at].v), wide(s.ps[at+1].v), cols, rows, r, float64(scale))
		s.ps = append(s.ps, leaf{"m", 1, cols, random(rnd, cols, 2)})
	}
	s.run = func(t *Tape, _ []mat.Tensor, ps []*spago.Param) mat.Tensor {
		table := w
		if train {
			table = &Weight{Rows: rows, Cols: cols, Param: ps[0]}
		}
		var c *Correction
		if r > 0 {
			c = &Correction{A: ps[at], B: ps[at+1], Scale: scale, Dropout: 0.9}
		}
		if norms != nil {
			c.Magnitude = &Magnitude{Param: ps[at+2]}
		}
		return Embedding(t, ids, table, c, padding)
	}
	// The reference reads the padding row from fixed values, so that its differences are zero there, as PyTorch's
	// gradients are.
	fixedW, fixedA := wv, []float64(nil)
	if train {
		fixedW = wide(s.ps[0].v)
	}
	if r > 0 {
		fixedA = wide(s.ps[at].v)
	}
	s.ref = func(_, ps [][]float64) []float64 {
		table, a, b := wv, []float64(nil), []float64(nil)
		if train {
			table = ps[0]
		}
		if r > 0 {
			a, b = ps[at], ps[at+1]
		}
		y := refEmbedding(ids, table, rows, cols, a, b, r, float64(scale))
		still := refEmbedding(ids, fixedW, rows, cols, fixedA, b, r, float64(scale))
		for n, id := range ids {
			if int(id) == padding {
				copy(y[n*cols:(n+1)*cols], still[n*cols:(n+1)*cols])
			}
		}
		for i := range y {
			if norms != nil {
				y[i] *= ps[at+2][i%cols] / norms[i%cols]
			}
		}
		return y
	}
	return s
}

func embeddingSamples() []sample {
	ids := []int32{2, 0, 6, 2, 1, 2}
	many := make([]int32, 400)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range many {
		many[i] = int32(r.IntN(50))
	}
	return []sample{
		embeddingSample("frozen", ids, 7, 3, F32, false, 0, NoPadding),
		embeddingSample("trained", ids, 7, 3, F32, true, 0, NoPadding),
		embeddingSample("trained padding", ids, 7, 3, F32, true, 0, 2),
		embeddingSample("correction", ids, 7, 3, F32, false, 2, NoPadding),
		embeddingSample("correction padding", ids, 7, 3, F32, false, 2, 2),
		embeddingSample("correction padding trained", ids, 7, 3, F32, true, 2, 0),
		embeddingSample("correction F16", ids, 7, 3, F16, false, 2, NoPadding),
		embeddingSample("correction BF16", ids, 7, 3, BF16, false, 1, 0),
		embeddingSample("one id one column", []int32{1}, 2, 1, F32, true, 1, NoPadding),
		embeddingSample("magnitude", ids, 7, 3, F32, false, 2, NoPadding, true),
		embeddingSample("magnitude padding BF16", ids, 7, 3, BF16, false, 2, 2, true),
		embeddingSample("magnitude trained", ids, 7, 3, F32, true, 1, 0, true),
		embeddingSample("big", many, 50, 200, F16, false, 8, 0),
		embeddingSample("big magnitude", many, 50, 200, F16, false, 8, 0, true),
	}
}

func layerNormSample(name string, seqs Seqs, cols int, h bool, drop float32, trainGain, trainBias bool,
	eps float32) sample {
	r := seedOf(name)
	n := seqs.Rows()
	s := sample{name: "layernorm/" + name, xs: []leaf{{"x", n, cols, random(r, n*cols, 1)}}, big: n*cols > 2000}
	if h {
		s.xs = append(s.xs, leaf{"h", n, cols, random(r, n*cols, 1)})
	}
	d := dropping(drop, seqs)
	mask := refMask(d, cols)
	gain, gv := stored(NewVector(cols), F32, random(r, cols, 2))
	bias, bv := stored(NewVector(cols), F32, random(r, cols, 1))
	if trainGain {
		s.ps = append(s.ps, leaf{"gain", 1, cols, random(r, cols, 2)})
	}
	if trainBias {
		s.ps = append(s.ps, leaf{"bias", 1, cols, random(r, cols, 1)})
	}
	s.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
		g, b := gain, bias
		if trainGain {
			g = &Weight{Rows: 1, Cols: cols, Vector: true, Param: ps[0]}
		}
		if trainBias {
			b = &Weight{Rows: 1, Cols: cols, Vector: true, Param: ps[len(ps)-1]}
		}
		if !h {
			return LayerNorm(t, xs[0], nil, Drop{}, g, b, eps)
		}
		return LayerNorm(t, xs[0], xs[1], d, g, b, eps)
	}
	s.ref = func(xs, ps [][]float64) []float64 {
		g, b := gv, bv
		if trainGain {
			g = ps[0]
		}
		if trainBias {
			b = ps[len(ps)-1]
		}
		if !h {
			return refLayerNorm(xs[0], nil, mask, g, b, float64(eps))
		}
		return refLayerNorm(xs[0], xs[1], mask, g, b, float64(eps))
	}
	return s
}

func layerNormSamples() []sample {
	one, many := Seqs{Starts: []int{0, 1}}, Seqs{Starts: []int{0, 100, 333}, Index: []int{4, 2}}
	twice := layerNormSample("operand twice", ragged(), 6, false, 0, true, true, 1e-5)
	once := twice.ref
	twice.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
		return LayerNorm(t, xs[0], xs[0], Drop{}, &Weight{Rows: 1, Cols: 6, Vector: true, Param: ps[0]},
			&Weight{Rows: 1, Cols: 6, Vector: true, Param: ps[1]}, 1e-5)
	}
	twice.ref = func(xs, ps [][]float64) []float64 {
		double := make([]float64, len(xs[0]))
		for i, v := range xs[0] {
			double[i] = 2 * v
		}
		return once([][]float64{double}, ps)
	}
	return []sample{
		layerNormSample("frozen", ragged(), 6, false, 0, false, false, 1e-12),
		layerNormSample("trained", ragged(), 6, false, 0, true, true, 1e-12),
		layerNormSample("trained gain", ragged(), 6, true, 0, true, false, 1e-5),
		layerNormSample("trained bias", ragged(), 6, true, 0, false, true, 0.5),
		layerNormSample("residual", ragged(), 6, true, 0, false, false, 1e-12),
		layerNormSample("residual dropout", ragged(), 6, true, 0.4, false, false, 1e-12),
		layerNormSample("residual dropout trained", ragged(), 6, true, 0.4, true, true, 1e-5),
		layerNormSample("one row", one, 6, true, 0.4, true, true, 1e-5),
		layerNormSample("one column", ragged(), 1, true, 0, true, true, 0.1),
		layerNormSample("big", many, 96, true, 0.2, true, true, 1e-5),
		twice,
	}
}
