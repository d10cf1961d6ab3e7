package vit

import (
	"encoding/json"
	"fmt"

	"github.com/spalora/spalora/nn"
)

// Config holds the fields of config.json that the model needs. DefaultConfig has transformers' defaults for fields
// that a file leaves out.
type Config struct {
	ModelType        string  `json:"model_type"`
	Width            int     `json:"hidden_size"`
	Layers           int     `json:"num_hidden_layers"`
	Heads            int     `json:"num_attention_heads"`
	HeadSize         *int    `json:"head_dim"` // nil: hidden_size / num_attention_heads
	Inner            int     `json:"intermediate_size"`
	Activation       string  `json:"hidden_act"`
	Dropout          float32 `json:"hidden_dropout_prob"`
	AttentionDropout float32 `json:"attention_probs_dropout_prob"`
	InitializerRange float64 `json:"initializer_range"`
	NormEps          float32 `json:"layer_norm_eps"`
	Image            Size    `json:"image_size"`
	Patch            Size    `json:"patch_size"`
	Channels         int     `json:"num_channels"`
	QKVBias          bool    `json:"qkv_bias"`
	PoolerSize       int     `json:"pooler_output_size"` // 0: hidden_size
	PoolerActivation string  `json:"pooler_act"`
}

// Size is a height and a width. In config.json it is a list of both, or one number for a square.
type Size struct{ Height, Width int }

// UnmarshalJSON reads a number or a list of two. It returns an error for any other value.
func (s *Size) UnmarshalJSON(text []byte) error {
	var side int
	if json.Unmarshal(text, &side) == nil {
		*s = Size{side, side}
		return nil
	}
	var sides []int
	if err := json.Unmarshal(text, &sides); err != nil || len(sides) != 2 {
		return fmt.Errorf("%s is not a size; want a number, or a list of height and width", text)
	}
	*s = Size{sides[0], sides[1]}
	return nil
}

// classes are the beginnings of class names, by model type.
var classes = map[string]string{"vit": "ViT", "deit": "DeiT"}

// DefaultConfig returns the defaults of transformers' configuration class of a model type, vit or deit, which are those
// of the base size. Another type is an error.
func DefaultConfig(modelType string) (Config, error) {
	if classes[modelType] == "" {
		return Config{}, fmt.Errorf("vit: model_type %q is not of this family", modelType)
	}
	return Config{
		ModelType: modelType, Width: 768, Layers: 12, Heads: 12, Inner: 3072, Activation: "gelu", InitializerRange: 0.02,
		NormEps: 1e-12, Image: Size{224, 224}, Patch: Size{16, 16}, Channels: 3, QKVBias: true, PoolerActivation: "tanh",
	}, nil
}

// Check returns an error that lists every field that the model cannot be built with.
func (c Config) Check() error {
	var k nn.ConfigCheck
	if classes[c.ModelType] == "" {
		k.Add(fmt.Errorf("model_type %q is not of this family", c.ModelType))
	}
	k.Size("hidden_size", c.Width, nn.MaxWidth)
	k.Size("num_hidden_layers", c.Layers, nn.MaxLayers)
	k.Size("num_attention_heads", c.Heads, nn.MaxWidth)
	switch {
	case c.HeadSize != nil:
		k.Size("head_dim", *c.HeadSize, nn.MaxWidth)
	case c.Heads > 0 && c.Width%c.Heads != 0:
		k.Add(fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.Width, c.Heads))
	}
	k.Size("intermediate_size", c.Inner, nn.MaxWidth)
	if _, err := nn.NewActivation(c.Activation); err != nil {
		k.Add(fmt.Errorf("hidden_act: %w", err))
	}
	k.Probability("hidden_dropout_prob", c.Dropout)
	k.Probability("attention_probs_dropout_prob", c.AttentionDropout)
	k.Initializer(c.InitializerRange)
	k.Eps("layer_norm_eps", c.NormEps)
	k.Size("num_channels", c.Channels, nn.MaxWidth)
	c.checkSizes(&k)
	if c.PoolerSize != 0 {
		k.Size("pooler_output_size", c.PoolerSize, nn.MaxWidth)
	}
	if _, err := nn.NewActivation(c.PoolerActivation); err != nil {
		k.Add(fmt.Errorf("pooler_act: %w", err))
	}
	return k.Err(c.prefix() + ": config.json")
}

// maxSide limits the sides of an image in pixels.
const maxSide = 1 << 15

// checkSizes adds an error unless an image has whole patches, in a number that a model can have.
func (c Config) checkSizes(k *nn.ConfigCheck) {
	for _, s := range []struct {
		name         string
		image, patch int
	}{{"height", c.Image.Height, c.Patch.Height}, {"width", c.Image.Width, c.Patch.Width}} {
		k.Size("image_size, its "+s.name+",", s.image, maxSide)
		k.Size("patch_size, its "+s.name+",", s.patch, max(s.image, 1))
	}
	if n := int64(c.Channels) * int64(c.Patch.Height) * int64(c.Patch.Width); n > nn.MaxWidth {
		k.Add(fmt.Errorf("a patch of %d×%d pixels in %d channels has %d values; want at most %d", c.Patch.Height,
			c.Patch.Width, c.Channels, n, nn.MaxWidth))
	}
}

// prefix begins messages.
func (c Config) prefix() string {
	if c.ModelType == "" {
		return "vit"
	}
	return c.ModelType
}

// class returns the name of a class in the printed tree.
func (c Config) class(name string) string { return classes[c.ModelType] + name }

// grid returns the number of patches down and across that positions are learned for.
func (c Config) grid() [2]int {
	return [2]int{c.Image.Height / c.Patch.Height, c.Image.Width / c.Patch.Width}
}

// tokens returns the number of tokens before the patches of an image.
func (c Config) tokens() int {
	if c.distilled() {
		return 2
	}
	return 1
}

// distilled reports whether there is a token that learned from a teacher.
func (c Config) distilled() bool { return c.ModelType == "deit" }

// headSize returns the columns of one attention head.
func (c Config) headSize() int {
	if c.HeadSize != nil {
		return *c.HeadSize
	}
	return c.Width / c.Heads
}

// norm returns a layer norm without values.
func (c Config) norm() *nn.LayerNorm { return nn.NewLayerNorm(c.Width, c.NormEps) }

// drop returns a place of dropout.
func (c Config) drop() *nn.Dropout { return &nn.Dropout{P: c.Dropout} }

// activation returns a function whose name Check has accepted.
func activation(name string) *nn.Activation {
	a, err := nn.NewActivation(name)
	if err != nil {
		panic(err)
	}
	return a
}
