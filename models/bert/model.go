package bert

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Model is the encoder with its pooler (transformers' BertModel, models/bert/modeling_bert.py). By itself it is the
// model for feature extraction.
type Model struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Config     Config      `hf:"-"`
	Embeddings *Embeddings `hf:"embeddings"`
	Layers     []*Layer    `hf:"encoder.layer"`
	Pooler     *Pooler     `hf:"pooler"` // nil below heads that read single tokens
}

// New returns the encoder with empty weights. The configuration must have passed Check.
func New(c Config) *Model {
	m := newModel(c)
	m.Pooler = NewPooler(c)
	nn.Number(m)
	return m
}

// newModel returns the encoder without pooler, for heads that do not read it.
func newModel(c Config) *Model {
	return &Model{Limits: c.limits(), Config: c, Embeddings: NewEmbeddings(c, c.HiddenSize), Layers: NewLayers(c)}
}

// Forward returns the hidden states after the last layer: N×C for the N tokens of b, or p.Keep's rows of it.
func (m *Model) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(b.Seqs)
	return nn.Stack(p, m.Embeddings.Forward(p, b), m.Layers)
}

// Width returns C, the columns of a hidden state.
func (m *Model) Width() int { return m.Config.HiddenSize }

// String prints the module tree in the style of PyTorch.
func (m *Model) String() string { return nn.Tree(m, nil) }

// Embeddings turns ids into vectors: words + positions + types, normalised.
type Embeddings struct {
	spago.Module
	Words     *nn.Embedding `hf:"word_embeddings"`       // V×C
	Positions *nn.Embedding `hf:"position_embeddings"`   // max_position_embeddings×C
	Types     *nn.Embedding `hf:"token_type_embeddings"` // type_vocab_size×C
	Norm      *nn.LayerNorm `hf:"LayerNorm"`
	Drop      *nn.Dropout   `hf:"dropout"`
	class     string        `hf:"-"` // in the printed tree
}

// NewEmbeddings returns empty tables of the given width. The configuration must have passed Check.
func NewEmbeddings(c Config, width int) *Embeddings {
	return &Embeddings{
		Words:     nn.NewEmbedding(c.VocabSize, width, c.Padding()),
		Positions: nn.NewEmbedding(c.MaxPositions, width, op.NoPadding),
		Types:     nn.NewEmbedding(c.TypeVocabSize, width, op.NoPadding),
		Norm:      nn.NewLayerNorm(width, c.LayerNormEps),
		Drop:      &nn.Dropout{P: c.HiddenDropout},
		class:     c.ClassPrefix() + "Embeddings",
	}
}

// Forward returns N×C for the N ids of b. Without types all are 0.
func (e *Embeddings) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	scope := p.Tape.Scope()
	// The order of the sum is transformers': words + types, then positions.
	x := op.Add(p.Tape, e.Words.Forward(p, b.IDs), LookUpTypes(p, b, e.Types), e.Positions.Forward(p, p.Positions()))
	y := e.Drop.Forward(p, e.Norm.Forward(p, x))
	p.Tape.Leave(scope, y)
	return y
}

// LookUpTypes returns the rows of a table for the N token types of b: N×C. Without types, or with a table of one
// row, all types are 0.
func LookUpTypes(p *nn.Pass, b *batch.Batch, table *nn.Embedding) mat.Tensor {
	types := b.Types
	if types == nil || table.Weight.Rows == 1 {
		types = p.Tape.Ints(len(b.IDs))
		clear(types)
	}
	return table.Forward(p, types)
}

// Layer is one encoder block, post-norm. Rows are tokens, N = ΣT:
//
//	a = attnNorm(x + drop(attnOut(attention(query(x), key(x), value(x)))))
//	y = outNorm(a + drop(down(gelu(up(a)))))
type Layer struct {
	spago.Module
	Query    *nn.Linear     `hf:"attention.self.query"` // C→C
	Key      *nn.Linear     `hf:"attention.self.key"`   // C→C
	Value    *nn.Linear     `hf:"attention.self.value"` // C→C
	AttnDrop *nn.Dropout    `hf:"attention.self.dropout"`
	AttnOut  *nn.Linear     `hf:"attention.output.dense"` // C→C
	AttnNorm *nn.LayerNorm  `hf:"attention.output.LayerNorm"`
	HidDrop  *nn.Dropout    `hf:"attention.output.dropout"`
	Up       *nn.Linear     `hf:"intermediate.dense"` // C→F
	Act      *nn.Activation `hf:"intermediate.intermediate_act_fn"`
	Down     *nn.Linear     `hf:"output.dense"` // F→C
	OutNorm  *nn.LayerNorm  `hf:"output.LayerNorm"`
	OutDrop  *nn.Dropout    `hf:"output.dropout"`
	Attn     nn.Attention   `hf:"-"` // heads; no weights
	family   string         `hf:"-"` // beginning of class names in the printed tree
}

