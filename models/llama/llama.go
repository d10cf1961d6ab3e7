package llama

import (
	"github.com/nlpodyssey/spago/mat"
	spago "github.com/nlpodyssey/spago/nn"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Model is the decoder without a head (transformers' LlamaModel and its kin).
type Model struct {
	spago.Module
	Config     Config        `hf:"-"`
	Words      *nn.Embedding `hf:"embed_tokens"` // V×C
	Layers     []*Layer      `hf:"layers"`
	Norm       *nn.RMSNorm   `hf:"norm"`
	RotaryNote *nn.Note      `hf:"rotary_emb"`
	rotary     *rotary       `hf:"-"`
}

// New returns the decoder with empty weights. The configuration must have passed Check.
func New(c Config) *Model {
	pad := op.NoPadding
	if c.PadTokenID != nil && *c.PadTokenID >= 0 {
		pad = *c.PadTokenID
	}
	m := &Model{
		Config: c, Words: nn.NewEmbedding(c.VocabSize, c.HiddenSize, pad), Norm: c.norm(c.HiddenSize),
		RotaryNote: &nn.Note{Text: c.class("RotaryEmbedding()")}, rotary: newRotary(c),
	}
	for i := range c.Layers {
		m.Layers = append(m.Layers, newLayer(c, i))
	}
	return m
}

// class returns the name of a class in the printed tree.
func (c Config) class(name string) string { return families[c.ModelType] + name }

func (c Config) norm(cols int) *nn.RMSNorm {
	return nn.NewRMSNorm(cols, c.RMSNormEps, c.class("RMSNorm"))
}

// Forward returns the normalised hidden states after the last layer: N×C for N ids, or p.Keep's rows of it. It
// implements [nn.Decoder].
func (m *Model) Forward(p *nn.Pass, ids []int32) mat.Tensor {
	q := *p
	q.Rotary = m.rotary.angles(p)
	x := m.Words.Forward(&q, ids)
	return m.Norm.Forward(q.After(), nn.Stack(&q, x, m.Layers))
}

// Layer is one pre-norm block. Rows are tokens, N = ΣT:
//
//	a = x + out(attention(query(norm1(x)), key(norm1(x)), value(norm1(x))))
//	y = a + down(silu(gate(norm2(a))) ∘ up(norm2(a)))
type Layer struct {
	spago.Module
	Query     *nn.Linear   `hf:"self_attn.q_proj"` // C→heads·D
	Key       *nn.Linear   `hf:"self_attn.k_proj"` // C→KV·D
	Value     *nn.Linear   `hf:"self_attn.v_proj"` // C→KV·D
	Out       *nn.Linear   `hf:"self_attn.o_proj"` // heads·D→C
	QueryNorm *nn.RMSNorm  `hf:"self_attn.q_norm"` // of each head; qwen3 only
	KeyNorm   *nn.RMSNorm  `hf:"self_attn.k_norm"`
	Gate      *nn.Linear   `hf:"mlp.gate_proj"` // C→F
	Up        *nn.Linear   `hf:"mlp.up_proj"`   // C→F
	Down      *nn.Linear   `hf:"mlp.down_proj"` // F→C
	Act       *nn.Note     `hf:"mlp.act_fn"`
	Norm1     *nn.RMSNorm  `hf:"input_layernorm"`
	Norm2     *nn.RMSNorm  `hf:"post_attention_layernorm"`
	Attn      nn.Attention `hf:"-"` // heads; no weights
	AttnDrop  *nn.Dropout  `hf:"self_attn.attention_dropout"`
	config    Config       `hf:"-"`
}

func newLayer(c Config, layer int) *Layer {
	w, d, kv, f := c.HiddenSize, c.headSize(), c.keyValueHeads(), c.IntermediateSize
	qkv, out := c.biases()
	l := &Layer{
		config: c,
		Query:  nn.NewLinear(w, c.Heads*d, qkv), Key: nn.NewLinear(w, kv*d, qkv), Value: nn.NewLinear(w, kv*d, qkv),
		Out:  nn.NewLinear(c.Heads*d, w, out),
		Gate: nn.NewLinear(w, f, c.mlpBias()), Up: nn.NewLinear(w, f, c.mlpBias()), Down: nn.NewLinear(f, w, c.mlpBias()),
		Act: &nn.Note{Text: "SiLUActivation()"}, Norm1: c.norm(w), Norm2: c.norm(w),
		AttnDrop: &nn.Dropout{P: c.AttentionDropout, Silent: true},
	}
	if c.ModelType == "qwen3" {
		l.QueryNorm, l.KeyNorm = c.norm(d), c.norm(d)
	}
	l.Attn = nn.Attention{
		Heads: c.Heads, KV: kv, Dim: d, Causal: true, Window: c.window(layer), Layer: layer, QueryNorm: l.QueryNorm,
		KeyNorm: l.KeyNorm,
	}
	return l
}

func (c Config) mlpBias() bool { return c.MLPBias && c.ModelType == "llama" }

// Forward turns x (N×C) into the block's output: N×C, or p.Keep's rows of it. Rows that are not kept only serve as
// keys and values.
func (l *Layer) Forward(p *nn.Pass, x mat.Tensor) mat.Tensor {
	h := l.Attn.Forward(p, l.Norm1.Forward(p, x), l.Query, l.Key, l.Value, *l.AttnDrop)
	x, p = p.KeptRows(x)
	a := op.Add(p.Tape, x, l.Out.Forward(p, h))
	return op.Add(p.Tape, a, nn.GatedFeedForward(p, l.Norm2.Forward(p, a), l.Gate, l.Up, l.Down))
}

// Class names the decoder in the printed tree.
func (m *Model) Class() string { return m.Config.class("Model") }

// Class names the block in the printed tree.
func (l *Layer) Class() string { return l.config.class("DecoderLayer") }

// Groups names the modules of dotted tags.
func (l *Layer) Groups() map[string]string {
	return map[string]string{"self_attn": l.config.class("Attention"), "mlp": l.config.class("MLP")}
}
