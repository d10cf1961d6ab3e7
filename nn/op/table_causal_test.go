package op

import (
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
)

func pow(x, y float32) float32 { return float32(math.Pow(float64(x), float64(y))) }

func rmsNormSample(name string, rows, cols, group int, train bool, eps float32) sample {
	r := seedOf(name)
	s := sample{name: "rmsnorm/" + name, xs: []leaf{{"x", rows, cols, random(r, rows*cols, 1)}}, big: rows*cols > 2000}
	gain, gv := stored(NewVector(group), F32, random(r, group, 2))
	if train {
		s.ps = append(s.ps, leaf{"gain", 1, group, random(r, group, 2)})
	}
	s.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
		g := gain
		if train {
			g = &Weight{Rows: 1, Cols: group, Vector: true, Param: ps[0]}
		}
		return RMSNorm(t, xs[0], g, eps)
	}
	s.ref = func(xs, ps [][]float64) []float64 {
		g := gv
		if train {
			g = ps[0]
		}
		y := make([]float64, len(xs[0]))
		for i := 0; i < len(y); i += group {
			sum := 0.0
			for _, v := range xs[0][i : i+group] {
				sum += v * v
			}
			for j := range group {
				y[i+j] = xs[0][i+j] / math.Sqrt(sum/float64(group)+float64(eps)) * g[j]
			}
		}
		return y
	}
	return s
}

func rotateSample(name string, seqs Seqs, cols, from, heads, dim, half int) sample {
	n := seqs.Rows()
	f := make([]float32, half)
	for i := range f {
		f[i] = 0.9 / float32(i+1)
	}
	return unary("rotate/"+name, n, cols,
		func(t *Tape, x mat.Tensor) mat.Tensor {
			return Rotate(t, x, false, from, heads, dim, NewRotary(t, seqs, func(int) []float32 { return f }, 1.5))
		},
		func(x []float64) []float64 {
			y := append([]float64(nil), x...)
			seqs.each(0, n, func(row, _, position int) {
				for h := range heads {
					head := row*cols + from + h*dim
					for i := range half {
						sin, cos := math.Sincos(float64(float32(position) * f[i]))
						a, b := x[head+i], x[head+half+i]
						y[head+i], y[head+half+i] = 1.5*(a*cos-b*sin), 1.5*(b*cos+a*sin)
					}
				}
			})
			return y
		})
}

func residualSample(name string, seqs Seqs, cols int, drop float32) sample {
	r := seedOf(name)
	n := seqs.Rows()
	d := dropping(drop, seqs)
	mask := refMask(d, cols)
	return sample{
		name: "residual/" + name, xs: []leaf{{"x", n, cols, random(r, n*cols, 1)}, {"h", n, cols, random(r, n*cols, 1)}},
		big: n*cols > 2000,
		run: func(t *Tape, xs []mat.Tensor, _ []*spago.Param) mat.Tensor { return Residual(t, xs[0], xs[1], d) },
		ref: func(xs, _ [][]float64) []float64 {
			y := make([]float64, n*cols)
			for i := range y {
				y[i] = xs[0][i] + xs[1][i]*mask[i]
			}
			return y
		},
	}
}

// head describes the head of a language-model loss.
type head struct {
	classes, r         int
	dtype              DType
	train, inOut, bias bool
	dora, low          bool // the correction has a magnitude, a bias
	drop, smoothing    float32
}

