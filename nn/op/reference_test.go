package op

import (
	"math"

	"github.com/spalora/spalora/internal/kernel"
)

// The functions of this file are the definitions that the operators are compared with: plain float64 loops written from
// the formulas, which share only the dropout generator with the package.

// refMask returns the factor of every element of an N×cols matrix under dropout: 0 or 1/(1−p).
func refMask(d Drop, cols int) []float64 {
	rows := d.Seqs.Starts[len(d.Seqs.Starts)-1]
	f := make([]float64, rows*cols)
	for i := range f {
		f[i] = 1
	}
	if d.P == 0 {
		return f
	}
	for s := 0; s+1 < len(d.Seqs.Starts); s++ {
		example, first := s, 0
		if d.Seqs.Index != nil {
			example = d.Seqs.Index[s]
		}
		if d.Seqs.First != nil {
			first = d.Seqs.First[s]
		}
		for n := d.Seqs.Starts[s]; n < d.Seqs.Starts[s+1]; n++ {
			site := kernel.Site{Op: d.Site, Example: uint32(example), Row: uint32(first + n - d.Seqs.Starts[s])}
			copy(f[n*cols:(n+1)*cols], maskRow(d.Key, site, 0, cols, d.P))
		}
	}
	return f
}

func maskRow(k kernel.Key, s kernel.Site, first, n int, p float32) []float64 {
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	kernel.Dropout(ones, ones, k, s, first, p)
	f := make([]float64, n)
	for i, v := range ones {
		if v != 0 {
			f[i] = 1 / (1 - float64(p))
		}
	}
	return f
}

// refMatMul returns a·bᵀ: a is n×k, b is m×k.
func refMatMul(a, b []float64, n, m, k int) []float64 {
	y := make([]float64, n*m)
	for i := range n {
		for j := range m {
			for l := range k {
				y[i*m+j] += a[i*k+l] * b[j*k+l]
			}
		}
	}
	return y
}

// refTranspose returns the transpose, cols×rows, of rows×cols values.
func refTranspose(x []float64, rows, cols int) []float64 {
	y := make([]float64, len(x))
	for i := range rows {
		for j := range cols {
			y[j*rows+i] = x[i*cols+j]
		}
	}
	return y
}

// refProjection is one projection of refAffine: w is out×in; all others may be nil. m are the magnitudes, and norms
// the constants that they are divided by.
type refProjection struct {
	w, b, lowA, lowB, lowBias, m, norms []float64
	out, r                              int
	scale                               float64
}

// refNorms returns the norms over the inputs of w + scale·b·a: w is out×in, a r×in, b out×r.
func refNorms(w, a, b []float64, out, in, r int, scale float64) []float64 {
	n := make([]float64, out)
	for j := range out {
		for i := range in {
			v := w[j*in+i]
			for k := range r {
				v += scale * b[j*r+k] * a[k*in+i]
			}
			n[j] += v * v
		}
		n[j] = math.Sqrt(n[j])
	}
	return n
}

func refAffine(x []float64, in int, mask []float64, ps ...refProjection) []float64 {
	n := len(x) / in
	width := 0
	for _, p := range ps {
		width += p.out
	}
	dropped := make([]float64, len(x))
	for i := range x {
		dropped[i] = x[i] * mask[i]
	}
	y := make([]float64, n*width)
	at := 0
	for _, p := range ps {
		base, masked := refMatMul(x, p.w, n, p.out, in), refMatMul(dropped, p.w, n, p.out, in)
		var low []float64
		if p.lowA != nil {
			low = refMatMul(refMatMul(dropped, p.lowA, n, p.r, in), p.lowB, n, p.out, p.r)
		}
		for i := range n {
			for j := range p.out {
				v := base[i*p.out+j]
				if p.b != nil {
					v += p.b[j]
				}
				gain := 1.0
				if p.m != nil {
					gain = p.m[j] / p.norms[j]
					v += (gain - 1) * masked[i*p.out+j]
				}
				if low != nil {
					v += gain * p.scale * low[i*p.out+j]
				}
				if p.lowBias != nil {
					v += p.scale * p.lowBias[j]
				}
				y[i*width+at+j] = v
			}
		}
		at += p.out
	}
	return y
}

func refEmbedding(ids []int32, w []float64, rows, cols int, a, b []float64, r int, scale float64) []float64 {
	y := make([]float64, len(ids)*cols)
	for n, id := range ids {
		for j := range cols {
			v := w[int(id)*cols+j]
			for i := range r {
				v += scale * a[i*rows+int(id)] * b[j*r+i]
			}
			y[n*cols+j] = v
		}
	}
	return y
}

func refLayerNorm(x, h, mask, gain, bias []float64, eps float64) []float64 {
	c := len(gain)
	y := make([]float64, len(x))
	for n := 0; n < len(x); n += c {
		z := make([]float64, c)
		mean, variance := 0.0, 0.0
		for j := range c {
			z[j] = x[n+j]
			if h != nil {
				z[j] += h[n+j] * mask[n+j]
			}
			mean += z[j] / float64(c)
		}
		for j := range c {
			variance += (z[j] - mean) * (z[j] - mean) / float64(c)
		}
		for j := range c {
			y[n+j] = (z[j]-mean)/math.Sqrt(variance+eps)*gain[j] + bias[j]
		}
	}
	return y
}

