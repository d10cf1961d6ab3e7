package bart

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
)

// Attention is multi-head attention with its projections, to the own rows or to those of the encoder.
type Attention struct {
	spago.Module
	Key   *nn.Linear   `hf:"k_proj"` // C→C, all four
	Value *nn.Linear   `hf:"v_proj"`
	Query *nn.Linear   `hf:"q_proj"`
	Out   *nn.Linear   `hf:"out_proj"`
	Drop  *nn.Dropout  `hf:"dropout"`
	Attn  nn.Attention `hf:"-"` // heads; no weights
	class string       `hf:"-"`
}

func (b Block) attention(layer int, causal bool) *Attention {
	w := b.common.Width
	return &Attention{
		Key: nn.NewLinear(w, w, b.KeyBias), Value: nn.NewLinear(w, w, true), Query: nn.NewLinear(w, w, true),
		Out: nn.NewLinear(w, w, true), Drop: silent(b.common.AttentionDropout), class: b.Class + "Attention",
		Attn: nn.Attention{Heads: b.Heads, KV: b.Heads, Dim: w / b.Heads, Causal: causal, Layer: layer},
	}
}

// own returns attention of x (N×C) to itself before the last projection, N×C, or p.Keep's rows of it.
func (l *Attention) own(p *nn.Pass, x mat.Tensor) mat.Tensor {
	return l.Attn.Forward(p, x, l.Query, l.Key, l.Value, *l.Drop)
}

// cross returns attention of x (N×C) to p.Memory, N×C.
func (l *Attention) cross(p *nn.Pass, x mat.Tensor) mat.Tensor {
	return l.Out.Forward(p, l.Attn.Cross(p, x, l.Query, l.Key, l.Value, *l.Drop))
}

// EncoderLayer is one block of the encoder. N is the number of rows of all sequences. With the norms after branches
// (BART, Marian) and before them (mBART, Pegasus, Whisper) it is
//
//	a = attnNorm(x + drop(attention(x)))    a = x + drop(attention(attnNorm(x)))
//	y = norm(a + drop(down(gelu(up(a)))))   y = a + drop(down(gelu(up(norm(a)))))
type EncoderLayer struct {
	spago.Module
	Attn     *Attention     `hf:"self_attn"`
	AttnNorm *nn.LayerNorm  `hf:"self_attn_layer_norm"`
	Act      *nn.Activation `hf:"activation_fn"`
	Up       *nn.Linear     `hf:"fc1"` // C→F
	Down     *nn.Linear     `hf:"fc2"` // F→C
	Norm     *nn.LayerNorm  `hf:"final_layer_norm"`
	AttnDrop *nn.Dropout    `hf:"attention_dropout"`
	ActDrop  *nn.Dropout    `hf:"activation_dropout"`
	Drop     *nn.Dropout    `hf:"dropout"`
	block    Block          `hf:"-"`
}

// NewEncoderLayer returns a block with empty weights.
func NewEncoderLayer(b Block) *EncoderLayer {
	c := b.common
	return &EncoderLayer{
		Attn: b.attention(0, false), AttnNorm: c.Norm(), Act: c.activation(),
		Up: nn.NewLinear(c.Width, b.FeedForward, true), Down: nn.NewLinear(b.FeedForward, c.Width, true), Norm: c.Norm(),
		AttnDrop: silent(c.Dropout), ActDrop: silent(c.ActivationDropout), Drop: silent(c.Dropout), block: b,
	}
}

// Forward turns x (N×C) into the block's output: N×C, or p.Keep's rows of it.
func (l *EncoderLayer) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	h := l.Attn.own(p, l.block.before(p, x, l.AttnNorm))
	x, p = p.KeptRows(x)
	a := l.block.after(p, x, l.Attn.Out.Forward(p, h), l.AttnNorm, l.AttnDrop)
	h = l.ActDrop.Forward(p, l.Act.Forward(p, l.Up.Forward(p, l.block.before(p, a, l.Norm))))
	return l.block.after(p, a, l.Down.Forward(p, h), l.Norm, l.Drop)
}

