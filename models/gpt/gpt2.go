package gpt

import (
	"math"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Model is the decoder without a head (transformers' GPT2Model).
type Model struct {
	spago.Module
	Config    Config        `hf:"-"`
	Words     *nn.Embedding `hf:"wte"` // V×C
	Positions *nn.Embedding `hf:"wpe"` // n_positions×C
	Drop      *nn.Dropout   `hf:"drop"`
	Blocks    []*Block      `hf:"h"`
	Norm      *nn.LayerNorm `hf:"ln_f"`
}

// New returns the decoder with empty weights. The configuration must have passed Check.
func New(c Config) *Model {
	m := &Model{
		Config:    c,
		Words:     nn.NewEmbedding(c.VocabSize, c.Width, op.NoPadding),
		Positions: nn.NewEmbedding(c.Positions, c.Width, op.NoPadding),
		Drop:      &nn.Dropout{P: c.EmbeddingDropout}, Norm: nn.NewLayerNorm(c.Width, c.LayerNormEpsilon),
	}
	for i := range c.Layers {
		m.Blocks = append(m.Blocks, newBlock(c, i))
	}
	return m
}

// Forward returns the normalised hidden states after the last block: N×C for N ids, or p.Keep's rows of it. It
// implements [nn.Decoder].
func (m *Model) Forward(p *nn.Pass, ids []int32) mat.Tensor {
	scope := p.Tape.Scope()
	x := op.Add(p.Tape, m.Words.Forward(p, ids), m.Positions.Forward(p, p.Positions()))
	y := m.Drop.Forward(p, x)
	p.Tape.Leave(scope, y)
	return m.Norm.Forward(p.After(), nn.Stack(p, y, m.Blocks))
}

// Block is one pre-norm layer. Rows are tokens, N = ΣT:
//
//	a = x + drop(attnOut(attention(qkv(norm1(x)))))
//	y = a + drop(down(gelu(up(norm2(a)))))
type Block struct {
	spago.Module
	Norm1    *nn.LayerNorm  `hf:"ln_1"`
	QKV      *nn.Linear     `hf:"attn.c_attn"` // C→3C, stored in×out
	AttnOut  *nn.Linear     `hf:"attn.c_proj"` // C→C, stored in×out
	AttnDrop *nn.Dropout    `hf:"attn.attn_dropout"`
	ResDrop  *nn.Dropout    `hf:"attn.resid_dropout"`
	Norm2    *nn.LayerNorm  `hf:"ln_2"`
	Up       *nn.Linear     `hf:"mlp.c_fc"`   // C→F, stored in×out
	Down     *nn.Linear     `hf:"mlp.c_proj"` // F→C, stored in×out
	Act      *nn.Activation `hf:"mlp.act"`
	MLPDrop  *nn.Dropout    `hf:"mlp.dropout"`
	Attn     nn.Attention   `hf:"-"` // heads; no weights
}

func newBlock(c Config, layer int) *Block {
	act, err := nn.NewActivation(c.Activation)
	if err != nil {
		panic(err) // Check has accepted it
	}
	return &Block{
		Norm1: nn.NewLayerNorm(c.Width, c.LayerNormEpsilon), QKV: nn.NewConv1D(c.Width, 3*c.Width),
		AttnOut:  nn.NewConv1D(c.Width, c.Width),
		AttnDrop: &nn.Dropout{P: c.AttentionDropout}, ResDrop: &nn.Dropout{P: c.ResidualDropout},
		Norm2: nn.NewLayerNorm(c.Width, c.LayerNormEpsilon), Up: nn.NewConv1D(c.Width, c.inner()),
		Down: nn.NewConv1D(c.inner(), c.Width),
		Act:  act, MLPDrop: &nn.Dropout{P: c.ResidualDropout},
		Attn: nn.Attention{Heads: c.Heads, KV: c.Heads, Dim: c.Width / c.Heads, Causal: true, Scale: c.scale(layer),
			Layer: layer},
	}
}

// scale returns the factor of the products of queries and keys in a layer.
func (c Config) scale(layer int) float32 {
	s := 1.0
	if c.ScaleWeights {
		s = 1 / math.Sqrt(float64(c.Width/c.Heads))
	}
	if c.ScaleByInverseLayer {
		s /= float64(layer + 1)
	}
	return float32(s)
}

// Forward turns x (N×C) into the block's output: N×C, or p.Keep's rows of it. Rows that are not kept only serve as
// keys and values.
func (b *Block) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	h := b.Attn.Fused(p, b.Norm1.Forward(p, x), b.QKV, *b.AttnDrop)
	x, p = p.KeptRows(x)
	a := b.ResDrop.Residual(p, x, b.AttnOut.Forward(p, h))
	return b.MLPDrop.Residual(p, a, nn.FeedForward(p, b.Norm2.Forward(p, a), b.Up, b.Act, b.Down))
}

// Class names the decoder in the printed tree.
func (m *Model) Class() string { return "GPT2Model" }

// Class names the block in the printed tree.
func (b *Block) Class() string { return "GPT2Block" }

// Groups names the modules of dotted tags.
func (b *Block) Groups() map[string]string {
	return map[string]string{"attn": "GPT2Attention", "mlp": "GPT2MLP"}
}
