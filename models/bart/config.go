package bart

import (
	"fmt"
	"math"

	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
)

// Config holds the fields of config.json that the model needs. DefaultConfig has transformers' defaults for fields
// that a file leaves out.
type Config struct {
	ModelType          string  `json:"model_type"`
	VocabSize          int     `json:"vocab_size"`
	Width              int     `json:"d_model"`
	MaxPositions       int     `json:"max_position_embeddings"`
	EncoderLayers      int     `json:"encoder_layers"`
	EncoderFeedForward int     `json:"encoder_ffn_dim"`
	EncoderHeads       int     `json:"encoder_attention_heads"`
	DecoderLayers      int     `json:"decoder_layers"`
	DecoderFeedForward int     `json:"decoder_ffn_dim"`
	DecoderHeads       int     `json:"decoder_attention_heads"`
	EncoderLayerDrop   float32 `json:"encoder_layerdrop"`
	DecoderLayerDrop   float32 `json:"decoder_layerdrop"`
	Activation         string  `json:"activation_function"`
	Dropout            float32 `json:"dropout"`
	AttentionDropout   float32 `json:"attention_dropout"`
	ActivationDropout  float32 `json:"activation_dropout"`
	InitStd            float64 `json:"init_std"`
	ScaleEmbedding     bool    `json:"scale_embedding"`
	PadTokenID         int     `json:"pad_token_id"`
	DecoderStart       *int    `json:"decoder_start_token_id"` // mbart: nil, the target's last token
	TieWordEmbeddings  bool    `json:"tie_word_embeddings"`
	ShareEmbeddings    bool    `json:"share_encoder_decoder_embeddings"` // marian
	DecoderVocabSize   *int    `json:"decoder_vocab_size"`               // marian; nil: vocab_size
	HeadDropout        float32 `json:"classifier_dropout"`

	End arch.EndToken `json:"eos_token_id"` // of sources, which the head for sequences reads
}

// family says what distinguishes a model type.
type family struct {
	class         string // beginning of class names
	model         string // class of the model with its head, without the beginning
	before        bool   // norms are before branches; a last one follows the blocks
	learned       bool   // positions are learned, from row 2 on; otherwise sinusoidal
	embeddingNorm bool
	scaledClass   bool // tables have a class of their own
}

var families = map[string]family{
	"bart": {
		class: "Bart", model: "ForConditionalGeneration", learned: true, embeddingNorm: true, scaledClass: true,
	},
	"mbart": {
		class: "MBart", model: "ForConditionalGeneration", before: true, learned: true, embeddingNorm: true,
		scaledClass: true,
	},
	"marian":  {class: "Marian", model: "MTModel"},
	"pegasus": {class: "Pegasus", model: "ForConditionalGeneration", before: true},
}

// DefaultConfig returns the defaults of transformers' configuration class of a model type: bart, mbart, marian or
// pegasus. Another type is an error.
func DefaultConfig(modelType string) (Config, error) {
	if _, ok := families[modelType]; !ok {
		return Config{}, fmt.Errorf("bart: model_type %q is not of this family", modelType)
	}
	c := Config{
		ModelType: modelType, VocabSize: 50265, Width: 1024, MaxPositions: 1024, EncoderLayers: 12, EncoderFeedForward: 4096,
		EncoderHeads: 16, DecoderLayers: 12, DecoderFeedForward: 4096, DecoderHeads: 16, Activation: "gelu", Dropout: 0.1,
		InitStd: 0.02, PadTokenID: 1, TieWordEmbeddings: true, ShareEmbeddings: true, End: 2,
	}
	start := 2
	switch modelType {
	case "mbart":
		return c, nil
	case "marian":
		c.VocabSize, c.PadTokenID, start = 58101, 58100, 58100
	case "pegasus":
		c.PadTokenID, start = 0, 0
	}
	c.DecoderStart = &start
	return c, nil
}

func (c Config) family() family { return families[c.ModelType] }

// class returns the name of a class in the printed tree.
func (c Config) class(name string) string { return c.family().class + name }

// embeddingScale returns the factor of looked-up words.
func (c Config) embeddingScale() float32 {
	if !c.ScaleEmbedding {
		return 1
	}
	return float32(math.Sqrt(float64(c.Width)))
}

// Check returns an error that lists every field that the model cannot be built with.
func (c Config) Check() error {
	var k nn.ConfigCheck
	if _, ok := families[c.ModelType]; !ok {
		k.Add(fmt.Errorf("model_type %q is not of this family", c.ModelType))
	}
	k.Size("vocab_size", c.VocabSize, nn.MaxVocabulary)
	k.Size("d_model", c.Width, nn.MaxWidth)
	k.Size("max_position_embeddings", c.MaxPositions, nn.MaxVocabulary)
	k.Size("encoder_ffn_dim", c.EncoderFeedForward, nn.MaxWidth)
	k.Size("decoder_ffn_dim", c.DecoderFeedForward, nn.MaxWidth)
	k.Size("encoder_layers", c.EncoderLayers, nn.MaxLayers)
	k.Size("decoder_layers", c.DecoderLayers, nn.MaxLayers)
	for _, side := range []struct {
		name      string
		heads     int
		layerDrop float32
	}{{"encoder", c.EncoderHeads, c.EncoderLayerDrop}, {"decoder", c.DecoderHeads, c.DecoderLayerDrop}} {
		k.Size(side.name+"_attention_heads", side.heads, nn.MaxWidth)
		if side.heads > 0 && c.Width%side.heads != 0 {
			k.Add(fmt.Errorf("d_model %d is not a multiple of %s_attention_heads %d", c.Width, side.name, side.heads))
		}
		if side.layerDrop != 0 {
			k.Add(fmt.Errorf("%s_layerdrop %g is not supported; write 0", side.name, side.layerDrop))
		}
	}
	if _, err := nn.NewActivation(c.Activation); err != nil {
		k.Add(fmt.Errorf("activation_function: %w", err))
	}
	k.Probability("dropout", c.Dropout)
	k.Probability("attention_dropout", c.AttentionDropout)
	k.Probability("activation_dropout", c.ActivationDropout)
	k.Probability("classifier_dropout", c.HeadDropout)
	if !(c.InitStd >= 0 && c.InitStd <= 100) {
		k.Add(fmt.Errorf("init_std is %g; want 0 to 100", c.InitStd))
	}
	if c.PadTokenID < 0 || c.PadTokenID >= c.VocabSize {
		k.Add(fmt.Errorf("pad_token_id %d is outside the vocabulary of %d", c.PadTokenID, c.VocabSize))
	}
	if s := c.DecoderStart; s != nil && (*s < 0 || *s >= c.VocabSize) {
		k.Add(fmt.Errorf("decoder_start_token_id %d is outside the vocabulary of %d", *s, c.VocabSize))
	}
	if c.DecoderStart == nil && c.ModelType != "mbart" {
		k.Add(fmt.Errorf("decoder_start_token_id is missing"))
	}
	if !c.ShareEmbeddings || c.DecoderVocabSize != nil && *c.DecoderVocabSize != c.VocabSize {
		k.Add(fmt.Errorf("separate vocabularies of encoder and decoder are not supported"))
	}
	return k.Err("bart: config.json")
}

func (c Config) limits() nn.Limits { return nn.Limits{Positions: c.MaxPositions, Words: c.VocabSize} }
