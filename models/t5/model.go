package t5

import (
	"math"

	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/nn"
)

// Model is the encoder and the decoder with the table that they share (transformers' T5Model and MT5Model).
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
	shared := nn.NewSharedTable(c.VocabSize, c.Width, noPadding)
	return &Model{
		Limits: c.limits(), Config: c, Shared: shared, Encoder: NewEncoder(c, shared), Decoder: NewDecoder(c, shared),
	}
}

// Forward returns the hidden states of the decoder that reads the sources of b themselves, shifted by a token: N×C for
// their N tokens, or p.Keep's rows of it.
func (m *Model) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	memory := m.Encoder.read(p, b)
	p = p.With(b.Seqs).Read(memory)
	return m.Decoder.Forward(p, p.Shifted(b.IDs, m.Config.shift))
}

// Width returns C, the columns of a hidden state.
func (m *Model) Width() int { return m.Config.Width }

// EncoderModel is the encoder alone, for feature extraction (transformers' T5EncoderModel and MT5EncoderModel).
type EncoderModel struct {
	spago.Module
	nn.Limits `hf:"-"`
	Shared    *nn.SharedTable `hf:"shared"` // V×C
	Encoder   *Encoder        `hf:"encoder"`
}

// NewEncoderModel returns the encoder with empty weights. The configuration must have passed Check.
func NewEncoderModel(c Config) *EncoderModel {
	shared := nn.NewSharedTable(c.VocabSize, c.Width, noPadding)
	m := &EncoderModel{Limits: c.limits(), Shared: shared, Encoder: NewEncoder(c, shared)}
	nn.Number(m)
	return m
}

// Forward returns the hidden states after the last block: N×C for the N tokens of b, or p.Keep's rows of it.
func (m *EncoderModel) Forward(p *nn.Pass, b *batch.Batch) mat.Tensor {
	return m.Encoder.Forward(p.With(b.Seqs), b.IDs)
}

// Width returns C, the columns of a hidden state.
func (m *EncoderModel) Width() int { return m.Encoder.Config.Width }

// String prints the module tree in the style of PyTorch.
func (m *EncoderModel) String() string { return nn.Tree(m, nil) }

// Encoder turns the source into the rows that the decoder reads (transformers' T5Stack, models/t5/modeling_t5.py).
type Encoder struct {
	spago.Module
	Config Config          `hf:"-"`
	Words  *nn.Embedding   `hf:"embed_tokens"` // V×C, shared
	Blocks []*EncoderBlock `hf:"block"`
	Norm   *nn.RMSNorm     `hf:"final_layer_norm"`
	Drop   *nn.Dropout     `hf:"dropout"`
}

// NewEncoder returns the encoder with empty weights and the word table of shared.
func NewEncoder(c Config, shared *nn.SharedTable) *Encoder {
	e := &Encoder{Config: c, Words: shared.Embedding(), Norm: c.norm(), Drop: c.drop()}
	for i := range c.Layers {
		e.Blocks = append(e.Blocks, &EncoderBlock{Attn: newSelfAttention(c, i, false), FF: newFeedForward(c), config: c})
	}
	return e
}

// Forward returns the hidden states for the N ids of p.Seqs: N×C.
func (e *Encoder) Forward(p *nn.Pass, ids []int32) mat.Tensor {
	q := *p
	q.Bias = e.Config.relative(p, e.Blocks[0].Attn.Relative, true)
	x := e.Drop.Forward(p, e.Words.Forward(p, ids))
	x = e.Norm.Forward(p.After(), nn.Stack(&q, x, e.Blocks))
	return e.Drop.Again().Forward(p.After(), x)
}

// read returns the rows for the source b.
func (e *Encoder) read(p *nn.Pass, b *batch.Batch) *nn.Memory {
	return &nn.Memory{X: e.Forward(p.Source(b.Seqs), b.IDs), Seqs: b.Seqs}
}

// EncoderBlock is one pre-norm block of the encoder. Rows are tokens, N = ΣT:
//
//	a = x + drop(out(attention(query(norm(x)), key(norm(x)), value(norm(x)))))
//	y = a + drop(down(relu(up(norm(a)))))
type EncoderBlock struct {
	spago.Module
	Attn   *SelfAttention `hf:"layer.0"`
	FF     *FeedForward   `hf:"layer.1"`
	config Config         `hf:"-"`
}

// Forward turns x (N×C) into the block's output: N×C, or p.Keep's rows of it.
func (b *EncoderBlock) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	x, p = b.Attn.Forward(p, x)
	return b.FF.Forward(p, x)
}

