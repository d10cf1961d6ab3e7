package nn

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// Linear is y = x·Wᵀ + b: N×in to N×out (torch.nn.Linear).
type Linear struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // out×in
	Bias   *op.Weight `hf:"bias"`   // out; nil: none
}

// NewLinear returns a layer with empty weights.
func NewLinear(in, out int, bias bool) *Linear {
	l := &Linear{Weight: op.NewMatrix(out, in)}
	if bias {
		l.Bias = op.NewVector(out)
	}
	return l
}

// Forward computes y, with the adapter's correction if the pass has one.
func (l *Linear) Forward(p *Pass, x mat.Tensor) mat.Tensor { return Project(p, x, l) }

// Describe prints the layer as PyTorch does.
func (l *Linear) Describe() string {
	bias := "False"
	if l.Bias != nil {
		bias = "True"
	}
	return fmt.Sprintf("Linear(in_features=%d, out_features=%d, bias=%s)", l.Weight.Cols, l.Weight.Rows, bias)
}

// Project computes several layers of one input, their results side by side: N×in to N×Σout.
func Project(p *Pass, x mat.Tensor, ls ...*Linear) mat.Tensor {
	ps := make([]op.Projection, len(ls))
	for i, l := range ls {
		ps[i] = op.Projection{Weight: p.weight(l.Weight), Bias: p.weight(l.Bias), Adapt: p.correction(l.Weight)}
	}
	return op.Affine(p.Tape, x, p.adapterDrop(), ps...)
}

// FeedForward computes down(a(up(x))): N×C to N×F to N×C. The N×F values go back to the arena as soon as they may.
func FeedForward(p *Pass, x mat.Tensor, up *Linear, a *Activation, down *Linear) mat.Tensor {
	h := up.Forward(p, x)
	g := a.Forward(p, h)
	p.Tape.Drop(h)
	y := down.Forward(p, g)
	p.Tape.Drop(g)
	return y
}

// Embedding is a table of V rows: ids to N×C (torch.nn.Embedding).
type Embedding struct {
	spago.Module
	Weight  *op.Weight `hf:"weight"` // V×C
	Padding int        `hf:"-"`      // padding_idx: its row gets no gradient; op.NoPadding if there is none
}

// NewEmbedding returns an empty table.
func NewEmbedding(rows, cols, padding int) *Embedding {
	return &Embedding{Weight: op.NewMatrix(rows, cols), Padding: padding}
}

// Forward looks ids up, with the adapter's correction if the pass has one.
func (e *Embedding) Forward(p *Pass, ids []int32) mat.Tensor {
	return op.Embedding(p.Tape, ids, p.weight(e.Weight), p.correction(e.Weight), e.Padding)
}

// Describe prints the table as PyTorch does.
func (e *Embedding) Describe() string {
	if e.Padding == op.NoPadding {
		return fmt.Sprintf("Embedding(%d, %d)", e.Weight.Rows, e.Weight.Cols)
	}
	return fmt.Sprintf("Embedding(%d, %d, padding_idx=%d)", e.Weight.Rows, e.Weight.Cols, e.Padding)
}

// LayerNorm normalises rows of C values (torch.nn.LayerNorm).
type LayerNorm struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // gain
	Bias   *op.Weight `hf:"bias"`
	Eps    float32    `hf:"-"`
}

// NewLayerNorm returns a layer with empty weights.
func NewLayerNorm(cols int, eps float32) *LayerNorm {
	return &LayerNorm{Weight: op.NewVector(cols), Bias: op.NewVector(cols), Eps: eps}
}

// Forward computes the normalised rows of x.
func (l *LayerNorm) Forward(p *Pass, x mat.Tensor) mat.Tensor {
	return l.Residual(p, x, nil, Dropout{})
}

// Residual computes the normalised rows of x + drop(h) in one pass.
func (l *LayerNorm) Residual(p *Pass, x, h mat.Tensor, d Dropout) mat.Tensor {
	return op.LayerNorm(p.Tape, x, h, p.drop(d), p.weight(l.Weight), p.weight(l.Bias), l.Eps)
}

// Describe prints the layer as PyTorch does.
func (l *LayerNorm) Describe() string {
	return fmt.Sprintf("LayerNorm((%d,), eps=%s, elementwise_affine=True, bias=True)", l.Weight.Cols, PythonFloat(l.Eps))
}

// Dropout is a place where training sets elements to zero. Site tells places apart; [Number] assigns it.
type Dropout struct {
	spago.Module
	P    float32
	Site uint32
}

// Forward applies dropout to x (N×C) if the pass trains.
func (d *Dropout) Forward(p *Pass, x mat.Tensor) mat.Tensor { return op.Dropout(p.Tape, x, p.drop(*d)) }

// Describe prints the layer as PyTorch does.
func (d *Dropout) Describe() string {
	return fmt.Sprintf("Dropout(p=%s, inplace=False)", PythonFloat(d.P))
}

// Activation is an element-wise function with a place in the printed tree.
type Activation struct {
	spago.Module
	Func  op.Activation
	class string
}

// NewActivation returns the function that config.json names, such as gelu, gelu_new or relu; unknown names are an error.
func NewActivation(name string) (*Activation, error) {
	f, err := op.ParseActivation(name)
	if err != nil {
		return nil, err
	}
	class, ok := map[string]string{"gelu_new": "NewGELUActivation", "gelu_pytorch_tanh": "GELUTanh", "gelu_fast": "FastGELUActivation",
		"gelu_accurate": "AccurateGELUActivation", "relu": "ReLU", "tanh": "Tanh"}[name]
	if !ok {
		class = "GELUActivation"
	}
	return &Activation{Func: f, class: class}, nil
}

// Forward applies the function to every element of x.
func (a *Activation) Forward(p *Pass, x mat.Tensor) mat.Tensor {
	return op.Activate(p.Tape, x, a.Func)
}

// Describe prints the function as PyTorch and transformers name its module.
func (a *Activation) Describe() string { return a.class + "()" }

// Attention is multi-head attention over the sequences of the pass; it has no weights.
type Attention struct {
	Heads, KV int // query heads; key and value heads
	Dim       int // columns of one head
	Causal    bool
}

// Forward projects x (N×C) to queries, keys and values and computes the context (N×Heads·Dim, or the kept rows of it).
func (a Attention) Forward(p *Pass, x mat.Tensor, query, key, value *Linear, d Dropout) mat.Tensor {
	h := op.Heads{Q: a.Heads, KV: a.KV, Dim: a.Dim, Causal: a.Causal}
	nq, nk := a.Heads*a.Dim, a.KV*a.Dim
	if p.Keep == nil {
		qkv := Project(p, x, query, key, value)
		y := op.Attention(p.Tape, op.Columns{X: qkv}, op.Columns{X: qkv, From: nq}, op.Columns{X: qkv, From: nq + nk}, p.Seqs, p.Seqs, h, p.drop(d))
		p.Tape.Drop(qkv)
		return y
	}
	kept, pk := p.kept(x)
	q, kv := query.Forward(pk, kept), Project(p, x, key, value)
	y := op.Attention(p.Tape, op.Columns{X: q}, op.Columns{X: kv}, op.Columns{X: kv, From: nk}, pk.Seqs, p.Seqs, h, pk.drop(d))
	for _, x := range []mat.Tensor{kept, q, kv} {
		p.Tape.Drop(x)
	}
	return y
}

// Residual returns what follows attention in a block: the rows of x that are kept, and the pass for them.
func Residual(p *Pass, x mat.Tensor) (mat.Tensor, *Pass) { return p.kept(x) }
