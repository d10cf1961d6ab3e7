package llama

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spalora/spalora/models/arch"
	"github.com/spalora/spalora/nn"
)

// Config holds the fields of config.json that the model needs. DefaultConfig has transformers' defaults for fields
// that a file leaves out.
type Config struct {
	ModelType         string   `json:"model_type"`
	VocabSize         int      `json:"vocab_size"`
	HiddenSize        int      `json:"hidden_size"`
	IntermediateSize  int      `json:"intermediate_size"`
	Layers            int      `json:"num_hidden_layers"`
	Heads             int      `json:"num_attention_heads"`
	KeyValueHeads     *int     `json:"num_key_value_heads"` // nil: as many as heads
	HeadSize          *int     `json:"head_dim"`            // nil: hidden_size / num_attention_heads
	HiddenAct         string   `json:"hidden_act"`
	MaxPositions      int      `json:"max_position_embeddings"`
	InitializerRange  float64  `json:"initializer_range"`
	RMSNormEps        float32  `json:"rms_norm_eps"`
	PadTokenID        *int     `json:"pad_token_id"`
	TieWordEmbeddings bool     `json:"tie_word_embeddings"`
	AttentionBias     bool     `json:"attention_bias"` // llama, qwen3: of all four projections
	AttentionDropout  float32  `json:"attention_dropout"`
	MLPBias           bool     `json:"mlp_bias"`           // llama
	SlidingWindow     *int     `json:"sliding_window"`     // mistral, qwen2, qwen3
	UseSlidingWindow  bool     `json:"use_sliding_window"` // qwen2, qwen3
	MaxWindowLayers   int      `json:"max_window_layers"`  // qwen2, qwen3: number of layers before those with a window
	LayerTypes        []string `json:"layer_types"`        // qwen2, qwen3; nil: from the fields above
	ClassifierDropout *float32 `json:"classifier_dropout"` // token classification; nil: hidden_dropout, else 0.1
	HiddenDropout     *float32 `json:"hidden_dropout"`

	RopeParameters *Rope    `json:"rope_parameters"` // as transformers 5 writes it
	RopeScaling    *Rope    `json:"rope_scaling"`    // of older files, with rope_theta beside it
	RopeTheta      *float64 `json:"rope_theta"`
	PartialRotary  *float64 `json:"partial_rotary_factor"`
	OriginalMax    *int     `json:"original_max_position_embeddings"`
}

