package nn

import (
	"github.com/nlpodyssey/spago/mat"

	"github.com/spalora/spalora/nn/op"
)

// Attention is multi-head attention within each sequence of the pass. It has no weights.
type Attention struct {
	Heads, KV int     // query heads; key and value heads
	Dim       int     // columns of one head
	Causal    bool    // a row sees itself and earlier rows
	Window    int     // with Causal: the nearest Window rows only; 0: no limit
	Scale     float32 // factor of the products; 0: 1/√Dim
	Layer     int     // index of the layer in the pass's cache

	// QueryNorm and KeyNorm normalise each head before it rotates; nil: no normalisation. They belong to the model.
	QueryNorm, KeyNorm *RMSNorm
}

// heads are the queries, keys and values of a pass, each a range of columns of a tensor.
type heads struct {
	q, k, v op.Columns
	made    []mat.Tensor // tensors to release afterwards
}

// Forward projects x (N×C) to queries, keys and values and returns the context, N×Heads·Dim, or only the rows of it
// that p.Keep lists. d drops attention probabilities.
func (a Attention) Forward(p *Pass, x mat.Tensor, query, key, value *Linear, d Dropout) mat.Tensor {
	pk := p
	nq, nk := a.Heads*a.Dim, a.KV*a.Dim
	var h heads
	switch {
	case a.QueryNorm != nil:
		h, pk = a.normed(p, x, query, key, value)
	case p.Keep == nil:
		qkv := a.rotate(p, Project(p, x, query, key, value), 0, a.Heads+a.KV)
		h = heads{
			q: op.Columns{X: qkv, Constant: query.constant(p, x)},
			k: op.Columns{X: qkv, From: nq, Constant: key.constant(p, x)},
			v: op.Columns{X: qkv, From: nq + nk, Constant: value.constant(p, x)}, made: []mat.Tensor{qkv},
		}
	default:
		var kept mat.Tensor
		kept, pk = p.KeptRows(x)
		site := sharedSite(p, query, key, value)
		q := a.rotate(pk, project(pk, kept, site, query), 0, a.Heads)
		kv := a.rotate(p, project(p, x, site, key, value), 0, a.KV)
		h = heads{q: op.Columns{X: q}, k: op.Columns{X: kv}, v: op.Columns{X: kv, From: nk}, made: []mat.Tensor{kept, q, kv}}
	}
	return a.attend(p, pk, h, d)
}

// Fused projects x (N×C) to queries, keys and values with the single layer qkv (GPT-2's c_attn) and returns the
// context, N×Heads·Dim, or only the rows of it that p.Keep lists. d drops attention probabilities. It ignores
// QueryNorm and KeyNorm.
func (a Attention) Fused(p *Pass, x mat.Tensor, qkv *Linear, d Dropout) mat.Tensor {
	c := a.Heads * a.Dim
	y := a.rotate(p, qkv.Forward(p, x), 0, a.Heads+a.KV)
	h := heads{q: op.Columns{X: y}, k: op.Columns{X: y, From: c}, v: op.Columns{X: y, From: c + a.KV*a.Dim},
		made: []mat.Tensor{y}}
	pk := p
	if p.Keep != nil {
		pk = p.chosen()
		h.q.X = op.Rows(p.Tape, y, p.Keep.Rows)
		h.made = append(h.made, h.q.X)
	}
	return a.attend(p, pk, h, d)
}

// Cross projects x (N×C) to queries and the rows of p.Memory (M×C) to keys and values, and returns the context,
// N×Heads·Dim: segment i of p.Seqs reads segment i of the memory. d drops attention probabilities. With a cache, the
// first call for a sequence stores its keys and values, and later calls read these, so that they need no memory.
// Cross ignores Causal, Window, QueryNorm, KeyNorm and p.Bias.
func (a Attention) Cross(p *Pass, x mat.Tensor, query, key, value *Linear, d Dropout) mat.Tensor {
	o := op.Heads{Q: a.Heads, KV: a.KV, Dim: a.Dim, Scale: a.Scale}
	q := op.Columns{X: query.Forward(p, x)}
	var y mat.Tensor
	if p.Cache != nil && p.Cache.crossed(a.Layer) {
		y = op.CachedAttention(p.Tape, q, p.Seqs, p.Cache.cross(a.Layer), o)
	} else {
		memory := p.Memory.X
		kv := Project(p.With(p.Memory.Seqs), memory, key, value)
		k := op.Columns{X: kv, Constant: key.constant(p, memory)}
		v := op.Columns{X: kv, From: a.KV * a.Dim, Constant: value.constant(p, memory)}
		if p.Cache != nil {
			p.Cache.remember(a.Layer, p.Memory.Seqs, k, v)
		}
		y = op.Attention(p.Tape, q, k, v, p.Seqs, p.Memory.Seqs, o, p.drop(d))
		p.Tape.Release(kv)
	}
	p.Tape.Release(q.X)
	return y
}

// normed projects x to queries, keys and values, and normalises each query and key head. It also returns the pass of
// the queries.
func (a Attention) normed(p *Pass, x mat.Tensor, query, key, value *Linear) (heads, *Pass) {
	kept, pk := p.KeptRows(x)
	made := []mat.Tensor{kept}
	if p.Keep == nil {
		made = nil
	}
	site := sharedSite(p, query, key, value)
	through := func(p *Pass, l *Linear, n *RMSNorm, x mat.Tensor, count int) mat.Tensor {
		y := project(p, x, site, l)
		z := a.rotate(p, n.Forward(p, y), 0, count)
		p.Tape.Release(y)
		made = append(made, z)
		return z
	}
	q := through(pk, query, a.QueryNorm, kept, a.Heads)
	k := through(p, key, a.KeyNorm, x, a.KV)
	v := project(p, x, site, value)
	return heads{op.Columns{X: q}, op.Columns{X: k}, op.Columns{X: v}, append(made, v)}, pk
}

// rotate rotates count heads of x, starting at column from, by the angles of their rows, if the pass has angles.
func (a Attention) rotate(p *Pass, x mat.Tensor, from, count int) mat.Tensor {
	if p.Rotary == nil {
		return x
	}
	y := op.Rotate(p.Tape, x, true, from, count, a.Dim, p.Rotary)
	p.Tape.Release(x)
	return y
}

// attend computes the context; pk is the pass of the queries, p that of keys and values.
func (a Attention) attend(p, pk *Pass, h heads, d Dropout) mat.Tensor {
	o := op.Heads{Q: a.Heads, KV: a.KV, Dim: a.Dim, Causal: a.Causal, Window: a.Window, Scale: a.Scale, Bias: p.Bias}
	var y mat.Tensor
	var past []op.Past
	if p.Cache != nil {
		past = p.Cache.extend(a.Layer, p.Seqs, h.k, h.v)
	}
	if past == nil || p.Cache.empty() { // there are no rows but those of the batch
		y = op.Attention(p.Tape, h.q, h.k, h.v, pk.Seqs, p.Seqs, o, pk.drop(d))
	} else {
		y = op.CachedAttention(p.Tape, h.q, pk.Seqs, past, o)
	}
	for _, x := range h.made {
		p.Tape.Release(x)
	}
	return y
}
