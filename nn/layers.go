package nn

import (
	"fmt"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn/op"
)

// Linear is y = x·Wᵀ + b: N×in to N×out (torch.nn.Linear, or transformers' Conv1D if the weight is stored
// in×out).
type Linear struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // out×in
	Bias   *op.Weight `hf:"bias"`   // out; nil: none

	Offset *op.Weight `hf:"-"` // out; in place of Bias, added to the result, and no part of the layer; nil: none

	key *op.Weight `hf:"-"` // identifies the layer to adapters if its weight is another layer's; never filled
}

// added returns what the layer adds to its products: its bias or its offset.
func (l *Linear) added() *op.Weight {
	if l.Offset != nil {
		return l.Offset
	}
	return l.Bias
}

// NewLinear returns a layer with in inputs and out outputs whose weights are empty.
func NewLinear(in, out int, bias bool) *Linear {
	l := &Linear{Weight: op.NewMatrix(out, in)}
	if bias {
		l.Bias = op.NewVector(out)
	}
	return l
}

// NewConv1D returns a layer with a bias whose weights are empty. Checkpoints store its weight in×out, as GPT-2's do.
func NewConv1D(in, out int) *Linear {
	l := NewLinear(in, out, true)
	l.Weight.InOut = true
	return l
}

// NewTied returns a head without a bias that shares the table of e (tie_word_embeddings). As in PEFT, an adapter of e
// does not act on the head, nor an adapter of the head on e.
func NewTied(e *Embedding) *Linear {
	return &Linear{Weight: e.Weight, key: op.NewMatrix(e.Weight.Rows, e.Weight.Cols)}
}

// Key returns the weight that identifies the layer to adapters: l.Weight, or for a tied head a weight without values.
func (l *Linear) Key() *op.Weight {
	if l.key != nil {
		return l.key
	}
	return l.Weight
}

// Tied reports whether the layer shares the weight of an embedding.
func (l *Linear) Tied() bool { return l.key != nil }

// Table returns the weight of the layer.
func (l *Linear) Table() *op.Weight { return l.Weight }

// Untie makes w the weight of a tied head, which then no longer shares that of the embedding.
func (l *Linear) Untie(w *op.Weight) { l.Weight, l.key = w, nil }

// Forward returns y (N×out) for x (N×in), with the adapter's correction if the pass has an adapter for the layer.
func (l *Linear) Forward(p *Pass, x mat.Tensor) mat.Tensor { return Project(p, x, l) }

// Describe returns the line that PyTorch prints for the layer.
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

// projection returns the weights of the layer for x, or their replacements, and the correction that the pass's adapter
// has for it; those of each run of rows if the pass has several adapters.
func (l *Linear) projection(p *Pass, x mat.Tensor) op.Projection {
	if p.Watch != nil {
		p.Watch(l.Key(), x)
	}
	if parts := l.parts(p); parts != nil {
		return op.Projection{Parts: parts}
	}
	return op.Projection{Weight: p.known(l.Key(), l.Weight), Bias: p.Weight(l.added()), Adapt: p.correction(l.Key())}
}

// constant reports whether nothing that trains reaches the layer's result for x: x needs no gradient, as in the lowest
// block under frozen embeddings, and the layer has neither weights that train nor a correction. On a tape that does not
// record, where nobody asks for gradients, it is false.
func (l *Linear) constant(p *Pass, x mat.Tensor) bool {
	if !p.Tape.Recording() || x.RequiresGrad() || p.Served != nil {
		return false
	}
	if p.correction(l.Key()) != nil || p.known(l.Key(), l.Weight).Trains() {
		return false
	}
	b := l.added()
	return b == nil || !p.Weight(b).Trains()
}

// Project applies several layers to x (N×in) and returns their results side by side, N×Σout.
func Project(p *Pass, x mat.Tensor, ls ...*Linear) mat.Tensor { return project(p, x, 0, ls...) }

