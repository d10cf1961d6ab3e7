package distilbert

import (
	"fmt"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Config holds the fields of config.json that the model needs. DefaultConfig has transformers' defaults for fields
// that a file leaves out. Sinusoidal positions (sinusoidal_pos_embds) are in the file as any other
// table.
type Config struct {
	ModelType        string  `json:"model_type"`
	VocabSize        int     `json:"vocab_size"`
	MaxPositions     int     `json:"max_position_embeddings"`
	Width            int     `json:"dim"`
	Layers           int     `json:"n_layers"`
	Heads            int     `json:"n_heads"`
	Inner            int     `json:"hidden_dim"`
	Activation       string  `json:"activation"`
	Dropout          float32 `json:"dropout"`
	AttentionDropout float32 `json:"attention_dropout"`
	QADropout        float32 `json:"qa_dropout"`          // question answering
	SequenceDropout  float32 `json:"seq_classif_dropout"` // sequence classification and multiple choice
	InitializerRange float64 `json:"initializer_range"`
	PadTokenID       *int    `json:"pad_token_id"`
}

// normEps is added to the variance in norms. It is not in config.json.
const normEps = 1e-12

// DefaultConfig returns the values of transformers' DistilBertConfig(), which are DistilBERT-base.
func DefaultConfig() Config {
	pad := 0
	return Config{
		ModelType: "distilbert", VocabSize: 30522, MaxPositions: 512, Width: 768, Layers: 6, Heads: 12, Inner: 3072,
		Activation: "gelu", Dropout: 0.1, AttentionDropout: 0.1, QADropout: 0.1, SequenceDropout: 0.2,
		InitializerRange: 0.02, PadTokenID: &pad,
	}
}

// Check returns an error that lists every field that the model cannot be built with.
func (c Config) Check() error {
	var k nn.ConfigCheck
	k.Size("vocab_size", c.VocabSize, nn.MaxVocabulary)
	k.Size("max_position_embeddings", c.MaxPositions, nn.MaxVocabulary)
	k.Size("dim", c.Width, nn.MaxWidth)
	k.Size("n_layers", c.Layers, nn.MaxLayers)
	k.Size("n_heads", c.Heads, nn.MaxWidth)
	k.Size("hidden_dim", c.Inner, nn.MaxWidth)
	if c.Heads > 0 && c.Width%c.Heads != 0 {
		k.Add(fmt.Errorf("dim %d is not a multiple of n_heads %d", c.Width, c.Heads))
	}
	k.Probability("dropout", c.Dropout)
	k.Probability("attention_dropout", c.AttentionDropout)
	k.Probability("qa_dropout", c.QADropout)
	k.Probability("seq_classif_dropout", c.SequenceDropout)
	k.Initializer(c.InitializerRange)
	if _, err := op.ParseActivation(c.Activation); err != nil {
		k.Add(fmt.Errorf("activation: %w", err))
	}
	if c.PadTokenID != nil && (*c.PadTokenID < 0 || *c.PadTokenID >= c.VocabSize) {
		k.Add(fmt.Errorf("pad_token_id %d is outside the vocabulary of %d", *c.PadTokenID, c.VocabSize))
	}
	return k.Err("distilbert: config.json")
}

// limits returns the limits of the inputs.
func (c Config) limits() nn.Limits { return nn.Limits{Positions: c.MaxPositions, Words: c.VocabSize} }

// padding returns the padding token, or op.NoPadding if there is none.
func (c Config) padding() int {
	if c.PadTokenID == nil {
		return op.NoPadding
	}
	return *c.PadTokenID
}