// NewLayers returns the num_hidden_layers blocks with empty weights. The configuration must have passed Check.
func NewLayers(c Config) []*Layer {
	list := make([]*Layer, c.NumHiddenLayers)
	for i := range list {
		list[i] = newLayer(c)
	}
	return list
}

func newLayer(c Config) *Layer {
	w, f := c.HiddenSize, c.IntermediateSize
	return &Layer{
		Query: nn.NewLinear(w, w, true), Key: nn.NewLinear(w, w, true), Value: nn.NewLinear(w, w, true),
		AttnDrop: &nn.Dropout{P: c.AttentionDropout},
		AttnOut:  nn.NewLinear(w, w, true), AttnNorm: nn.NewLayerNorm(w, c.LayerNormEps),
		HidDrop: &nn.Dropout{P: c.HiddenDropout},
		Up:      nn.NewLinear(w, f, true), Act: activation(c.HiddenAct),
		Down: nn.NewLinear(f, w, true), OutNorm: nn.NewLayerNorm(w, c.LayerNormEps), OutDrop: &nn.Dropout{P: c.HiddenDropout},
		Attn:   nn.Attention{Heads: c.NumAttentionHeads, KV: c.NumAttentionHeads, Dim: w / c.NumAttentionHeads},
		family: c.ClassPrefix(),
	}
}

// Forward turns x (N×C) into the block's output: N×C, or p.Keep's rows of it. Rows that are not kept only serve as
// keys and values.
func (l *Layer) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	h := l.Attn.Forward(p, x, l.Query, l.Key, l.Value, *l.AttnDrop)
	x, p = p.KeptRows(x)
	a := l.AttnNorm.Residual(p, x, l.AttnOut.Forward(p, h), *l.HidDrop)
	return l.OutNorm.Residual(p, a, nn.FeedForward(p, a, l.Up, l.Act, l.Down), *l.OutDrop)
}

// activation returns a function whose name Check has accepted.
func activation(name string) *nn.Activation {
	a, err := nn.NewActivation(name)
	if err != nil {
		panic(err)
	}
	return a
}

// Pooler is tanh(dense(x)) of the first row of a sequence, for heads that read whole sequences.
type Pooler struct {
	spago.Module
	Dense *nn.Linear     `hf:"dense"` // C→C
	Act   *nn.Activation `hf:"activation"`
	class string         `hf:"-"` // in the printed tree
}

// NewPooler returns a pooler with empty weights.
func NewPooler(c Config) *Pooler {
	return &Pooler{
		Dense: nn.NewLinear(c.HiddenSize, c.HiddenSize, true), Act: activation("tanh"),
		class: c.ClassPrefix() + "Pooler",
	}
}

// Forward takes and returns B×C.
func (l *Pooler) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	return l.Act.Forward(p, l.Dense.Forward(p, x))
}

// Class names the model in the printed tree, as transformers does.
func (m *Model) Class() string { return "BertModel" }

// Groups names the modules of dotted tags.
func (m *Model) Groups() map[string]string { return map[string]string{"encoder": "BertEncoder"} }

// Class names the block in the printed tree.
func (l *Layer) Class() string { return l.family + "Layer" }

// Groups names the modules of dotted tags.
func (l *Layer) Groups() map[string]string {
	return map[string]string{
		"attention": l.family + "Attention", "attention.self": l.family + "SelfAttention",
		"attention.output": l.family + "SelfOutput",
		"intermediate":     l.family + "Intermediate", "output": l.family + "Output",
	}
}

// Class names the embeddings in the printed tree.
func (e *Embeddings) Class() string { return e.class }

// Class names the pooler in the printed tree.
func (l *Pooler) Class() string { return l.class }