// project is Project with the site of the adapter's dropout; 0: that of the last correction.
func project(p *Pass, x mat.Tensor, site uint32, ls ...*Linear) mat.Tensor {
	ps := make([]op.Projection, len(ls))
	for i, l := range ls {
		ps[i] = l.projection(p, x)
	}
	d := p.adapterDrop()
	d.Site = site
	return op.Affine(p.Tape, x, d, ps...)
}

// sharedSite returns the dropout site that the corrections of layers with one input share: that of the last layer with
// a correction. So the same elements are dropped when the layers are computed separately or for fewer rows.
func sharedSite(p *Pass, ls ...*Linear) uint32 {
	site := uint32(0)
	if !p.Train {
		return site
	}
	for _, l := range ls {
		if c := p.correction(l.Key()); c != nil {
			site = c.Site
		}
	}
	return site
}

// FeedForward returns down(a(up(x))): N×C to N×F to N×C. It releases the N×F values as early as possible.
func FeedForward(p *Pass, x mat.Tensor, up *Linear, a *Activation, down *Linear) mat.Tensor {
	h := up.Forward(p, x)
	g := a.Forward(p, h)
	p.Tape.Release(h)
	y := down.Forward(p, g)
	p.Tape.Release(g)
	return y
}

// GatedFeedForward returns down(silu(gate(x)) ∘ up(x)): N×C to N×F to N×C. It releases the N×2F and N×F values
// as early as possible.
func GatedFeedForward(p *Pass, x mat.Tensor, gate, up, down *Linear) mat.Tensor {
	h := Project(p, x, gate, up)
	g := op.SwiGLU(p.Tape, h)
	p.Tape.Release(h)
	y := down.Forward(p, g)
	p.Tape.Release(g)
	return y
}

// Gated returns a(gate(x)) ∘ up(x): N×C to N×F. It releases the N×2F values.
func Gated(p *Pass, x mat.Tensor, gate *Linear, a *Activation, up *Linear) mat.Tensor {
	h := Project(p, x, gate, up)
	g := op.Gate(p.Tape, h, a.Func)
	p.Tape.Release(h)
	return g
}

// Embedding is a table of V rows: ids to N×C (torch.nn.Embedding).
type Embedding struct {
	spago.Module
	Weight  *op.Weight `hf:"weight"` // V×C
	Padding int        `hf:"-"`      // padding_idx: its row gets no gradient; op.NoPadding: none
	Class   string     `hf:"-"`      // class name in the printed tree; "": Embedding

	key *op.Weight `hf:"-"` // identifies the table to adapters if it is another layer's; never filled
}

// NewEmbedding returns a table of rows×cols without values. padding is the id whose row gets no gradient, or
// op.NoPadding.
func NewEmbedding(rows, cols, padding int) *Embedding {
	return &Embedding{Weight: op.NewMatrix(rows, cols), Padding: padding}
}

// Key returns the weight that identifies the table to adapters: e.Weight, or for a borrowed table a weight without
// values.
func (e *Embedding) Key() *op.Weight {
	if e.key != nil {
		return e.key
	}
	return e.Weight
}

// Tied reports whether the table is borrowed from another layer.
func (e *Embedding) Tied() bool { return e.key != nil }

// Table returns the table.
func (e *Embedding) Table() *op.Weight { return e.Weight }

// Untie makes w the table, which then is no longer borrowed.
func (e *Embedding) Untie(w *op.Weight) { e.Weight, e.key = w, nil }

// Forward returns the rows of the table for ids, N×C, with the adapter's correction if the pass has an adapter for the
// table. ids must lie in [0, V).
func (e *Embedding) Forward(p *Pass, ids []int32) mat.Tensor {
	return p.Apart(func(r Run) mat.Tensor {
		return op.Embedding(p.Tape, r.ids(ids), r.known(e.Key(), e.Weight), r.correction(e.Key()), e.Padding)
	}, e.Key())
}

