package t5

import (
	"fmt"
	"strings"

	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
)

// Config holds the fields of config.json that the model needs. DefaultConfig has transformers' defaults for fields
// that a file leaves out.
type Config struct {
	ModelType         string  `json:"model_type"`
	VocabSize         int     `json:"vocab_size"`
	Width             int     `json:"d_model"`
	HeadSize          int     `json:"d_kv"`
	FeedForward       int     `json:"d_ff"`
	Layers            int     `json:"num_layers"`
	DecoderLayers     *int    `json:"num_decoder_layers"` // nil: as many as the encoder has
	Heads             int     `json:"num_heads"`
	Buckets           int     `json:"relative_attention_num_buckets"`
	MaxDistance       int     `json:"relative_attention_max_distance"`
	Dropout           float32 `json:"dropout_rate"`
	LayerNormEpsilon  float32 `json:"layer_norm_epsilon"`
	InitializerFactor float64 `json:"initializer_factor"`
	FeedForwardProj   string  `json:"feed_forward_proj"` // relu, gated-gelu, gated-silu …
	PadTokenID        int     `json:"pad_token_id"`
	DecoderStart      *int    `json:"decoder_start_token_id"` // nil: pad_token_id
	HeadDropout       float32 `json:"classifier_dropout"`

	End arch.EndToken `json:"eos_token_id"` // of sources, which the head for sequences reads

	// Files of T5 1.1 say that their head has its own table, which for T5 also means that the decoder's rows are not
	// scaled before the head. transformers 5 writes the latter as a field of its own.
	TieWordEmbeddings   *bool `json:"tie_word_embeddings"`
	ScaleDecoderOutputs *bool `json:"scale_decoder_outputs"`
}

// classes maps the model types of this package to the prefix of their class names.
var classes = map[string]string{"t5": "T5", "mt5": "MT5"}

// DefaultConfig returns the defaults of transformers' configuration class of a model type: t5 or mt5. Another type is
// an error.
func DefaultConfig(modelType string) (Config, error) {
	if classes[modelType] == "" {
		return Config{}, fmt.Errorf("t5: model_type %q is not of this family", modelType)
	}
	c := Config{
		ModelType: modelType, VocabSize: 32128, Width: 512, HeadSize: 64, FeedForward: 2048, Layers: 6, Heads: 8,
		Buckets: 32, MaxDistance: 128, Dropout: 0.1, LayerNormEpsilon: 1e-6, InitializerFactor: 1, FeedForwardProj: "relu",
		End: 1,
	}
	if modelType == "mt5" {
		c.VocabSize, c.FeedForward, c.Layers, c.Heads, c.FeedForwardProj = 250112, 1024, 8, 6, "gated-gelu"
	}
	return c, nil
}

func (c Config) decoderLayers() int {
	if c.DecoderLayers == nil {
		return c.Layers
	}
	return *c.DecoderLayers
}

// start returns the id that the decoder starts with.
func (c Config) start() int {
	if c.DecoderStart == nil {
		return c.PadTokenID
	}
	return *c.DecoderStart
}

// ownHead reports whether config.json says that the head has its own table.
func (c Config) ownHead() bool { return c.TieWordEmbeddings != nil && !*c.TieWordEmbeddings }

// headScale returns the factor of the decoder's rows before the head.
func (c Config) headScale() float32 {
	scaled := !c.ownHead()
	if c.ScaleDecoderOutputs != nil {
		scaled = *c.ScaleDecoderOutputs
	}
	if c.ModelType == "mt5" || !scaled {
		return 1
	}
	return float32(inverseRoot(c.Width))
}

// activation returns the name of the activation in the feed-forward layers, and whether a second projection is gated
// by it.
func (c Config) activation() (name string, gated bool) {
	name, gated = strings.CutPrefix(c.FeedForwardProj, "gated-")
	if gated && name == "gelu" {
		name = "gelu_new"
	}
	return name, gated
}

// Check returns an error that lists every field that the model cannot be built with.
func (c Config) Check() error {
	var k nn.ConfigCheck
	if classes[c.ModelType] == "" {
		k.Add(fmt.Errorf("model_type %q is not of this family", c.ModelType))
	}
	k.Size("vocab_size", c.VocabSize, nn.MaxVocabulary)
	k.Size("d_model", c.Width, nn.MaxWidth)
	k.Size("d_kv", c.HeadSize, nn.MaxWidth)
	k.Size("d_ff", c.FeedForward, nn.MaxWidth)
	k.Size("num_layers", c.Layers, nn.MaxLayers)
	k.Size("num_decoder_layers", c.decoderLayers(), nn.MaxLayers)
	k.Size("num_heads", c.Heads, nn.MaxWidth)
	if c.Heads > 0 && c.HeadSize > nn.MaxWidth/c.Heads {
		k.Add(fmt.Errorf("d_kv %d times num_heads %d is too large", c.HeadSize, c.Heads))
	}
	if c.Buckets < 4 || c.Buckets > nn.MaxWidth || c.Buckets%4 != 0 {
		k.Add(fmt.Errorf("relative_attention_num_buckets is %d; want a multiple of 4", c.Buckets))
	}
	if c.MaxDistance <= c.Buckets/2 || c.MaxDistance > nn.MaxVocabulary {
		k.Add(fmt.Errorf("relative_attention_max_distance is %d; want more than half of relative_attention_num_buckets, %d",
			c.MaxDistance, c.Buckets/2))
	}
	k.Eps("layer_norm_epsilon", c.LayerNormEpsilon)
	k.Probability("dropout_rate", c.Dropout)
	k.Probability("classifier_dropout", c.HeadDropout)
	if !(c.InitializerFactor >= 0 && c.InitializerFactor <= 100) {
		k.Add(fmt.Errorf("initializer_factor is %g; want 0 to 100", c.InitializerFactor))
	}
	name, _ := c.activation()
	if _, err := nn.NewActivation(name); err != nil {
		k.Add(fmt.Errorf("feed_forward_proj %q: %w", c.FeedForwardProj, err))
	}
	for name, id := range map[string]int{"pad_token_id": c.PadTokenID, "decoder_start_token_id": c.start()} {
		if id < 0 || id >= c.VocabSize {
			k.Add(fmt.Errorf("%s %d is outside the vocabulary of %d", name, id, c.VocabSize))
		}
	}
	return k.Err("t5: config.json")
}

// longest is the largest number of tokens of a sequence. Relative positions have no limit of their own; it keeps
// positions apart in the random stream of dropout.
const longest = 1 << 20

func (c Config) limits() nn.Limits { return nn.Limits{Positions: longest, Words: c.VocabSize} }
