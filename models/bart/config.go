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
	Common
	ModelType        string  `json:"model_type"`
	MaxPositions     int     `json:"max_position_embeddings"`
	ScaleEmbedding   bool    `json:"scale_embedding"`
	DecoderStart     *int    `json:"decoder_start_token_id"`           // mbart: nil, the target's last token
	ShareEmbeddings  bool    `json:"share_encoder_decoder_embeddings"` // marian
	DecoderVocabSize *int    `json:"decoder_vocab_size"`               // marian; nil: vocab_size
	HeadDropout      float32 `json:"classifier_dropout"`

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
		ModelType: modelType, MaxPositions: 1024, ShareEmbeddings: true, End: 2,
		Common: Common{
			VocabSize: 50265, Width: 1024, EncoderLayers: 12, EncoderFeedForward: 4096, EncoderHeads: 16, DecoderLayers: 12,
			DecoderFeedForward: 4096, DecoderHeads: 16, Activation: "gelu", Dropout: 0.1, InitStd: 0.02, PadTokenID: 1,
			TieWordEmbeddings: true,
		},
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

// encoder describes the layers of the encoder.
func (c Config) encoder() Block { return c.Encoder(c.style()) }

// decoder describes the layers of the decoder.
func (c Config) decoder() Block { return c.Decoder(c.style()) }

func (c Config) style() Style {
	return Style{Class: c.family().class, Before: c.family().before, KeyBias: true}
}

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
	c.Common.Check(&k)
	k.Size("max_position_embeddings", c.MaxPositions, nn.MaxVocabulary)
	k.Probability("classifier_dropout", c.HeadDropout)
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