// Describe returns the line that PyTorch prints for the table.
func (e *Embedding) Describe() string { return describeTable(e.Class, e.Weight, e.Padding) }

func describeTable(class string, w *op.Weight, padding int) string {
	if class == "" {
		class = "Embedding"
	}
	if padding == op.NoPadding {
		return fmt.Sprintf("%s(%d, %d)", class, w.Rows, w.Cols)
	}
	return fmt.Sprintf("%s(%d, %d, padding_idx=%d)", class, w.Rows, w.Cols, padding)
}

// SharedTable is a table of V rows that embeddings and heads borrow under names of their own, as the encoder and the
// decoder of T5 do. Nothing reads it under its own name, so adapters have to name those that borrow it.
type SharedTable struct {
	spago.Module
	Weight  *op.Weight `hf:"weight"` // V×C
	Padding int        `hf:"-"`      // padding_idx of those that borrow it; op.NoPadding: none
	Class   string     `hf:"-"`      // class name in the printed tree; "": Embedding
}

// NewSharedTable returns a table of rows×cols without values. padding is the id whose row gets no gradient, or
// op.NoPadding.
func NewSharedTable(rows, cols, padding int) *SharedTable {
	return &SharedTable{Weight: op.NewMatrix(rows, cols), Padding: padding}
}

// Embedding returns an embedding that borrows the table. As in PEFT, an adapter of it acts on no other layer.
func (s *SharedTable) Embedding() *Embedding {
	return &Embedding{
		Weight: s.Weight, Padding: s.Padding, Class: s.Class, key: op.NewMatrix(s.Weight.Rows, s.Weight.Cols),
	}
}

// Head returns a head without a bias that borrows the table.
func (s *SharedTable) Head() *Linear { return NewTied(&Embedding{Weight: s.Weight}) }

// Describe returns the line that PyTorch prints for the table.
func (s *SharedTable) Describe() string { return describeTable(s.Class, s.Weight, s.Padding) }

// LayerNorm normalises each row of C values to mean 0 and variance 1, then scales and shifts it (torch.nn.LayerNorm).
type LayerNorm struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // gain
	Bias   *op.Weight `hf:"bias"`
	Eps    float32    `hf:"-"`
}

// NewLayerNorm returns a layer for rows of cols values whose weights are empty.
func NewLayerNorm(cols int, eps float32) *LayerNorm {
	return &LayerNorm{Weight: op.NewVector(cols), Bias: op.NewVector(cols), Eps: eps}
}

// Forward returns the normalised rows of x (N×C).
func (l *LayerNorm) Forward(p *Pass, x mat.Tensor) mat.Tensor {
	return l.Residual(p, x, nil, Dropout{})
}

// Residual returns the normalised rows of x + drop(h), both N×C, in one operator.
func (l *LayerNorm) Residual(p *Pass, x, h mat.Tensor, d Dropout) mat.Tensor {
	return p.Apart(func(r Run) mat.Tensor {
		return op.LayerNorm(p.Tape, r.Rows(x), r.Rows(h), r.drop(d), r.Weight(l.Weight), r.Weight(l.Bias), l.Eps)
	}, l.Weight, l.Bias)
}

// Describe returns the line that PyTorch prints for the layer.
func (l *LayerNorm) Describe() string {
	return fmt.Sprintf("LayerNorm((%d,), eps=%s, elementwise_affine=True, bias=True)", l.Weight.Cols, PythonFloat(l.Eps))
}

// Note is a line of the printed tree for a part that computes nothing by itself, such as an activation that is fused
// into another layer or the angles of positions.
type Note struct {
	spago.Module
	Text string `hf:"-"`
}

// Describe returns the text of the note.
func (n *Note) Describe() string { return n.Text }

