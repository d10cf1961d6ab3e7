package distilbert

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Model is the encoder (transformers' DistilBertModel). By itself it is the model for feature extraction.
type Model struct {
	spago.Module
	nn.Limits  `hf:"-"`
	Config     Config      `hf:"-"`
	Embeddings *Embeddings `hf:"embeddings"`
	Blocks     []*Block    `hf:"transformer.layer"`
}

// New returns the encoder with empty weights. The configuration must have passed Check.
func New(c Config) *Model {
	m := &Model{Limits: c.limits(), Config: c, Embeddings: newEmbeddings(c)}
	for range c.Layers {
		m.Blocks = append(m.Blocks, newBlock(c))
	}
	nn.Number(m)
	return m
}

// Forward returns the hidden states after the last block: N×C for the N tokens of b, or p.Keep's rows of it.
func (m *Model) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	p = p.With(b.Seqs)
	return nn.Stack(p, m.Embeddings.Forward(p, b), m.Blocks)
}

// Width returns C, the columns of a hidden state.
func (m *Model) Width() int { return m.Config.Width }

// String prints the module tree in the style of PyTorch.
func (m *Model) String() string { return nn.Tree(m, nil) }

// Embeddings turns ids into vectors: words + positions, normalised. There are no token types.
type Embeddings struct {
	spago.Module
	Words     *nn.Embedding `hf:"word_embeddings"`     // V×C
	Positions *nn.Embedding `hf:"position_embeddings"` // max_position_embeddings×C
	Norm      *nn.LayerNorm `hf:"LayerNorm"`
	Drop      *nn.Dropout   `hf:"dropout"`
}

func newEmbeddings(c Config) *Embeddings {
	return &Embeddings{
		Words:     nn.NewEmbedding(c.VocabSize, c.Width, c.padding()),
		Positions: nn.NewEmbedding(c.MaxPositions, c.Width, op.NoPadding),
		Norm:      nn.NewLayerNorm(c.Width, normEps),
		Drop:      &nn.Dropout{P: c.Dropout},
	}
}

// Forward returns N×C for the N ids of b, whose sequences the pass has.
func (e *Embeddings) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	scope := p.Tape.Scope()
	x := op.Add(p.Tape, e.Words.Forward(p, b.IDs), e.Positions.Forward(p, p.Positions()))
	y := e.Drop.Forward(p, e.Norm.Forward(p, x))
	p.Tape.Leave(scope, y)
	return y
}

// Block is one layer, post-norm. Rows are tokens, N = ΣT:
//
//	a = attnNorm(x + attnOut(attention(query(x), key(x), value(x))))
//	y = outNorm(a + drop(down(gelu(up(a)))))
//
// Unlike BERT's it drops nothing between attnOut and the norm.
type Block struct {
	spago.Module
	Query    *nn.Linear     `hf:"attention.q_lin"`   // C→C
	Key      *nn.Linear     `hf:"attention.k_lin"`   // C→C
	Value    *nn.Linear     `hf:"attention.v_lin"`   // C→C
	AttnOut  *nn.Linear     `hf:"attention.out_lin"` // C→C
	AttnDrop *nn.Dropout    `hf:"attention.dropout"`
	AttnNorm *nn.LayerNorm  `hf:"sa_layer_norm"`
	OutDrop  *nn.Dropout    `hf:"ffn.dropout"`
	Up       *nn.Linear     `hf:"ffn.lin1"` // C→F
	Down     *nn.Linear     `hf:"ffn.lin2"` // F→C
	Act      *nn.Activation `hf:"ffn.activation"`
	OutNorm  *nn.LayerNorm  `hf:"output_layer_norm"`
	Attn     nn.Attention   `hf:"-"` // heads; no weights
}

func newBlock(c Config) *Block {
	act, err := nn.NewActivation(c.Activation)
	if err != nil {
		panic(err) // Check has accepted it
	}
	w := c.Width
	return &Block{
		Query: nn.NewLinear(w, w, true), Key: nn.NewLinear(w, w, true), Value: nn.NewLinear(w, w, true),
		AttnOut:  nn.NewLinear(w, w, true),
		AttnDrop: &nn.Dropout{P: c.AttentionDropout}, AttnNorm: nn.NewLayerNorm(w, normEps),
		Up: nn.NewLinear(w, c.Inner, true), Act: act, Down: nn.NewLinear(c.Inner, w, true),
		OutDrop: &nn.Dropout{P: c.Dropout}, OutNorm: nn.NewLayerNorm(w, normEps),
		Attn: nn.Attention{Heads: c.Heads, KV: c.Heads, Dim: w / c.Heads},
	}
}

// Forward turns x (N×C) into the block's output: N×C, or p.Keep's rows of it. Rows that are not kept only serve as
// keys and values.
func (l *Block) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	h := l.Attn.Forward(p, x, l.Query, l.Key, l.Value, *l.AttnDrop)
	x, p = p.KeptRows(x)
	a := l.AttnNorm.Residual(p, x, l.AttnOut.Forward(p, h), nn.Dropout{})
	return l.OutNorm.Residual(p, a, nn.FeedForward(p, a, l.Up, l.Act, l.Down), *l.OutDrop)
}

// Class names the model in the printed tree, as transformers does.
func (m *Model) Class() string { return "DistilBertModel" }

// Groups names the modules of dotted tags.
func (m *Model) Groups() map[string]string { return map[string]string{"transformer": "Transformer"} }

// Class names the block in the printed tree.
func (l *Block) Class() string { return "TransformerBlock" }

// Groups names the modules of dotted tags.
func (l *Block) Groups() map[string]string {
	return map[string]string{"attention": "DistilBertSelfAttention", "ffn": "FFN"}
}

// Class names the embeddings in the printed tree.
func (e *Embeddings) Class() string { return "Embeddings" }