// refUnfold returns the windows over the rows of each segment, column after column.
func refUnfold(x []float64, cols int, s Seqs, w Window) []float64 {
	var y []float64
	for i := range s.Len() {
		first, end := s.Starts[i]-w.Padding, s.Starts[i+1]+w.Padding
		for ; first+w.Size <= end; first += w.Stride {
			for c := range cols {
				for row := first; row < first+w.Size; row++ {
					if row < s.Starts[i] || row >= s.Starts[i+1] {
						y = append(y, 0)
					} else {
						y = append(y, x[row*cols+c])
					}
				}
			}
		}
	}
	return y
}

func refActivate(x []float64, a Activation) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		switch a {
		case GELU:
			y[i] = v / 2 * (1 + math.Erf(v/math.Sqrt2))
		case GELUTanh:
			y[i] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
		case ReLU:
			y[i] = math.Max(v, 0)
		case Tanh:
			y[i] = math.Tanh(v)
		case SiLU:
			y[i] = v / (1 + math.Exp(-v))
		}
	}
	return y
}

// refColumns is a range of columns of a matrix of width cols.
type refColumns struct {
	x          []float64
	cols, from int
}

func (c refColumns) at(row, col int) float64 { return c.x[row*c.cols+c.from+col] }

// refAttention adds bias, distances×heads from the distance low on, unless it is nil.
func refAttention(q, k, v refColumns, qs, ks Seqs, h Heads, drop Drop, bias []float64, low int) []float64 {
	width := h.Q * h.Dim
	y := make([]float64, qs.Starts[len(qs.Starts)-1]*width)
	scale := float64(h.Scale)
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(h.Dim))
	}
	for s := 0; s+1 < len(qs.Starts); s++ {
		q0, k0, nk := qs.Starts[s], ks.Starts[s], ks.Starts[s+1]-ks.Starts[s]
		firstQ, firstK, example := 0, 0, s
		if qs.First != nil {
			firstQ = qs.First[s]
		}
		if ks.First != nil {
			firstK = ks.First[s]
		}
		if qs.Index != nil {
			example = qs.Index[s]
		}
		for i := q0; i < qs.Starts[s+1]; i++ {
			position := firstQ + i - q0
			for head := range h.Q {
				kv := head / (h.Q / h.KV)
				seen, from := nk, 0
				if h.Causal {
					seen = max(0, min(nk, position-firstK+1))
				}
				if h.Window > 0 {
					from = max(0, position-firstK+1-h.Window)
				}
				p := make([]float64, seen)
				top, sum := math.Inf(-1), 0.0
				for j := range p {
					if j < from {
						p[j] = math.Inf(-1)
						continue
					}
					for d := range h.Dim {
						p[j] += scale * q.at(i, head*h.Dim+d) * k.at(k0+j, kv*h.Dim+d)
					}
					if bias != nil {
						p[j] += bias[(firstK+j-position-low)*h.Q+head]
					}
					top = math.Max(top, p[j])
				}
				for j := range p {
					p[j] = math.Exp(p[j] - top)
					sum += p[j]
				}
				mask := refAttentionMask(drop, example, head, position, firstK, nk)
				for j := range p {
					for d := range h.Dim {
						y[i*width+head*h.Dim+d] += p[j] / sum * mask[j] * v.at(k0+j, kv*h.Dim+d)
					}
				}
			}
		}
	}
	return y
}

// refAttentionMask returns the mask of one query's probabilities: head and position of the query select the row of the
// random stream, the positions of the keys its columns.
func refAttentionMask(d Drop, example, head, position, firstKey, keys int) []float64 {
	if d.P == 0 {
		ones := make([]float64, keys)
		for i := range ones {
			ones[i] = 1
		}
		return ones
	}
	site := kernel.Site{Op: d.Site, Example: uint32(example), Row: uint32(head<<20 + position)}
	return maskRow(d.Key, site, firstKey, keys, d.P)
}

func refGroupCrossEntropy(x []float64, starts []int, labels []int32, k int) float64 {
	sum := 0.0
	for i, y := range labels {
		if y == Ignore {
			continue
		}
		var column []float64
		for row := starts[i/k]; row < starts[i/k+1]; row++ {
			column = append(column, x[row*k+i%k])
		}
		sum += refCrossEntropy(column, []int32{y}, nil, 0)
	}
	return sum
}

func refCrossEntropy(x []float64, labels []int32, weights []float64, smoothing float64) float64 {
	k := len(x) / len(labels)
	if weights == nil {
		weights = make([]float64, k)
		for i := range weights {
			weights[i] = 1
		}
	}
	sum := 0.0
	for n, y := range labels {
		if y == -100 {
			continue
		}
		z := 0.0
		for j := range k {
			z += math.Exp(x[n*k+j])
		}
		for j := range k {
			logp := x[n*k+j] - math.Log(z)
			sum -= smoothing / float64(k) * weights[j] * logp
			if int32(j) == y {
				sum -= (1 - smoothing) * weights[j] * logp
			}
		}
	}
	return sum
}

func refBCE(x, target []float64) float64 {
	sum := 0.0
	for i, v := range x {
		p := 1 / (1 + math.Exp(-v))
		sum -= target[i]*math.Log(p) + (1-target[i])*math.Log(1-p)
	}
	return sum
}

func refMSE(x, target []float64) float64 {
	sum := 0.0
	for i, v := range x {
		sum += (v - target[i]) * (v - target[i])
	}
	return sum
}
