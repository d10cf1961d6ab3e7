package bert

import (
	"errors"
	"fmt"

	"github.com/spalora/spalora/nn/op"
)

// Config is the part of config.json that the model needs, under its names there. DefaultConfig has transformers'
// defaults for what a file leaves out.
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

// DefaultConfig returns BERT-base as transformers' BertConfig() has it.
func DefaultConfig() Config {
	pad := 0
	return Config{
		ModelType: "bert", VocabSize: 30522, HiddenSize: 768, NumHiddenLayers: 12, NumAttentionHeads: 12, IntermediateSize: 3072,
		HiddenAct: "gelu", HiddenDropout: 0.1, AttentionDropout: 0.1, MaxPositions: 512, TypeVocabSize: 2,
		InitializerRange: 0.02, LayerNormEps: 1e-12, PadTokenID: &pad, PositionEmbeddingType: "absolute",
	}
}

// Sizes beyond these are refused before anything is allocated: no BERT comes near, a damaged config easily does.
const (
	maxLayers = 1000
	maxWidth  = 1 << 20
	maxVocab  = 1 << 24

	maxInitializer = 100 // fresh weights must be finite
)

// Check reports everything in the configuration that the model cannot be built with, in one error.
func (c Config) Check() error {
	var errs []error
	size := func(name string, v, most int) {
		if v < 1 || v > most {
			errs = append(errs, fmt.Errorf("%s is %d; want 1 to %d", name, v, most))
		}
	}
	size("vocab_size", c.VocabSize, maxVocab)
	size("hidden_size", c.HiddenSize, maxWidth)
	size("num_hidden_layers", c.NumHiddenLayers, maxLayers)
	size("num_attention_heads", c.NumAttentionHeads, maxWidth)
	size("intermediate_size", c.IntermediateSize, maxWidth)
	size("max_position_embeddings", c.MaxPositions, maxVocab)
	size("type_vocab_size", c.TypeVocabSize, maxVocab)
	if c.NumAttentionHeads > 0 && c.HiddenSize%c.NumAttentionHeads != 0 {
		errs = append(errs, fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.NumAttentionHeads))
	}
	probability := func(name string, p float32) {
		if !(p >= 0 && p < 1) {
			errs = append(errs, fmt.Errorf("%s is %g; want at least 0 and below 1", name, p))
		}
	}
	probability("hidden_dropout_prob", c.HiddenDropout)
	probability("attention_probs_dropout_prob", c.AttentionDropout)
	if c.ClassifierDropout != nil {
		probability("classifier_dropout", *c.ClassifierDropout)
	}
	if !(c.LayerNormEps >= 0 && c.LayerNormEps < 1) {
		errs = append(errs, fmt.Errorf("layer_norm_eps is %g; want at least 0 and below 1", c.LayerNormEps))
	}
	if !(c.InitializerRange >= 0 && c.InitializerRange <= maxInitializer) {
		errs = append(errs, fmt.Errorf("initializer_range is %g; want 0 to %g", c.InitializerRange, float64(maxInitializer)))
	}
	if _, err := op.ParseActivation(c.HiddenAct); err != nil {
		errs = append(errs, fmt.Errorf("hidden_act: %w", err))
	}
	if c.PositionEmbeddingType != "absolute" && c.PositionEmbeddingType != "" {
		errs = append(errs, fmt.Errorf("position_embedding_type %q is not supported; want absolute", c.PositionEmbeddingType))
	}
	if c.IsDecoder || c.AddCrossAttention {
		errs = append(errs, errors.New("is_decoder and add_cross_attention are not supported: this is the encoder"))
	}
	if c.PadTokenID != nil && (*c.PadTokenID < 0 || *c.PadTokenID >= c.VocabSize) {
		errs = append(errs, fmt.Errorf("pad_token_id %d is outside the vocabulary of %d", *c.PadTokenID, c.VocabSize))
	}
	if len(errs) > 0 {
		return fmt.Errorf("bert: config.json: %w", errors.Join(errs...))
	}
	return nil
}
