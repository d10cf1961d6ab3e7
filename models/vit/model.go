package vit

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Model is the encoder (transformers' ViTModel and DeiTModel). By itself it is the model for features of images.
type Model struct {
	spago.Module
	Config     Config        `hf:"-"`
	Embeddings *Embeddings   `hf:"embeddings"`
	Layers     []*Layer      `hf:"layers"`
	Norm       *nn.LayerNorm `hf:"layernorm"`
	Pooler     *Pooler       `hf:"pooler"` // nil below a classifier
}

// New returns the encoder with its pooler, with empty weights. The configuration must have passed Check.
func New(c Config) *Model {
	m := newModel(c)
	m.Pooler = newPooler(c)
	nn.Number(m)
	return m
}

// newModel returns the encoder without a pooler, whose places of dropout are not numbered.
func newModel(c Config) *Model {
	m := &Model{Config: c, Embeddings: newEmbeddings(c), Norm: c.norm()}
	for range c.Layers {
		m.Layers = append(m.Layers, newLayer(c))
	}
	return m
}

// Rows returns the sequences of hidden states for those of patches: each has the rows of tokens first.
func (m *Model) Rows(patches op.Seqs) op.Seqs {
	s := op.Seqs{Starts: make([]int, len(patches.Starts)), Index: patches.Index}
	for i, start := range patches.Starts {
		s.Starts[i] = start + i*m.Config.tokens()
	}
	return s
}

// Forward returns the hidden states after the last norm, N×C for the N rows of [Model.Rows] of b.Seqs, or p.Keep's of
// them.
func (m *Model) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(m.Rows(b.Seqs))
	x := nn.Stack(p, m.Embeddings.Forward(p, b), m.Layers)
	return m.Norm.Forward(p.After(), x)
}

// Pooled returns the pooler's row for each of the B images of b, B×pooler_output_size. The model must have a pooler.
func (m *Model) Pooled(p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(m.Rows(b.Seqs))
	p.Keep = firstRows(p.Seqs, 1)
	return m.Pooler.forward(p.After(), m.Forward(p, b))
}

// firstRows returns the first n rows of each sequence of s.
func firstRows(s op.Seqs, n int) *nn.Kept {
	k := &nn.Kept{Seqs: op.Seqs{Starts: []int{0}, Index: s.Index}}
	for i := range s.Len() {
		for j := range n {
			k.Rows = append(k.Rows, s.Starts[i]+j)
		}
		k.Seqs.Starts = append(k.Seqs.Starts, len(k.Rows))
	}
	return k
}

// Width returns C, the columns of a hidden state.
func (m *Model) Width() int { return m.Config.Width }

// Image returns the size of the images that the positions were learned for.
func (m *Model) Image() (channels, height, width int) {
	return m.Config.Channels, m.Config.Image.Height, m.Config.Image.Width
}

// Patch returns the size of a patch in pixels.
func (m *Model) Patch() (height, width int) { return m.Config.Patch.Height, m.Config.Patch.Width }

// String prints the module tree in the style of PyTorch.
func (m *Model) String() string { return nn.Tree(m, nil) }

// Class names the model in the printed tree.
func (m *Model) Class() string { return m.Config.class("Model") }

// Renames returns the names of transformers 4, which checkpoints have.
func (m *Model) Renames() nn.Renames {
	return nn.Renames{
		{Module: "layers", Stored: "encoder.layer"},
		{Module: "attention.q_proj", Stored: "attention.attention.query"},
		{Module: "attention.k_proj", Stored: "attention.attention.key"},
		{Module: "attention.v_proj", Stored: "attention.attention.value"},
		{Module: "attention.o_proj", Stored: "attention.output.dense"},
		{Module: "mlp.fc1", Stored: "intermediate.dense"},
		{Module: "mlp.fc2", Stored: "output.dense"},
	}
}

// Embeddings turns patches into rows: a linear map of their pixels, tokens before them, and learned positions, which
// are interpolated for images of another size.
type Embeddings struct {
	spago.Module
	Token        *op.Weight  `hf:"cls_token"`           // 1×C, in checkpoints [1, 1, C]
	Distillation *op.Weight  `hf:"distillation_token"`  // the same; nil without a teacher
	Positions    *op.Weight  `hf:"position_embeddings"` // (tokens+patches)×C, in checkpoints [1, tokens+patches, C]
	Patches      *nn.Conv2d  `hf:"patch_embeddings.projection"`
	Drop         *nn.Dropout `hf:"dropout"`
	config       Config      `hf:"-"`
}

func newEmbeddings(c Config) *Embeddings {
	g, token := c.grid(), func() *op.Weight { return op.NewShaped(1, c.Width, 1, 1, c.Width) }
	rows := c.tokens() + g[0]*g[1]
	e := &Embeddings{
		Token: token(), Positions: op.NewShaped(rows, c.Width, 1, rows, c.Width),
		Patches: nn.NewConv2d(c.Channels, c.Width, c.Patch.Height, c.Patch.Width), Drop: c.drop(), config: c,
	}
	if c.distilled() {
		e.Distillation = token()
	}
	return e
}

