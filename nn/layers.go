package nn

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// Linear is y = x·Wᵀ + b: N×in to N×out (torch.nn.Linear, or transformers' Conv1D if the weight is stored in×out).
type Linear struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // out×in
	Bias   *op.Weight `hf:"bias"`   // out; nil: none

	key *op.Weight `hf:"-"` // what adapters know the layer by if its weight is another layer's; never filled
}

// NewLinear returns a layer with empty weights.
func NewLinear(in, out int, bias bool) *Linear {
	l := &Linear{Weight: op.NewMatrix(out, in)}
	if bias {
		l.Bias = op.NewVector(out)
	}
	return l
}

// NewConv1D returns a layer with bias whose weight checkpoints store in×out, as GPT-2 does.
func NewConv1D(in, out int) *Linear {
	l := NewLinear(in, out, true)
	l.Weight.InOut = true
	return l
}

// NewTied returns a head without bias that reads the table of e (tie_word_embeddings). An adapter of e does not act on it, nor the
// other way round, as in PEFT.
func NewTied(e *Embedding) *Linear {
	return &Linear{Weight: e.Weight, key: op.NewMatrix(e.Weight.Rows, e.Weight.Cols)}
}

// Key returns what adapters know the layer by: its weight, but for a tied head a weight without values that stands for it.
func (l *Linear) Key() *op.Weight {
	if l.key != nil {
		return l.key
	}
	return l.Weight
}

// Tied reports whether the weight is that of an embedding.
func (l *Linear) Tied() bool { return l.key != nil }

// Untie gives a tied head a weight of its own.
func (l *Linear) Untie(w *op.Weight) { l.Weight, l.key = w, nil }

// Forward computes y, with the adapter's correction if the pass has one.
func (l *Linear) Forward(p *Pass, x mat.Tensor) mat.Tensor { return Project(p, x, l) }

// Describe prints the layer as PyTorch does.
func (l *Linear) Describe() string {
	if l.Weight.InOut {
		return fmt.Sprintf("Conv1D(nf=%d, nx=%d)", l.Weight.Rows, l.Weight.Cols)
	}
	bias := "False"
	if l.Bias != nil {
		bias = "True"
	}
	return fmt.Sprintf("Linear(in_features=%d, out_features=%d, bias=%s)", l.Weight.Cols, l.Weight.Rows, bias)
}

// projection is the layer as the pass's adapter has it.
func (l *Linear) projection(p *Pass) op.Projection {
	return op.Projection{Weight: p.known(l.Key(), l.Weight), Bias: p.weight(l.Bias), Adapt: p.correction(l.Key())}
}

// Project computes several layers of one input, their results side by side: N×in to N×Σout.
func Project(p *Pass, x mat.Tensor, ls ...*Linear) mat.Tensor { return project(p, x, 0, ls...) }

// project is Project with the place of the adapter's dropout in the random stream; 0: that of the last correction.
func project(p *Pass, x mat.Tensor, site uint32, ls ...*Linear) mat.Tensor {
	ps := make([]op.Projection, len(ls))
	for i, l := range ls {
		ps[i] = l.projection(p)
	}
	d := p.adapterDrop()
	d.Site = site
	return op.Affine(p.Tape, x, d, ps...)
}

// sharedSite returns the place in the random stream that layers of one input share for the adapter's dropout, so that computing them
// apart or for fewer rows drops the same: that of the last one with a correction.
func sharedSite(p *Pass, ls ...*Linear) uint32 {
	site := uint32(0)
	for _, l := range ls {
		if c := p.correction(l.Key()); c != nil {
			site = c.Site
		}
	}
	return site
}

// FeedForward computes down(a(up(x))): N×C to N×F to N×C. The N×F values go back to the arena as soon as they may.
func FeedForward(p *Pass, x mat.Tensor, up *Linear, a *Activation, down *Linear) mat.Tensor {
	h := up.Forward(p, x)
	g := a.Forward(p, h)
	p.Tape.Release(h)
	y := down.Forward(p, g)
	p.Tape.Release(g)
	return y
}

// GatedFeedForward computes down(silu(gate(x)) ∘ up(x)): N×C to N×F to N×C. The N×2F and N×F values go back to the arena as soon as
// they may.
func GatedFeedForward(p *Pass, x mat.Tensor, gate, up, down *Linear) mat.Tensor {
	h := Project(p, x, gate, up)
	g := op.SwiGLU(p.Tape, h)
	p.Tape.Release(h)
	y := down.Forward(p, g)
	p.Tape.Release(g)
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

// Note is a part of a model that computes nothing by itself (an activation fused into another layer, the angles of positions): it only
// stands in the printed tree.
type Note struct {
	spago.Module
	Text string `hf:"-"`
}

// Describe prints the part as PyTorch does.
func (n *Note) Describe() string { return n.Text }

// RMSNorm divides rows by their root mean square (transformers' LlamaRMSNorm). With fewer gains than columns each group of as many
// columns is normalised by itself.
type RMSNorm struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // gain
	Eps    float32    `hf:"-"`
	Class  string     `hf:"-"` // in the printed tree
}

// NewRMSNorm returns a layer with an empty weight; class is its name in the printed tree.
func NewRMSNorm(cols int, eps float32, class string) *RMSNorm {
	return &RMSNorm{Weight: op.NewVector(cols), Eps: eps, Class: class}
}

// Describe prints the layer as transformers does.
func (l *RMSNorm) Describe() string {
	return fmt.Sprintf("%s((%d,), eps=%s)", l.Class, l.Weight.Cols, PythonFloat(l.Eps))
}

// Forward computes the normalised rows of x.
func (l *RMSNorm) Forward(p *Pass, x mat.Tensor) mat.Tensor {
	return op.RMSNorm(p.Tape, x, p.weight(l.Weight), l.Eps)
}

// Dropout is a place where training sets elements to zero. Site tells places apart; [Number] assigns it.
type Dropout struct {
	spago.Module
	P      float32
	Site   uint32
	Silent bool // not in the printed tree: where transformers has only a number
}

// secondCall is how far the random stream of a second call is from that of the first: beyond all places of a model, below those of adapters.
const secondCall = 1 << 20

// Again returns the place where a model calls the same module a second time: it draws anew.
func (d *Dropout) Again() *Dropout { return &Dropout{P: d.P, Site: d.Site + secondCall, Silent: true} }

// Residual returns x + drop(h).
func (d *Dropout) Residual(p *Pass, x, h mat.Tensor) mat.Tensor {
	return op.Residual(p.Tape, x, h, p.drop(*d))
}

// Forward applies dropout to x (N×C) if the pass trains.
func (d *Dropout) Forward(p *Pass, x mat.Tensor) mat.Tensor { return op.Dropout(p.Tape, x, p.drop(*d)) }

// Describe prints the layer as PyTorch does; "" if it is silent.
func (d *Dropout) Describe() string {
	if d.Silent {
		return ""
	}
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
		"gelu_accurate": "AccurateGELUActivation", "relu": "ReLU", "tanh": "Tanh", "silu": "SiLUActivation", "swish": "SiLU"}[name]
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