// Decoder predicts the target from the target's earlier tokens and the encoder's rows (transformers' T5Stack with
// is_decoder).
type Decoder struct {
	spago.Module
	Config Config          `hf:"-"`
	Words  *nn.Embedding   `hf:"embed_tokens"` // V×C, shared
	Blocks []*DecoderBlock `hf:"block"`
	Norm   *nn.RMSNorm     `hf:"final_layer_norm"`
	Drop   *nn.Dropout     `hf:"dropout"`
}

// NewDecoder returns the decoder with empty weights and the word table of shared.
func NewDecoder(c Config, shared *nn.SharedTable) *Decoder {
	d := &Decoder{Config: c, Words: shared.Embedding(), Norm: c.norm(), Drop: c.drop()}
	for i := range c.decoderLayers() {
		d.Blocks = append(d.Blocks, &DecoderBlock{
			Attn: newSelfAttention(c, i, true), Cross: newCrossAttention(c, i), FF: newFeedForward(c), config: c,
		})
	}
	return d
}

// Forward returns the hidden states for the N ids of p.Seqs, which read p.Memory: N×C, or p.Keep's rows of it. It
// implements [nn.Decoder].
func (d *Decoder) Forward(p *nn.Pass, ids []int32) mat.Tensor {
	q := *p
	q.Bias = d.Config.relative(p, d.Blocks[0].Attn.Relative, false)
	x := d.Drop.Forward(p, d.Words.Forward(p, ids))
	x = d.Norm.Forward(p.After(), nn.Stack(&q, x, d.Blocks))
	return d.Drop.Again().Forward(p.After(), x)
}

// DecoderBlock is one pre-norm block of the decoder. Rows are tokens, N = ΣT; memory is the encoder's rows:
//
//	a = x + drop(out(attention(query(norm(x)), key(norm(x)), value(norm(x)))))    of earlier rows
//	b = a + drop(out(attention(query(norm(a)), key(memory), value(memory))))
//	y = b + drop(down(relu(up(norm(b)))))
type DecoderBlock struct {
	spago.Module
	Attn   *SelfAttention  `hf:"layer.0"`
	Cross  *CrossAttention `hf:"layer.1"`
	FF     *FeedForward    `hf:"layer.2"`
	config Config          `hf:"-"`
}

// Forward turns x (N×C) into the block's output: N×C, or p.Keep's rows of it.
func (b *DecoderBlock) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	x, p = b.Attn.Forward(p, x)
	return b.FF.Forward(p, b.Cross.Forward(p, x))
}

// SelfAttention is attention to the rows of the own sequence. The first block of a side has the table of relative
// positions that all of them use.
type SelfAttention struct {
	spago.Module
	Query    *nn.Linear    `hf:"SelfAttention.q"` // C→heads·D
	Key      *nn.Linear    `hf:"SelfAttention.k"`
	Value    *nn.Linear    `hf:"SelfAttention.v"`
	Out      *nn.Linear    `hf:"SelfAttention.o"`                       // heads·D→C
	Relative *nn.Embedding `hf:"SelfAttention.relative_attention_bias"` // buckets×heads; nil behind the first block
	AttnDrop *nn.Dropout   `hf:"SelfAttention.dropout"`
	Norm     *nn.RMSNorm   `hf:"layer_norm"`
	Drop     *nn.Dropout   `hf:"dropout"`
	Attn     nn.Attention  `hf:"-"` // heads; no weights
	config   Config        `hf:"-"`
}

func newSelfAttention(c Config, layer int, causal bool) *SelfAttention {
	inner := c.Heads * c.HeadSize
	l := &SelfAttention{
		Query: nn.NewLinear(c.Width, inner, false), Key: nn.NewLinear(c.Width, inner, false),
		Value: nn.NewLinear(c.Width, inner, false), Out: nn.NewLinear(inner, c.Width, false),
		AttnDrop: &nn.Dropout{P: c.Dropout, Silent: true}, Norm: c.norm(), Drop: c.drop(),
		Attn: c.attention(layer, causal), config: c,
	}
	if layer == 0 {
		l.Relative = nn.NewEmbedding(c.Buckets, c.Heads, noPadding)
	}
	return l
}

// Forward returns x + drop(out(attention(norm(x)))), N×C, or p.Keep's rows of it with their pass.
func (l *SelfAttention) Forward(p *nn.Pass, x mat.Tensor) (mat.Tensor, *nn.Pass) {
	h := l.Attn.Forward(p, l.Norm.Forward(p, x), l.Query, l.Key, l.Value, *l.AttnDrop)
	x, p = p.KeptRows(x)
	return l.Drop.Residual(p, x, l.Out.Forward(p, h)), p
}