// DecoderLayer is one block of the decoder, with attention to the encoder's rows between that to earlier rows and the
// feed-forward part. Norms are as in [EncoderLayer].
type DecoderLayer struct {
	spago.Module
	Attn      *Attention     `hf:"self_attn"`
	Act       *nn.Activation `hf:"activation_fn"`
	AttnNorm  *nn.LayerNorm  `hf:"self_attn_layer_norm"`
	Cross     *Attention     `hf:"encoder_attn"`
	CrossNorm *nn.LayerNorm  `hf:"encoder_attn_layer_norm"`
	Up        *nn.Linear     `hf:"fc1"` // C→F
	Down      *nn.Linear     `hf:"fc2"` // F→C
	Norm      *nn.LayerNorm  `hf:"final_layer_norm"`
	AttnDrop  *nn.Dropout    `hf:"attention_dropout"`
	CrossDrop *nn.Dropout    `hf:"encoder_attention_dropout"`
	ActDrop   *nn.Dropout    `hf:"activation_dropout"`
	Drop      *nn.Dropout    `hf:"dropout"`
	block     Block          `hf:"-"`
}

// NewDecoderLayer returns the block with the given index, with empty weights.
func NewDecoderLayer(b Block, layer int) *DecoderLayer {
	c := b.common
	return &DecoderLayer{
		Attn: b.attention(layer, true), Act: c.activation(), AttnNorm: c.Norm(),
		Cross: b.attention(layer, false), CrossNorm: c.Norm(),
		Up: nn.NewLinear(c.Width, b.FeedForward, true), Down: nn.NewLinear(b.FeedForward, c.Width, true), Norm: c.Norm(),
		AttnDrop: silent(c.Dropout), CrossDrop: silent(c.Dropout), ActDrop: silent(c.ActivationDropout),
		Drop: silent(c.Dropout), block: b,
	}
}

// Forward turns x (N×C) into the block's output: N×C, or p.Keep's rows of it.
func (l *DecoderLayer) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	h := l.Attn.own(p, l.block.before(p, x, l.AttnNorm))
	x, p = p.KeptRows(x)
	a := l.block.after(p, x, l.Attn.Out.Forward(p, h), l.AttnNorm, l.AttnDrop)
	h = l.Cross.cross(p, l.block.before(p, a, l.CrossNorm))
	b := l.block.after(p, a, h, l.CrossNorm, l.CrossDrop)
	h = l.ActDrop.Forward(p, l.Act.Forward(p, l.Up.Forward(p, l.block.before(p, b, l.Norm))))
	return l.block.after(p, b, l.Down.Forward(p, h), l.Norm, l.Drop)
}

// before returns the input of a branch: norm(x) if norms are before branches, otherwise x.
func (b Block) before(p *nn.Pass, x mat.Tensor, norm *nn.LayerNorm) mat.Tensor {
	if b.Before {
		return norm.Forward(p, x)
	}
	return x
}

// after returns x + drop(h), normalised if norms are after branches.
func (b Block) after(p *nn.Pass, x, h mat.Tensor, norm *nn.LayerNorm, drop *nn.Dropout) mat.Tensor {
	if b.Before {
		return drop.Residual(p, x, h)
	}
	return norm.Residual(p, x, h, *drop)
}

// silent returns dropout that the printed tree does not show.
func silent(p float32) *nn.Dropout { return &nn.Dropout{P: p, Silent: true} }

// Class names the block in the printed tree.
func (l *EncoderLayer) Class() string { return l.block.Class + "EncoderLayer" }

// Class names the block in the printed tree.
func (l *DecoderLayer) Class() string { return l.block.Class + "DecoderLayer" }

// Class names the layer in the printed tree.
func (l *Attention) Class() string { return l.class }