func headLossSample(name string, seqs Seqs, in int, labels []int32, h head) sample {
	r := seedOf(name)
	n := seqs.Rows()
	s := sample{name: "head loss/" + name, xs: []leaf{{"x", n, in, random(r, n*in, 1)}}, big: n*h.classes*in > 20000}
	d := dropping(h.drop, seqs)
	mask := refMask(d, in)
	w := NewMatrix(h.classes, in)
	w.InOut = h.inOut
	v := random(r, h.classes*in, 1)
	w, wv := stored(w, h.dtype, v)
	add := func(on bool, name string, rows, cols int) int {
		if !on {
			return -1
		}
		s.ps = append(s.ps, leaf{name, rows, cols, random(r, rows*cols, 1)})
		return len(s.ps) - 1
	}
	atW, atB := add(h.train, "w", h.classes, in), add(h.bias, "b", 1, h.classes)
	lowA, lowB := add(h.r > 0, "A", h.r, in), add(h.r > 0, "B", h.classes, h.r)
	atM, lowBias := add(h.dora, "m", 1, h.classes), add(h.low, "lb", 1, h.classes)
	var norms []float64
	if h.dora {
		exact := wv
		if h.train {
			exact = wide(s.ps[atW].v)
		}
		if h.inOut {
			exact = refTranspose(exact, in, h.classes)
		}
		norms = refNorms(exact, wide(s.ps[lowA].v), wide(s.ps[lowB].v), h.classes, in, h.r, float64(float32(1.3)))
	}
	s.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
		q := Projection{Weight: w}
		if atW >= 0 {
			q.Weight = &Weight{Rows: h.classes, Cols: in, InOut: h.inOut, Param: ps[atW]}
		}
		if atB >= 0 {
			q.Bias = &Weight{Rows: 1, Cols: h.classes, Vector: true, Param: ps[atB]}
		}
		if h.r > 0 {
			q.Adapt = &Correction{A: ps[lowA], B: ps[lowB], Scale: 1.3, Dropout: h.drop, Site: d.Site}
		}
		if h.dora {
			q.Adapt.Magnitude = &Magnitude{Param: ps[atM]}
		}
		if h.low {
			q.Adapt.Bias = ps[lowBias]
		}
		sum, _ := LinearCrossEntropy(t, xs[0], Drop{Key: d.Key, Seqs: seqs}, q, labels, h.smoothing)
		return sum
	}
	s.ref = func(xs, ps [][]float64) []float64 {
		q := refProjection{w: wv, out: h.classes, r: h.r, scale: float64(float32(1.3))}
		if atW >= 0 {
			q.w = ps[atW]
		}
		if h.inOut {
			q.w = refTranspose(q.w, in, h.classes)
		}
		if atB >= 0 {
			q.b = ps[atB]
		}
		if h.r > 0 {
			q.lowA, q.lowB = ps[lowA], ps[lowB]
		}
		if h.dora {
			q.m, q.norms = ps[atM], norms
		}
		if h.low {
			q.lowBias = ps[lowBias]
		}
		return []float64{refCrossEntropy(refAffine(xs[0], in, mask, q), labels, nil, float64(h.smoothing))}
	}
	return s
}

// checkpointSample is a block of several functions, run plainly or under Checkpoint.
func checkpointSample(name string, plain bool) sample {
	seqs := ragged()
	n, cols := seqs.Rows(), 6
	r := seedOf("checkpoint")
	s := sample{
		name: "checkpoint/" + name, xs: []leaf{{"x", n, cols, random(r, n*cols, 1)}},
		ps: []leaf{{"w", cols, cols, random(r, cols*cols, 1)}, {"gain", 1, cols, random(r, cols, 1)}},
	}
	d := dropping(0.3, seqs)
	s.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
		block := func(t *Tape, x mat.Tensor) mat.Tensor {
			y := RMSNorm(t, x, &Weight{Rows: 1, Cols: cols, Vector: true, Param: ps[1]}, 1e-5)
			z := Affine(t, y, Drop{}, Projection{Weight: &Weight{Rows: cols, Cols: cols, Param: ps[0]}})
			t.Release(y)
			return Residual(t, x, z, d)
		}
		if plain {
			return block(t, xs[0])
		}
		return t.Checkpoint(xs, func(t *Tape, xs []mat.Tensor) mat.Tensor { return block(t, xs[0]) })
	}
	mask := refMask(d, cols)
	norm := rmsNormSample("inside", n, cols, cols, true, 1e-5)
	s.ref = func(xs, ps [][]float64) []float64 {
		h := refMatMul(norm.ref(xs, ps[1:]), ps[0], n, cols, cols)
		for i := range h {
			h[i] = xs[0][i] + h[i]*mask[i]
		}
		return h
	}
	return s
}