// CrossAttention is attention to the encoder's rows.
type CrossAttention struct {
	spago.Module
	Query    *nn.Linear   `hf:"EncDecAttention.q"` // C→heads·D
	Key      *nn.Linear   `hf:"EncDecAttention.k"`
	Value    *nn.Linear   `hf:"EncDecAttention.v"`
	Out      *nn.Linear   `hf:"EncDecAttention.o"` // heads·D→C
	AttnDrop *nn.Dropout  `hf:"EncDecAttention.dropout"`
	Norm     *nn.RMSNorm  `hf:"layer_norm"`
	Drop     *nn.Dropout  `hf:"dropout"`
	Attn     nn.Attention `hf:"-"` // heads; no weights
	config   Config       `hf:"-"`
}

func newCrossAttention(c Config, layer int) *CrossAttention {
	inner := c.Heads * c.HeadSize
	return &CrossAttention{
		Query: nn.NewLinear(c.Width, inner, false), Key: nn.NewLinear(c.Width, inner, false),
		Value: nn.NewLinear(c.Width, inner, false), Out: nn.NewLinear(inner, c.Width, false),
		AttnDrop: &nn.Dropout{P: c.Dropout, Silent: true}, Norm: c.norm(), Drop: c.drop(),
		Attn: c.attention(layer, false), config: c,
	}
}

// Forward returns x + drop(out(attention(norm(x), memory))), N×C.
func (l *CrossAttention) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	h := l.Attn.Cross(p, l.Norm.Forward(p, x), l.Query, l.Key, l.Value, *l.AttnDrop)
	return l.Drop.Residual(p, x, l.Out.Forward(p, h))
}

// FeedForward is a + drop(down(drop(act(up(norm(a)))))), with a second projection that the first one gates if
// feed_forward_proj says so.
type FeedForward struct {
	spago.Module
	Up     *nn.Linear     `hf:"DenseReluDense.wi"`   // C→F; nil if gated
	Gate   *nn.Linear     `hf:"DenseReluDense.wi_0"` // C→F; nil unless gated
	Gated  *nn.Linear     `hf:"DenseReluDense.wi_1"` // C→F; nil unless gated
	Down   *nn.Linear     `hf:"DenseReluDense.wo"`   // F→C
	Inner  *nn.Dropout    `hf:"DenseReluDense.dropout"`
	Act    *nn.Activation `hf:"DenseReluDense.act"`
	Norm   *nn.RMSNorm    `hf:"layer_norm"`
	Drop   *nn.Dropout    `hf:"dropout"`
	config Config         `hf:"-"`
}

func newFeedForward(c Config) *FeedForward {
	name, gated := c.activation()
	act, err := nn.NewActivation(name)
	if err != nil {
		panic(err) // Check has accepted it
	}
	l := &FeedForward{
		Down: nn.NewLinear(c.FeedForward, c.Width, false), Inner: c.drop(), Act: act, Norm: c.norm(), Drop: c.drop(),
		config: c,
	}
	if gated {
		l.Gate, l.Gated = nn.NewLinear(c.Width, c.FeedForward, false), nn.NewLinear(c.Width, c.FeedForward, false)
	} else {
		l.Up = nn.NewLinear(c.Width, c.FeedForward, false)
	}
	return l
}

// Forward takes and returns N×C.
func (l *FeedForward) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	n := l.Norm.Forward(p, x)
	var h mat.Tensor
	if l.Up != nil {
		h = l.Act.Forward(p, l.Up.Forward(p, n))
	} else {
		h = nn.Gated(p, n, l.Gate, l.Act, l.Gated)
	}
	return l.Drop.Residual(p, x, l.Down.Forward(p, l.Inner.Forward(p, h)))
}

func (c Config) norm() *nn.RMSNorm {
	n := nn.NewRMSNorm(c.Width, c.LayerNormEpsilon, classes[c.ModelType]+"LayerNorm")
	n.Plain = true
	return n
}

func (c Config) drop() *nn.Dropout { return &nn.Dropout{P: c.Dropout} }

// attention returns the heads of a layer. T5 does not scale products; its initial weights make up for that.
func (c Config) attention(layer int, causal bool) nn.Attention {
	return nn.Attention{Heads: c.Heads, KV: c.Heads, Dim: c.HeadSize, Scale: 1, Causal: causal, Layer: layer}
}

func inverseRoot(n int) float64 { return 1 / math.Sqrt(float64(n)) }
