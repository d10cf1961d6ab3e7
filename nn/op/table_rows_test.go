package op

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"
)

// attend describes an attention sample and the layout of its queries, keys and values.
type attend struct {
	name    string
	qs, ks  Seqs
	h       Heads
	drop    float32
	apart   bool // three tensors; otherwise one with the columns side by side, and one column more
	keyPair bool // two tensors: queries; keys and values side by side
	biased  bool // with a bias for the distances low to high
	low     int
	high    int
}

func (a attend) sample() sample {
	r := seedOf(a.name)
	nq, nk := a.qs.Rows(), a.ks.Rows()
	cq, ck := a.h.Q*a.h.Dim, a.h.KV*a.h.Dim
	s := sample{name: "attention/" + a.name, big: nq*nk*cq > 60000}
	var from [3]int // first column of q, k, v
	var in [3]int   // operand of q, k, v
	switch {
	case a.apart:
		s.xs = []leaf{{"q", nq, cq, random(r, nq*cq, 1)}, {"k", nk, ck, random(r, nk*ck, 1)},
			{"v", nk, ck, random(r, nk*ck, 1)}}
		in = [3]int{0, 1, 2}
	case a.keyPair:
		s.xs = []leaf{{"q", nq, cq, random(r, nq*cq, 1)}, {"kv", nk, 2 * ck, random(r, 2*nk*ck, 1)}}
		in, from = [3]int{0, 1, 1}, [3]int{0, 0, ck}
	default:
		s.xs = []leaf{{"qkv", nq, cq + 2*ck + 1, random(r, nq*(cq+2*ck+1), 1)}}
		from = [3]int{1, 1 + cq, 1 + cq + ck}
	}
	d := dropping(a.drop, a.qs)
	if n := a.high - a.low + 1; a.biased {
		s.xs = append(s.xs, leaf{"bias", n, a.h.Q, random(r, n*a.h.Q, 2)})
	}
	s.run = func(t *Tape, xs []mat.Tensor, _ []*spago.Param) mat.Tensor {
		h := a.h
		if a.biased {
			h.Bias = Bias{X: xs[len(xs)-1], Low: a.low}
		}
		var c [3]Columns
		for i := range c {
			c[i] = Columns{X: xs[in[i]], From: from[i]}
		}
		return Attention(t, c[0], c[1], c[2], a.qs, a.ks, h, d)
	}
	s.ref = func(xs, _ [][]float64) []float64 {
		var c [3]refColumns
		for i := range c {
			c[i] = refColumns{xs[in[i]], s.xs[in[i]].cols, from[i]}
		}
		var bias []float64
		if a.biased {
			bias = xs[len(xs)-1]
		}
		return refAttention(c[0], c[1], c[2], a.qs, a.ks, a.h, d, bias, a.low)
	}
	return s
}