// tokens returns the tokens before the patches.
func (e *Embeddings) tokens() []*op.Weight {
	if e.Distillation != nil {
		return []*op.Weight{e.Token, e.Distillation}
	}
	return []*op.Weight{e.Token}
}

// Forward returns N×C for the patches of b and the tokens before those of each image; the pass has the sequences of
// these rows.
func (e *Embeddings) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	scope := p.Tape.Scope()
	n, c := b.Seqs.Rows(), e.Patches.Weight.Cols
	pixels := mat.NewDense[float32](mat.WithShape(n, c), mat.WithBacking(b.Features))
	patches := p.With(b.Seqs)
	x := e.Patches.Forward(patches, pixels)
	weights := append(e.tokens(), e.Positions)
	y := patches.Apart(func(r nn.Run) mat.Tensor {
		images := op.Patches{Starts: r.Seqs.Starts, Own: e.config.grid()}
		if b.Grids != nil {
			images.Grids = b.Grids[r.First:r.Last]
		}
		var tokens []*op.Weight
		for _, w := range e.tokens() {
			tokens = append(tokens, r.Weight(w))
		}
		return op.ImageRows(p.Tape, r.Rows(x), images, tokens, r.Weight(e.Positions))
	}, weights...)
	y = e.Drop.Forward(p, y)
	p.Tape.Leave(scope, y)
	return y
}

// Class names the layer in the printed tree.
func (e *Embeddings) Class() string { return e.config.class("Embeddings") }

// Groups names the module of dotted tags.
func (e *Embeddings) Groups() map[string]string {
	return map[string]string{"patch_embeddings": e.config.class("PatchEmbeddings")}
}

// Layer is one block, pre-norm. Rows are tokens and patches, N = ΣT:
//
//	a = x + drop(o_proj(attention(layernorm_before(x))))
//	y = a + drop(fc2(gelu(fc1(layernorm_after(a)))))
type Layer struct {
	spago.Module
	Query    *nn.Linear     `hf:"attention.q_proj"` // C→heads·size, with key and value
	Key      *nn.Linear     `hf:"attention.k_proj"`
	Value    *nn.Linear     `hf:"attention.v_proj"`
	Out      *nn.Linear     `hf:"attention.o_proj"` // heads·size→C
	AttnDrop *nn.Dropout    `hf:"attention.dropout"`
	Before   *nn.LayerNorm  `hf:"layernorm_before"`
	After    *nn.LayerNorm  `hf:"layernorm_after"`
	Act      *nn.Activation `hf:"mlp.activation_fn"`
	Up       *nn.Linear     `hf:"mlp.fc1"` // C→F
	Down     *nn.Linear     `hf:"mlp.fc2"` // F→C
	Drop     *nn.Dropout    `hf:"dropout"`
	Attn     nn.Attention   `hf:"-"` // heads; no weights
	config   Config         `hf:"-"`
}

func newLayer(c Config) *Layer {
	w, inner := c.Width, c.Heads*c.headSize()
	return &Layer{
		Query: nn.NewLinear(w, inner, c.QKVBias), Key: nn.NewLinear(w, inner, c.QKVBias),
		Value: nn.NewLinear(w, inner, c.QKVBias), Out: nn.NewLinear(inner, w, true),
		AttnDrop: &nn.Dropout{P: c.AttentionDropout, Silent: true}, Before: c.norm(), After: c.norm(),
		Act: activation(c.Activation), Up: nn.NewLinear(w, c.Inner, true), Down: nn.NewLinear(c.Inner, w, true),
		Drop: c.drop(), Attn: nn.Attention{Heads: c.Heads, KV: c.Heads, Dim: c.headSize()}, config: c,
	}
}

// Forward turns x (N×C) into the block's output: N×C, or p.Keep's rows of it. Rows that are not kept only serve as
// keys and values.
func (l *Layer) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	h := l.Attn.Forward(p, l.Before.Forward(p, x), l.Query, l.Key, l.Value, *l.AttnDrop)
	x, p = p.KeptRows(x)
	a := l.Drop.Residual(p, x, l.Out.Forward(p, h))
	return l.Drop.Again().Residual(p, a, nn.FeedForward(p, l.After.Forward(p, a), l.Up, l.Act, l.Down))
}

// Class names the block in the printed tree.
func (l *Layer) Class() string { return l.config.class("Layer") }

// Groups names the modules of dotted tags.
func (l *Layer) Groups() map[string]string {
	return map[string]string{"attention": l.config.class("Attention"), "mlp": l.config.class("MLP")}
}

// Pooler is act(dense(x)) of the first row of each image.
type Pooler struct {
	spago.Module
	Dense *nn.Linear     `hf:"dense"` // C→pooler_output_size
	Act   *nn.Activation `hf:"activation"`
	class string         `hf:"-"`
}

func newPooler(c Config) *Pooler {
	size := c.PoolerSize
	if size == 0 {
		size = c.Width
	}
	return &Pooler{
		Dense: nn.NewLinear(c.Width, size, true), Act: activation(c.PoolerActivation), class: c.class("Pooler"),
	}
}

// forward turns B×C into B×pooler_output_size.
func (l *Pooler) forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	return l.Act.Forward(p, l.Dense.Forward(p, x))
}

// Class names the pooler in the printed tree.
func (l *Pooler) Class() string { return l.class }
