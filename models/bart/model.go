package bart

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
)

// Model is the encoder and the decoder with the table that they share (transformers' BartModel and its relatives,
// models/bart/modeling_bart.py). By itself it is the model for feature extraction, whose features are the decoder's.
type Model struct {
	spago.Module
	nn.Limits `hf:"-"`
	Config    Config          `hf:"-"`
	Shared    *nn.SharedTable `hf:"shared"` // V×C
	Encoder   *Encoder        `hf:"encoder"`
	Decoder   *Decoder        `hf:"decoder"`
}

// New returns the model with empty weights. The configuration must have passed Check.
func New(c Config) *Model {
	shared := nn.NewSharedTable(c.VocabSize, c.Width, c.PadTokenID)
	if c.family().scaledClass {
		shared.Class = c.class("ScaledWordEmbedding")
	}
	m := &Model{
		Limits: c.limits(), Config: c, Shared: shared, Encoder: newEncoder(c, shared), Decoder: newDecoder(c, shared),
	}
	nn.Number(m)
	return m
}

// Encode returns the encoder's rows for the source b.
func (m *Model) Encode(p *nn.Pass, b *batch.Batch) *nn.Memory {
	return &nn.Memory{X: m.Encoder.Forward(p.Source(b.Seqs), b.IDs), Seqs: b.Seqs}
}

// Forward returns the hidden states of the decoder that reads the sources of b themselves, shifted by a token: N×C for
// their N tokens, or p.Keep's rows of it.
func (m *Model) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	memory := m.Encode(p, b)
	p = p.With(b.Seqs).Read(memory)
	return m.Decoder.Forward(p, p.Shifted(b.IDs, m.Config.shift))
}

// Width returns C, the columns of a hidden state.
func (m *Model) Width() int { return m.Config.Width }

// String prints the module tree in the style of PyTorch.
func (m *Model) String() string { return nn.Tree(m, nil) }

// Encoder turns the source into the rows that the decoder reads.
type Encoder struct {
	spago.Module
	Config    Config          `hf:"-"`
	Words     *nn.Embedding   `hf:"embed_tokens"` // V×C, shared
	Positions Positions       `hf:"embed_positions"`
	Layers    []*EncoderLayer `hf:"layers"`
	EmbedNorm *nn.LayerNorm   `hf:"layernorm_embedding"` // bart, mbart
	Norm      *nn.LayerNorm   `hf:"layer_norm"`          // mbart, pegasus
	Drop      *nn.Dropout     `hf:"dropout"`
}

func newEncoder(c Config, shared *nn.SharedTable) *Encoder {
	e := &Encoder{Config: c, Words: shared.Embedding(), Drop: silent(c.Dropout)}
	e.Positions = c.positions()
	e.EmbedNorm, e.Norm = c.norms()
	for range c.EncoderLayers {
		e.Layers = append(e.Layers, NewEncoderLayer(c.encoder()))
	}
	return e
}

// Forward returns the hidden states for the N ids of p.Seqs: N×C.
func (e *Encoder) Forward(p *nn.Pass, ids []int32) mat.Tensor {
	x := e.Config.embedded(p, ids, e.Words, e.Positions, e.EmbedNorm, e.Drop)
	return last(p, nn.Stack(p, x, e.Layers), e.Norm)
}

// Decoder predicts the target from the target's earlier tokens and the encoder's rows.
type Decoder struct {
	spago.Module
	Config    Config          `hf:"-"`
	Words     *nn.Embedding   `hf:"embed_tokens"` // V×C, shared
	Positions Positions       `hf:"embed_positions"`
	Layers    []*DecoderLayer `hf:"layers"`
	EmbedNorm *nn.LayerNorm   `hf:"layernorm_embedding"` // bart, mbart
	Norm      *nn.LayerNorm   `hf:"layer_norm"`          // mbart, pegasus
	Drop      *nn.Dropout     `hf:"dropout"`
}

func newDecoder(c Config, shared *nn.SharedTable) *Decoder {
	d := &Decoder{Config: c, Words: shared.Embedding(), Drop: silent(c.Dropout)}
	d.Positions = c.positions()
	d.EmbedNorm, d.Norm = c.norms()
	for i := range c.DecoderLayers {
		d.Layers = append(d.Layers, NewDecoderLayer(c.decoder(), i))
	}
	return d
}

// Forward returns the hidden states for the N ids of p.Seqs, which read p.Memory: N×C, or p.Keep's rows of it. It
// implements [nn.Decoder].
func (d *Decoder) Forward(p *nn.Pass, ids []int32) mat.Tensor {
	x := d.Config.embedded(p, ids, d.Words, d.Positions, d.EmbedNorm, d.Drop)
	return last(p, nn.Stack(p, x, d.Layers), d.Norm)
}

// last returns norm(x) after the last block, or x if there is no norm.
func last(p *nn.Pass, x mat.Tensor, norm *nn.LayerNorm) mat.Tensor {
	if norm == nil {
		return x
	}
	return norm.Forward(p.After(), x)
}

// norms returns the norm of the embeddings and the last one; nil if the family has none.
func (c Config) norms() (embeddings, last *nn.LayerNorm) {
	if c.family().embeddingNorm {
		embeddings = c.Norm()
	}
	if c.family().before {
		last = c.Norm()
	}
	return embeddings, last
}