func attentionSamples() []sample {
	self := ragged()
	keys := Seqs{Starts: []int{0, 2, 7, 8}, Index: self.Index}
	kept := Seqs{Starts: []int{0, 1, 2, 3}, Index: self.Index}
	later := Seqs{Starts: []int{0, 1, 2, 4}, First: []int{2, 0, 2}, Index: self.Index}
	gap := Seqs{Starts: []int{0, 3, 3, 8}}
	noKeys := Seqs{Starts: []int{0, 4, 6, 6}}
	long := Seqs{Starts: []int{0, 290, 300}, Index: []int{5, 6}}
	longQ := Seqs{Starts: []int{0, 150}}
	plain, grouped := Heads{Q: 2, KV: 2, Dim: 3}, Heads{Q: 4, KV: 2, Dim: 2}
	causal, groupedCausal := plain, grouped
	causal.Causal, groupedCausal.Causal = true, true
	var list []sample
	for _, a := range []attend{
		{name: "columns", qs: self, ks: self, h: plain},
		{name: "columns dropout", qs: self, ks: self, h: plain, drop: 0.3},
		{name: "apart", qs: self, ks: self, h: plain, apart: true},
		{name: "apart dropout", qs: self, ks: self, h: plain, apart: true, drop: 0.5},
		{name: "scale", qs: self, ks: self, h: Heads{Q: 2, KV: 2, Dim: 3, Scale: 1.25}, apart: true},
		{name: "causal", qs: self, ks: self, h: causal},
		{name: "causal dropout", qs: self, ks: self, h: causal, drop: 0.3, apart: true},
		{name: "window", qs: self, ks: self, h: Heads{Q: 2, KV: 2, Dim: 3, Causal: true, Window: 2}},
		{name: "window dropout", qs: self, ks: self, h: Heads{Q: 2, KV: 1, Dim: 3, Causal: true, Window: 3}, drop: 0.3,
			apart: true},
		{name: "window of one", qs: self, ks: self, h: Heads{Q: 2, KV: 2, Dim: 3, Causal: true, Window: 1}},
		{name: "window later rows", qs: later, ks: self, h: Heads{Q: 2, KV: 2, Dim: 3, Causal: true, Window: 2},
			keyPair: true},
		{name: "grouped", qs: self, ks: self, h: grouped},
		{name: "grouped dropout", qs: self, ks: self, h: grouped, drop: 0.3},
		{name: "grouped causal", qs: self, ks: self, h: groupedCausal, apart: true},
		{name: "one key head", qs: self, ks: self, h: Heads{Q: 4, KV: 1, Dim: 2}},
		{name: "cross", qs: self, ks: keys, h: plain, apart: true},
		{name: "cross grouped dropout", qs: self, ks: keys, h: grouped, apart: true, drop: 0.2},
		{name: "kept rows", qs: kept, ks: self, h: plain, keyPair: true},
		{name: "kept rows dropout", qs: kept, ks: self, h: plain, keyPair: true, drop: 0.4},
		{name: "later rows causal", qs: later, ks: self, h: causal, keyPair: true},
		{name: "later rows causal dropout", qs: later, ks: self, h: causal, keyPair: true, drop: 0.4},
		{name: "empty segment", qs: gap, ks: gap, h: plain},
		{name: "no queries for keys", qs: gap, ks: keys, h: plain, apart: true},
		{name: "no keys for queries", qs: self, ks: noKeys, h: plain, apart: true},
		{name: "one row", qs: Seqs{Starts: []int{0, 1}}, ks: Seqs{Starts: []int{0, 1}}, h: plain},
		{name: "one column", qs: self, ks: self, h: Heads{Q: 1, KV: 1, Dim: 1}},
		{name: "several blocks", qs: longQ, ks: longQ, h: Heads{Q: 1, KV: 1, Dim: 2}, drop: 0.1},
		{name: "several blocks causal", qs: longQ, ks: longQ, h: Heads{Q: 1, KV: 1, Dim: 2, Causal: true}},
		{name: "several blocks window", qs: longQ, ks: longQ, h: Heads{Q: 1, KV: 1, Dim: 2, Causal: true, Window: 40},
			drop: 0.1},
		{name: "bias", qs: self, ks: self, h: Heads{Q: 2, KV: 2, Dim: 3, Scale: 1}, biased: true, low: -3, high: 3},
		{name: "bias apart dropout", qs: self, ks: self, h: plain, apart: true, drop: 0.3, biased: true, low: -5, high: 4},
		{name: "bias causal", qs: self, ks: self, h: causal, biased: true, low: -3},
		{name: "bias causal dropout", qs: self, ks: self, h: causal, drop: 0.3, apart: true, biased: true, low: -4},
		{name: "bias grouped window", qs: self, ks: self, h: Heads{Q: 4, KV: 2, Dim: 2, Causal: true, Window: 2},
			biased: true, low: -1},
		{name: "bias cross", qs: self, ks: keys, h: grouped, apart: true, drop: 0.2, biased: true, low: -4, high: 4},
		{name: "bias later rows", qs: later, ks: self, h: causal, keyPair: true, biased: true, low: -3},
		{name: "bias kept rows", qs: kept, ks: self, h: plain, keyPair: true, biased: true, high: 3},
		{name: "bias empty segment", qs: gap, ks: gap, h: plain, biased: true, low: -4, high: 4},
		{name: "bias no keys for queries", qs: self, ks: noKeys, h: plain, apart: true, biased: true, low: -3, high: 3},
		{name: "bias several blocks", qs: longQ, ks: longQ, h: Heads{Q: 1, KV: 1, Dim: 2, Causal: true}, drop: 0.1,
			biased: true, low: -149},
		{name: "bias big", qs: long, ks: long, h: Heads{Q: 4, KV: 2, Dim: 8}, drop: 0.1, biased: true, low: -289, high: 289},
		{name: "big", qs: long, ks: long, h: Heads{Q: 4, KV: 2, Dim: 8}, drop: 0.1},
		{name: "big window", qs: long, ks: long, h: Heads{Q: 4, KV: 2, Dim: 8, Causal: true, Window: 33}, drop: 0.1},
		{name: "big causal", qs: long, ks: long, h: Heads{Q: 4, KV: 2, Dim: 8, Causal: true}, apart: true},
	} {
		list = append(list, a.sample())
	}
	return list
}

