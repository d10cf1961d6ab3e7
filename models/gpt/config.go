package gpt

import (
	"errors"
	"fmt"

	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Config holds the fields of config.json that the model needs. DefaultConfig has transformers' defaults for fields
// that a file leaves out.
type Config struct {
	ModelType           string   `json:"model_type"`
	VocabSize           int      `json:"vocab_size"`
	Positions           int      `json:"n_positions"`
	Width               int      `json:"n_embd"`
	Layers              int      `json:"n_layer"`
	Heads               int      `json:"n_head"`
	Inner               *int     `json:"n_inner"` // nil: 4·n_embd
	Activation          string   `json:"activation_function"`
	ResidualDropout     float32  `json:"resid_pdrop"`
	EmbeddingDropout    float32  `json:"embd_pdrop"`
	AttentionDropout    float32  `json:"attn_pdrop"`
	LayerNormEpsilon    float32  `json:"layer_norm_epsilon"`
	InitializerRange    float64  `json:"initializer_range"`
	ScaleWeights        bool     `json:"scale_attn_weights"`
	ScaleByInverseLayer bool     `json:"scale_attn_by_inverse_layer_idx"`
	TieWordEmbeddings   bool     `json:"tie_word_embeddings"`
	PadTokenID          *int     `json:"pad_token_id"` // skipped at the end of sequences to classify; nil: none
	AddCrossAttention   bool     `json:"add_cross_attention"`
	ClassifierDropout   *float32 `json:"classifier_dropout"` // token classification; nil: hidden_dropout, else 0.1
	HiddenDropout       *float32 `json:"hidden_dropout"`
}

// DefaultConfig returns the values of transformers' GPT2Config(), which are GPT-2 (124M).
func DefaultConfig() Config {
	return Config{
		ModelType: "gpt2", VocabSize: 50257, Positions: 1024, Width: 768, Layers: 12, Heads: 12, Activation: "gelu_new",
		ResidualDropout: 0.1, EmbeddingDropout: 0.1, AttentionDropout: 0.1, LayerNormEpsilon: 1e-5, InitializerRange: 0.02,
		ScaleWeights: true, TieWordEmbeddings: true,
	}
}

// inner returns the width of the feed-forward.
func (c Config) inner() int {
	if c.Inner != nil {
		return *c.Inner
	}
	return 4 * c.Width
}

// padding returns the padding token, or op.NoPadding if there is none.
func (c Config) padding() int {
	if c.PadTokenID != nil && *c.PadTokenID >= 0 {
		return *c.PadTokenID
	}
	return op.NoPadding
}

// Check returns an error that lists every field that the model cannot be built with.
func (c Config) Check() error {
	var k nn.ConfigCheck
	k.Size("vocab_size", c.VocabSize, nn.MaxVocabulary)
	k.Size("n_positions", c.Positions, nn.MaxVocabulary)
	k.Size("n_embd", c.Width, nn.MaxWidth)
	k.Size("n_layer", c.Layers, nn.MaxLayers)
	k.Size("n_head", c.Heads, nn.MaxWidth)
	k.Size("n_inner", c.inner(), nn.MaxWidth)
	if c.Heads > 0 && c.Width%c.Heads != 0 {
		k.Add(fmt.Errorf("n_embd %d is not a multiple of n_head %d", c.Width, c.Heads))
	}
	k.Probability("resid_pdrop", c.ResidualDropout)
	k.Probability("embd_pdrop", c.EmbeddingDropout)
	k.Probability("attn_pdrop", c.AttentionDropout)
	k.Probability("classifier_dropout", c.classifierDropout())
	k.Eps("layer_norm_epsilon", c.LayerNormEpsilon)
	k.Initializer(c.InitializerRange)
	if _, err := op.ParseActivation(c.Activation); err != nil {
		k.Add(fmt.Errorf("activation_function: %w", err))
	}
	if c.AddCrossAttention {
		k.Add(errors.New("add_cross_attention is not supported: this is the decoder alone"))
	}
	return k.Err("gpt: config.json")
}

// classifierDropout returns the dropout probability before the head of token classification.
func (c Config) classifierDropout() float32 {
	switch {
	case c.ClassifierDropout != nil:
		return *c.ClassifierDropout
	case c.HiddenDropout != nil:
		return *c.HiddenDropout
	}
	return 0.1
}

// limits returns the limits of the inputs.
func (c Config) limits() nn.Limits { return nn.Limits{Positions: c.Positions, Words: c.VocabSize} }

// Full returns the configuration with n_inner filled in.
func (c Config) Full() arch.Config {
	inner := c.inner()
	c.Inner = &inner
	return c
}
