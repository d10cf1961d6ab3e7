package bert

import (
	"errors"
	"fmt"

	"github.com/spalora/spalora/nn"
	"github.com/spalora/spalora/nn/op"
)

// Config holds the fields of config.json that the model needs. DefaultConfig has transformers' defaults for fields
// that a file leaves out.
type Config struct {
	ModelType             string   `json:"model_type"`
	VocabSize             int      `json:"vocab_size"`
	HiddenSize            int      `json:"hidden_size"`
	NumHiddenLayers       int      `json:"num_hidden_layers"`
	NumAttentionHeads     int      `json:"num_attention_heads"`
	IntermediateSize      int      `json:"intermediate_size"`
	HiddenAct             string   `json:"hidden_act"`
	HiddenDropout         float32  `json:"hidden_dropout_prob"`
	AttentionDropout      float32  `json:"attention_probs_dropout_prob"`
	ClassifierDropout     *float32 `json:"classifier_dropout"` // nil: HiddenDropout
	MaxPositions          int      `json:"max_position_embeddings"`
	TypeVocabSize         int      `json:"type_vocab_size"`
	InitializerRange      float64  `json:"initializer_range"`
	LayerNormEps          float32  `json:"layer_norm_eps"`
	PadTokenID            *int     `json:"pad_token_id"`
	PositionEmbeddingType string   `json:"position_embedding_type"`
	IsDecoder             bool     `json:"is_decoder"`
	AddCrossAttention     bool     `json:"add_cross_attention"`
}

// DefaultConfig returns the values of transformers' BertConfig(), which are BERT-base.
func DefaultConfig() Config {
	pad := 0
	return Config{
		ModelType: "bert", VocabSize: 30522, HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12,
		IntermediateSize: 3072, HiddenAct: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1, MaxPositions: 512,
		TypeVocabSize: 2, InitializerRange: 0.02, LayerNormEps: 1e-12, PadTokenID: &pad, PositionEmbeddingType: "absolute",
	}
}

// Check returns an error that lists every field that the model cannot be built with.
func (c Config) Check() error {
	var k nn.ConfigCheck
	c.CheckInto(&k)
	return k.Err("bert: config.json")
}

// CheckInto adds the problems that Check reports to k, for configurations that embed this one.
func (c Config) CheckInto(k *nn.ConfigCheck) {
	k.Size("vocab_size", c.VocabSize, nn.MaxVocabulary)
	k.Size("hidden_size", c.HiddenSize, nn.MaxWidth)
	k.Size("num_hidden_layers", c.NumHiddenLayers, nn.MaxLayers)
	k.Size("num_attention_heads", c.NumAttentionHeads, nn.MaxWidth)
	k.Size("intermediate_size", c.IntermediateSize, nn.MaxWidth)
	k.Size("max_position_embeddings", c.MaxPositions, nn.MaxVocabulary)
	k.Size("type_vocab_size", c.TypeVocabSize, nn.MaxVocabulary)
	if c.NumAttentionHeads > 0 && c.HiddenSize%c.NumAttentionHeads != 0 {
		k.Add(fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads))
	}
	k.Probability("hidden_dropout_prob", c.HiddenDropout)
	k.Probability("attention_probs_dropout_prob", c.AttentionDropout)
	if c.ClassifierDropout != nil {
		k.Probability("classifier_dropout", *c.ClassifierDropout)
	}
	k.Eps("layer_norm_eps", c.LayerNormEps)
	k.Initializer(c.InitializerRange)
	if _, err := op.ParseActivation(c.HiddenAct); err != nil {
		k.Add(fmt.Errorf("hidden_act: %w", err))
	}
	if c.PositionEmbeddingType != "absolute" && c.PositionEmbeddingType != "" {
		k.Add(fmt.Errorf("position_embedding_type %q is not supported; want absolute", c.PositionEmbeddingType))
	}
	if c.IsDecoder || c.AddCrossAttention {
		k.Add(errors.New("is_decoder and add_cross_attention are not supported: this is the encoder"))
	}
	if c.PadTokenID != nil && (*c.PadTokenID < 0 || *c.PadTokenID >= c.VocabSize) {
		k.Add(fmt.Errorf("pad_token_id %d is outside the vocabulary of %d", *c.PadTokenID, c.VocabSize))
	}
}

// ClassPrefix returns the beginning of transformers' class names. Other model types are built of the same blocks.
func (c Config) ClassPrefix() string {
	switch c.ModelType {
	case "roberta":
		return "Roberta"
	case "xlm-roberta":
		return "XLMRoberta"
	case "electra":
		return "Electra"
	}
	return "Bert"
}

// limits returns the limits of the inputs.
func (c Config) limits() nn.Limits {
	return nn.Limits{Positions: c.MaxPositions, Words: c.VocabSize, Types: c.TypeVocabSize}
}

// Padding returns the padding token, or op.NoPadding if there is none.
func (c Config) Padding() int {
	if c.PadTokenID == nil {
		return op.NoPadding
	}
	return *c.PadTokenID
}

// HeadDropout returns the dropout probability before a classifier.
func (c Config) HeadDropout() float32 {
	if c.ClassifierDropout != nil {
		return *c.ClassifierDropout
	}
	return c.HiddenDropout
}