// unary returns a sample of a function with one operand.
func unary(name string, rows, cols int, run func(t *Tape, x mat.Tensor) mat.Tensor,
	ref func(x []float64) []float64) sample {
	return sample{
		name: name, big: rows*cols > 2000,
		xs:  []leaf{{"x", rows, cols, random(seedOf(name), rows*cols, 2)}},
		run: func(t *Tape, xs []mat.Tensor, _ []*spago.Param) mat.Tensor { return run(t, xs[0]) },
		ref: func(xs, _ [][]float64) []float64 { return ref(xs[0]) },
	}
}

func rowSamples() []sample {
	var list []sample
	for _, a := range []Activation{GELU, GELUTanh, ReLU, Tanh, SiLU} {
		for _, rows := range []int{1, 8, 500} {
			list = append(list, unary(fmt.Sprintf("activate/%v %d", a, rows), rows, 7*min(rows, 8),
				func(t *Tape, x mat.Tensor) mat.Tensor { return Activate(t, x, a) },
				func(x []float64) []float64 { return refActivate(x, a) }))
		}
	}
	for _, seqs := range []Seqs{ragged(), {Starts: []int{0, 1}}, {Starts: []int{0, 2, 5}, First: []int{7, 0}},
		{Starts: []int{0, 100, 400}}} {
		d := dropping(0.35, seqs)
		mask := refMask(d, 11)
		list = append(list, unary(fmt.Sprintf("dropout/%d rows", seqs.Rows()), seqs.Rows(), 11,
			func(t *Tape, x mat.Tensor) mat.Tensor { return Dropout(t, x, d) },
			func(x []float64) []float64 {
				y := make([]float64, len(x))
				for i := range x {
					y[i] = x[i] * mask[i]
				}
				return y
			}))
	}
	list = append(list, unary("sum", 5, 3, Sum, func(x []float64) []float64 {
		total := 0.0
		for _, v := range x {
			total += v
		}
		return []float64{total}
	}))
	pick := []int{4, 0, 4, 2}
	list = append(list, unary("rows", 5, 3,
		func(t *Tape, x mat.Tensor) mat.Tensor { return Rows(t, x, pick) },
		func(x []float64) []float64 {
			var y []float64
			for _, r := range pick {
				y = append(y, x[3*r:3*r+3]...)
			}
			return y
		}))
	list = append(list, unary("add/twice the same", 4, 3,
		func(t *Tape, x mat.Tensor) mat.Tensor { return Add(t, x, x) },
		func(x []float64) []float64 {
			y := make([]float64, len(x))
			for i := range x {
				y[i] = 2 * x[i]
			}
			return y
		}))
	for _, w := range []Window{{3, 1, 1}, {3, 2, 1}, {2, 3, 0}, {4, 1, 3}, {1, 1, 0}} {
		s := Seqs{Starts: []int{0, 5, 5, 6, 10}}
		list = append(list, unary(fmt.Sprintf("unfold/%d %d %d", w.Size, w.Stride, w.Padding), 10, 3,
			func(t *Tape, x mat.Tensor) mat.Tensor { return Unfold(t, x, s, w) },
			func(x []float64) []float64 { return refUnfold(x, 3, s, w) }))
	}
	for _, n := range []int{1, 2, 3} {
		s := sample{name: fmt.Sprintf("add/%d", n)}
		for i := range n {
			s.xs = append(s.xs, leaf{fmt.Sprintf("x%d", i), 4, 3, random(seedOf(fmt.Sprint("add", i)), 12, 1)})
		}
		s.run = func(t *Tape, xs []mat.Tensor, _ []*spago.Param) mat.Tensor { return Add(t, xs...) }
		s.ref = func(xs, _ [][]float64) []float64 {
			y := make([]float64, 12)
			for _, x := range xs {
				for i := range y {
					y[i] += x[i]
				}
			}
			return y
		}
		list = append(list, s)
	}
	return list
}