// RMSNorm divides each row by its root mean square and scales it (transformers' LlamaRMSNorm). If x has more columns
// than the layer has gains, each group of len(gains) columns is normalised separately.
type RMSNorm struct {
	spago.Module
	Weight *op.Weight `hf:"weight"` // gain
	Eps    float32    `hf:"-"`
	Class  string     `hf:"-"` // class name in the printed tree
	Plain  bool       `hf:"-"` // the tree has no size and eps, as for T5
}

// NewRMSNorm returns a layer with cols gains that are empty. class is its class name in the printed tree.
func NewRMSNorm(cols int, eps float32, class string) *RMSNorm {
	return &RMSNorm{Weight: op.NewVector(cols), Eps: eps, Class: class}
}

// Describe returns the line that transformers prints for the layer.
func (l *RMSNorm) Describe() string {
	if l.Plain {
		return l.Class + "()"
	}
	return fmt.Sprintf("%s((%d,), eps=%s)", l.Class, l.Weight.Cols, PythonFloat(l.Eps))
}

// Forward returns the normalised rows of x (N×C).
func (l *RMSNorm) Forward(p *Pass, x mat.Tensor) mat.Tensor {
	return p.Apart(func(r Run) mat.Tensor {
		return op.RMSNorm(p.Tape, r.Rows(x), r.Weight(l.Weight), l.Eps)
	}, l.Weight)
}

// Dropout is a place in a model where training sets elements to zero. [Number] gives each place its own Site, so that
// places draw independently.
type Dropout struct {
	spago.Module
	P      float32 // probability
	Site   uint32
	Silent bool // absent from the printed tree, as where transformers has a number instead of a module
}

// secondCall is the distance between the sites of the first and the second call of a module: above all sites of a
// model, below those of adapters.
const secondCall = 1 << 20

// Again returns the dropout for a model's second call of the same module, which draws independently of the first.
func (d *Dropout) Again() *Dropout { return &Dropout{P: d.P, Site: d.Site + secondCall, Silent: true} }

// Residual returns x + drop(h), both N×C.
func (d *Dropout) Residual(p *Pass, x, h mat.Tensor) mat.Tensor {
	return op.Residual(p.Tape, x, h, p.drop(*d))
}

// Forward returns x (N×C) with dropout if the pass trains, otherwise x itself.
func (d *Dropout) Forward(p *Pass, x mat.Tensor) mat.Tensor { return op.Dropout(p.Tape, x, p.drop(*d)) }

// Describe returns the line that PyTorch prints for the layer, or "" if it is silent.
func (d *Dropout) Describe() string {
	if d.Silent {
		return ""
	}
	return fmt.Sprintf("Dropout(p=%s, inplace=False)", PythonFloat(d.P))
}

// Activation is an element-wise function as a module of the printed tree.
type Activation struct {
	spago.Module
	Func  op.Activation
	class string
}

// NewActivation returns the function that config.json calls name, such as gelu, gelu_new or relu. It returns an error
// if the name is unknown.
func NewActivation(name string) (*Activation, error) {
	f, err := op.ParseActivation(name)
	if err != nil {
		return nil, err
	}
	class, ok := map[string]string{
		"gelu_new": "NewGELUActivation", "gelu_pytorch_tanh": "GELUTanh", "gelu_fast": "FastGELUActivation",
		"gelu_accurate": "AccurateGELUActivation", "relu": "ReLU", "tanh": "Tanh", "silu": "SiLUActivation", "swish": "SiLU",
	}[name]
	if !ok {
		class = "GELUActivation"
	}
	return &Activation{Func: f, class: class}, nil
}

// Forward returns the function of every element of x.
func (a *Activation) Forward(p *Pass, x mat.Tensor) mat.Tensor {
	return op.Activate(p.Tape, x, a.Func)
}

// Describe returns the line that PyTorch prints for the function, with the class name that transformers uses.
func (a *Activation) Describe() string { return a.class + "()" }