func gateSample(a Activation, rows int) sample {
	cols := 14 * min(rows, 8)
	return unary(fmt.Sprintf("gate/%v %d", a, rows), rows, cols,
		func(t *Tape, x mat.Tensor) mat.Tensor { return Gate(t, x, a) },
		func(x []float64) []float64 {
			var y []float64
			for i := 0; i < len(x); i += cols {
				for j, g := range refActivate(x[i:i+cols/2], a) {
					y = append(y, g*x[i+cols/2+j])
				}
			}
			return y
		})
}

// decoderSample is a block that reads the rows of an encoder and a bias, run plainly or under Checkpoint.
func decoderSample(name string, plain bool) sample {
	queries, keys := ragged(), Seqs{Starts: []int{0, 2, 7, 8}}
	n, m, cols := queries.Rows(), keys.Rows(), 4
	r := seedOf("decoder")
	s := sample{
		name: "checkpoint/" + name,
		xs: []leaf{{"x", n, cols, random(r, n*cols, 1)}, {"memory", m, cols, random(r, m*cols, 1)},
			{"bias", 9, 2, random(r, 18, 1)}},
		ps: []leaf{{"w", cols, cols, random(r, cols*cols, 1)}},
	}
	h := Heads{Q: 2, KV: 2, Dim: 2}
	d := dropping(0.3, queries)
	s.run = func(t *Tape, xs []mat.Tensor, ps []*spago.Param) mat.Tensor {
		block := func(t *Tape, xs []mat.Tensor) mat.Tensor {
			h := h
			h.Bias = Bias{X: xs[2], Low: -4}
			memory := Branch(t, xs[1])
			k := Affine(t, memory, Drop{}, Projection{Weight: &Weight{Rows: cols, Cols: cols, Param: ps[0]}})
			v := Scale(t, memory, 1.5)
			y := Attention(t, Columns{X: xs[0]}, Columns{X: k}, Columns{X: v}, queries, keys, h, d)
			return Add(t, xs[0], y)
		}
		if plain {
			return block(t, xs)
		}
		return t.Checkpoint(xs, block)
	}
	s.ref = func(xs, ps [][]float64) []float64 {
		v := make([]float64, len(xs[1]))
		for i, x := range xs[1] {
			v[i] = 1.5 * x
		}
		k := refMatMul(xs[1], ps[0], m, cols, cols)
		y := refAttention(refColumns{xs[0], cols, 0}, refColumns{k, cols, 0}, refColumns{v, cols, 0}, queries, keys, h, d,
			xs[2], -4)
		for i, x := range xs[0] {
			y[i] += x
		}
		return y
	}
	return s
}