func lossSamples() []sample {
	var list []sample
	weights := []float32{0.5, 2, 0, 1.25}
	for _, c := range []struct {
		name      string
		labels    []int32
		k         int
		weights   []float32
		smoothing float32
	}{
		{"plain", []int32{1, 3, 0}, 4, nil, 0},
		{"ignore", []int32{1, Ignore, 0}, 4, nil, 0},
		{"all ignored", []int32{Ignore, Ignore}, 4, nil, 0.1},
		{"smoothing", []int32{1, 3, Ignore}, 4, nil, 0.1},
		{"weights", []int32{1, 3, 2}, 4, weights, 0},
		{"weights smoothing ignore", []int32{1, 3, Ignore, 2}, 4, weights, 0.2},
		{"one row", []int32{1}, 2, nil, 0},
		{"one class", []int32{0, 0}, 1, nil, 0.1},
	} {
		list = append(list, unary("cross entropy/"+c.name, len(c.labels), c.k,
			func(t *Tape, x mat.Tensor) mat.Tensor {
				sum, _ := CrossEntropy(t, x, c.labels, CrossEntropyConfig{ClassWeights: c.weights, Smoothing: c.smoothing})
				return sum
			},
			func(x []float64) []float64 {
				var w []float64
				if c.weights != nil {
					w = wide(c.weights)
				}
				return []float64{refCrossEntropy(x, c.labels, w, float64(c.smoothing))}
			}))
	}
	for _, c := range []struct {
		name   string
		starts []int
		labels []int32
	}{
		{"choices", []int{0, 4, 6, 7}, []int32{2, 0, 0}},
		{"spans", []int{0, 3, 8}, []int32{2, 0, 1, 4}},
		{"ignore", []int{0, 3, 8}, []int32{Ignore, 0, 1, Ignore}},
		{"all ignored", []int{0, 2}, []int32{Ignore}},
		{"no groups", []int{0}, nil},
	} {
		k := max(1, len(c.labels)/max(1, len(c.starts)-1))
		list = append(list, unary("group cross entropy/"+c.name, c.starts[len(c.starts)-1], k,
			func(t *Tape, x mat.Tensor) mat.Tensor {
				sum, _ := GroupCrossEntropy(t, x, c.starts, c.labels)
				return sum
			},
			func(x []float64) []float64 { return []float64{refGroupCrossEntropy(x, c.starts, c.labels, k)} }))
	}
	for _, size := range [][2]int{{1, 1}, {3, 4}} {
		n := size[0] * size[1]
		target := make([]float32, n)
		for i := range target {
			target[i] = []float32{0, 1, 0.3}[i%3]
		}
		list = append(list,
			unary(fmt.Sprintf("bce/%d×%d", size[0], size[1]), size[0], size[1],
				func(t *Tape, x mat.Tensor) mat.Tensor { return BCEWithLogits(t, x, target) },
				func(x []float64) []float64 { return []float64{refBCE(x, wide(target))} }),
			unary(fmt.Sprintf("mse/%d×%d", size[0], size[1]), size[0], size[1],
				func(t *Tape, x mat.Tensor) mat.Tensor { return MSE(t, x, target) },
				func(x []float64) []float64 { return []float64{refMSE(x, wide(target))} }))
	}
	return list
}