// families maps the model types of this package to the prefix of their class names.
var families = map[string]string{"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}

// DefaultConfig returns the defaults of transformers' configuration class of a model type: llama, mistral, qwen2 or
// qwen3. Another type is an error.
func DefaultConfig(modelType string) (Config, error) {
	if families[modelType] == "" {
		return Config{}, fmt.Errorf("llama: model_type %q is not of this family", modelType)
	}
	c := Config{
		ModelType: modelType, VocabSize: 32000, HiddenSize: 4096, IntermediateSize: 11008, Layers: 32, Heads: 32,
		HiddenAct: "silu", MaxPositions: 2048, InitializerRange: 0.02, RMSNormEps: 1e-6,
	}
	window, kv, head := 4096, 8, 128
	switch modelType {
	case "mistral":
		c.IntermediateSize, c.MaxPositions, c.KeyValueHeads, c.SlidingWindow = 14336, 4096*32, &kv, &window
	case "qwen2", "qwen3":
		kv = 32
		c.VocabSize, c.IntermediateSize, c.MaxPositions = 151936, 22016, 32768
		c.KeyValueHeads, c.SlidingWindow, c.MaxWindowLayers = &kv, &window, 28
		if modelType == "qwen3" {
			c.HeadSize = &head
		}
	}
	return c, nil
}

func (c Config) keyValueHeads() int {
	if c.KeyValueHeads == nil {
		return c.Heads
	}
	return *c.KeyValueHeads
}

func (c Config) headSize() int {
	if c.HeadSize == nil {
		return c.HiddenSize / max(c.Heads, 1)
	}
	return *c.HeadSize
}

// biases reports whether the projections to queries, keys and values have biases, and the one after attention.
func (c Config) biases() (qkv, out bool) {
	switch c.ModelType {
	case "qwen2":
		return true, false
	case "mistral":
		return false, false
	}
	return c.AttentionBias, c.AttentionBias
}

// window returns the number of rows that a row of a layer sees, itself included; 0 means all rows up to it.
func (c Config) window(layer int) int {
	full := false
	switch c.ModelType {
	case "llama":
		full = true
	case "qwen2", "qwen3":
		full = !c.UseSlidingWindow || layer < c.MaxWindowLayers
		if c.LayerTypes != nil {
			full = c.LayerTypes[layer] != slidingAttention || !c.UseSlidingWindow
		}
	}
	if full || c.SlidingWindow == nil {
		return 0
	}
	return *c.SlidingWindow
}

// The values of layer_types.
const (
	fullAttention    = "full_attention"
	slidingAttention = "sliding_attention"
)

// Check returns an error that lists every field that the model cannot be built with.
func (c Config) Check() error {
	var k nn.ConfigCheck
	if families[c.ModelType] == "" {
		k.Add(fmt.Errorf("model_type %q is not of this family", c.ModelType))
	}
	k.Size("vocab_size", c.VocabSize, nn.MaxVocabulary)
	k.Size("hidden_size", c.HiddenSize, nn.MaxWidth)
	k.Size("intermediate_size", c.IntermediateSize, nn.MaxWidth)
	k.Size("num_hidden_layers", c.Layers, nn.MaxLayers)
	k.Size("num_attention_heads", c.Heads, nn.MaxWidth)
	k.Size("num_key_value_heads", c.keyValueHeads(), nn.MaxWidth)
	k.Size("max_position_embeddings", c.MaxPositions, nn.MaxVocabulary)
	if c.HeadSize == nil && c.Heads > 0 && c.HiddenSize%c.Heads != 0 {
		k.Add(fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.HiddenSize, c.Heads))
	}
	if n := c.keyValueHeads(); n > 0 && c.Heads%n != 0 {
		k.Add(fmt.Errorf("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.Heads, n))
	}
	if k.Size("head_dim", c.headSize(), nn.MaxWidth); c.headSize()%2 != 0 {
		k.Add(fmt.Errorf("head_dim is %d; rotary positions need an even number", c.headSize()))
	} else if c.Heads > 0 && c.headSize() > nn.MaxWidth/c.Heads {
		k.Add(fmt.Errorf("head_dim %d times num_attention_heads %d is too large", c.headSize(), c.Heads))
	}
	if c.HiddenAct != "silu" {
		k.Add(fmt.Errorf("hidden_act %q is not supported; want silu", c.HiddenAct))
	}
	k.Eps("rms_norm_eps", c.RMSNormEps)
	k.Initializer(c.InitializerRange)
	k.Probability("attention_dropout", c.AttentionDropout)
	k.Probability("classifier_dropout", c.classifierDropout())
	if c.PadTokenID != nil && (*c.PadTokenID < -1 || *c.PadTokenID >= c.VocabSize) {
		k.Add(fmt.Errorf("pad_token_id %d is outside the vocabulary of %d", *c.PadTokenID, c.VocabSize))
	}
	if w := c.SlidingWindow; w != nil && *w < 1 {
		k.Add(fmt.Errorf("sliding_window is %d; want 1 or more, or null", *w))
	}
	k.Add(c.checkLayerTypes())
	for _, err := range c.checkRope() {
		k.Add(err)
	}
	return k.Err("llama: config.json")
}

func (c Config) checkLayerTypes() error {
	if c.LayerTypes == nil {
		return nil
	}
	if c.ModelType != "qwen2" && c.ModelType != "qwen3" {
		return fmt.Errorf("layer_types is not supported for %s", c.ModelType)
	}
	if len(c.LayerTypes) != c.Layers {
		return fmt.Errorf("layer_types has %d entries for %d layers", len(c.LayerTypes), c.Layers)
	}
	for i, t := range c.LayerTypes {
		if t != fullAttention && t != slidingAttention {
			return fmt.Errorf("layer_types[%d] %q is not supported; want %s or %s", i, t, fullAttention, slidingAttention)
		}
	}
	if slices.Contains(c.LayerTypes, slidingAttention) && (c.SlidingWindow == nil || !c.UseSlidingWindow) {
		return errors.New("layer_types has sliding_attention, but use_sliding_window and sliding_window give no window")
	}
	return nil
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
func (c Config) limits() nn.Limits { return nn.Limits{Positions: c.MaxPositions, Words: c.VocabSize} }

// Full returns the configuration with num_key_value_heads, head_dim and rope_parameters filled in, and with
// sliding_window only if a layer has it.
func (c Config) Full() arch.Config {
	kv, head, rope := c.keyValueHeads(), c.headSize(), c.rope()
	c.KeyValueHeads, c.HeadSize = &kv, &head
	c.RopeParameters, c.RopeScaling, c.RopeTheta = &rope, nil, nil
	full := c
	full.SlidingWindow = nil
	for i := range c.Layers {
		if w := c.window(i); w > 0 {
			full.SlidingWindow = &w
		}
	}
	return full
}