func causalSamples() []sample {
	one, many := Seqs{Starts: []int{0, 1}}, Seqs{Starts: []int{0, 100, 333}, Index: []int{4, 2}}
	later := Seqs{Starts: []int{0, 2, 5}, First: []int{7, 0}, Index: []int{3, 9}}
	labels := []int32{1, Ignore, 0, 6, Ignore, Ignore, 3, 3}
	wide := make([]int32, 333)
	for i := range wide {
		wide[i] = int32(i % 90)
		if i%5 == 0 {
			wide[i] = Ignore
		}
	}
	list := []sample{
		rmsNormSample("frozen", 5, 6, 6, false, 1e-6),
		rmsNormSample("trained", 5, 6, 6, true, 1e-5),
		rmsNormSample("heads", 5, 6, 3, true, 0.1),
		rmsNormSample("one column", 3, 1, 1, true, 0.5),
		rmsNormSample("big", 333, 96, 96, true, 1e-5),
		rotateSample("all", ragged(), 8, 0, 2, 4, 2),
		rotateSample("some columns", ragged(), 11, 2, 2, 4, 2),
		rotateSample("part of a head", ragged(), 8, 0, 2, 4, 1),
		rotateSample("later rows", later, 4, 0, 1, 4, 2),
		rotateSample("big", many, 96, 0, 2, 32, 16),
		residualSample("plain", ragged(), 5, 0),
		residualSample("dropout", ragged(), 5, 0.4),
		residualSample("later rows", later, 5, 0.4),
		residualSample("big", many, 96, 0.2),
		headLossSample("frozen", ragged(), 5, labels, head{classes: 7}),
		headLossSample("BF16", ragged(), 5, labels, head{classes: 7, dtype: BF16}),
		headLossSample("trained", ragged(), 5, labels, head{classes: 7, train: true, bias: true}),
		headLossSample("trained InOut", ragged(), 5, labels, head{classes: 7, train: true, inOut: true}),
		headLossSample("correction", ragged(), 5, labels, head{classes: 7, r: 2}),
		headLossSample("correction dropout", ragged(), 5, labels, head{classes: 7, r: 2, drop: 0.4, train: true}),
		headLossSample("correction bias", ragged(), 5, labels, head{classes: 7, r: 2, drop: 0.4, low: true}),
		headLossSample("smoothing", ragged(), 5, labels, head{classes: 7, train: true, bias: true, smoothing: 0.1}),
		headLossSample("smoothing correction", ragged(), 5, labels, head{classes: 7, r: 2, drop: 0.4, smoothing: 0.6}),
		headLossSample("big smoothing", many, 40, wide, head{classes: 90, r: 4, smoothing: 0.1}),
		headLossSample("magnitude", ragged(), 5, labels, head{classes: 7, r: 2, dora: true, bias: true}),
		headLossSample("magnitude dropout", ragged(), 5, labels,
			head{classes: 7, r: 2, drop: 0.4, dora: true, train: true, inOut: true}),
		headLossSample("no labels", one, 5, []int32{Ignore}, head{classes: 3, r: 1, train: true, bias: true, dora: true}),
		headLossSample("big", many, 40, wide, head{classes: 90, r: 4, drop: 0.1}),
		headLossSample("big magnitude", many, 40, wide, head{classes: 90, r: 4, drop: 0.1, dora: true}),
		checkpointSample("block", false),
		checkpointSample("without", true),
		decoderSample("decoder", false),
		decoderSample("decoder without", true),
	}
	for _, s := range []float32{-0.5, 1, 3} {
		list = append(list, unary(fmt.Sprintf("scale/%g", s), 5, 7,
			func(t *Tape, x mat.Tensor) mat.Tensor { return Scale(t, x, s) },
			func(x []float64) []float64 {
				y := make([]float64, len(x))
				for i := range x {
					y[i] = float64(s) * x[i]
				}
				return y
			}))
	}
	for _, a := range []Activation{GELU, GELUTanh, ReLU, Tanh, SiLU} {
		for _, rows := range []int{1, 8, 500} {
			list = append(list, gateSample(a, rows))
		}
	}
	for _, rows := range []int{1, 8, 500} {
		cols := 14 * min(rows, 8)
		list = append(list, unary(fmt.Sprintf("swiglu/%d", rows), rows, cols,
			func(t *Tape, x mat.Tensor) mat.Tensor { return SwiGLU(t, x) },
			func(x []float64) []float64 {
				var y []float64
				for i := 0; i < len(x); i += cols {
					for j := range cols / 2 {
						g := x[i+j]
						y = append(y, g/(1+math.Exp(-g))*x[i+cols/2+j])
					}
				}
				return y
			}))
	}
	return list
}
