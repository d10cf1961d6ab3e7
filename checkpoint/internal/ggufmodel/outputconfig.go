package ggufmodel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"

	"github.com/spalora/spalora/checkpoint/gguf"
)

// outputConfig is a config.json in which all fields are filled in.
type outputConfig struct {
	ModelType string `json:"model_type"`
	VocabSize int    `json:"vocab_size"`

	// of LLaMA's kind
	Hidden        int        `json:"hidden_size"`
	Intermediate  int        `json:"intermediate_size"`
	Layers        int        `json:"num_hidden_layers"`
	Heads         int        `json:"num_attention_heads"`
	KeyHeads      int        `json:"num_key_value_heads"`
	HeadSize      int        `json:"head_dim"`
	Positions     int        `json:"max_position_embeddings"`
	RMSEpsilon    float32    `json:"rms_norm_eps"`
	AttentionBias bool       `json:"attention_bias"`
	Window        *int       `json:"sliding_window"`
	Rope          outputRope `json:"rope_parameters"`

	// of GPT-2
	Width       int     `json:"n_embd"`
	Inner       int     `json:"n_inner"`
	Blocks      int     `json:"n_layer"`
	GPTHeads    int     `json:"n_head"`
	Context     int     `json:"n_positions"`
	Epsilon     float32 `json:"layer_norm_epsilon"`
	Activation  string  `json:"activation_function"`
	Scaled      bool    `json:"scale_attn_weights"`
	InverseDown bool    `json:"scale_attn_by_inverse_layer_idx"`

	arch string // general.architecture
}

// outputRope is rope_parameters.
type outputRope struct {
	Type      string   `json:"rope_type"`
	Theta     float64  `json:"rope_theta"`
	Factor    *float64 `json:"factor"`
	Original  int      `json:"original_max_position_embeddings"`
	Attention *float64 `json:"attention_factor"`
	BetaFast  *float64 `json:"beta_fast"`
	BetaSlow  *float64 `json:"beta_slow"`
	MScale    *float64 `json:"mscale"`
	MScaleAll *float64 `json:"mscale_all_dim"`
	Truncate  *bool    `json:"truncate"`
	Low       *float64 `json:"low_freq_factor"`
	High      *float64 `json:"high_freq_factor"`
}

// parseConfig reads a config.json and refuses what llama.cpp would compute differently.
func parseConfig(text []byte) (*outputConfig, error) {
	c := &outputConfig{}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	var ok bool
	if c.arch, ok = architectureOf[c.ModelType]; !ok {
		return nil, fmt.Errorf("model_type %q cannot be written as GGUF; want gpt2, llama, mistral, qwen2 or qwen3",
			c.ModelType)
	}
	refused := func(field string, value any) error {
		return fmt.Errorf("config.json: %s is %v, which has no counterpart in architecture %s", field, value, c.arch)
	}
	switch {
	case c.arch == "gpt2" && !slices.Contains([]string{"gelu_new", "gelu_pytorch_tanh"}, c.Activation):
		return nil, refused("activation_function", c.Activation)
	case c.arch == "gpt2" && !c.Scaled:
		return nil, refused("scale_attn_weights", false)
	case c.arch == "gpt2" && c.InverseDown:
		return nil, refused("scale_attn_by_inverse_layer_idx", true)
	case c.arch == "qwen3" && c.AttentionBias:
		return nil, refused("attention_bias", true)
	case c.arch == "qwen2" && c.HeadSize*c.Heads != c.Hidden:
		return nil, refused("head_dim", c.HeadSize)
	case c.arch == "qwen2" || c.arch == "qwen3":
		if c.Window != nil {
			return nil, refused("use_sliding_window", true)
		}
	}
	return c, nil
}

func (c *outputConfig) vocabulary() int { return c.VocabSize }

// layers returns the number of blocks.
func (c *outputConfig) layers() int { return max(c.Layers, c.Blocks) }

// headsOf returns the number of heads whose rows a role interleaves.
func (c *outputConfig) headsOf(r role) int {
	if r == keyRows {
		return c.KeyHeads
	}
	return c.Heads
}

// notes returns what llama.cpp computes differently from transformers without a way to express it in the file.
func (c *outputConfig) notes() []string {
	if c.Window == nil {
		return nil
	}
	return []string{fmt.Sprintf("llama.cpp has no sliding window for architecture %s: its results differ for texts of "+
		"more than %d tokens", c.arch, *c.Window)}
}

// pairs returns the metadata of the architecture, in the order of llama.cpp's converter.
func (c *outputConfig) pairs() ([]gguf.Pair, error) {
	var list []gguf.Pair
	add := func(name string, value any) { list = append(list, gguf.Pair{Key: c.arch + "." + name, Value: value}) }
	count := func(name string, n int) { add(name, uint32(n)) }
	if c.arch == "gpt2" {
		count("block_count", c.Blocks)
		count("context_length", c.Context)
		count("embedding_length", c.Width)
		count("feed_forward_length", c.Inner)
		count("attention.head_count", c.GPTHeads)
		add("attention.layer_norm_epsilon", c.Epsilon)
		return list, nil
	}
	count("block_count", c.Layers)
	count("context_length", c.Positions)
	count("embedding_length", c.Hidden)
	count("feed_forward_length", c.Intermediate)
	count("attention.head_count", c.Heads)
	count("attention.head_count_kv", c.KeyHeads)
	if err := c.Rope.pairs(add, count); err != nil {
		return nil, err
	}
	add("rope.freq_base", float32(c.Rope.Theta))
	add("attention.layer_norm_rms_epsilon", c.RMSEpsilon)
	if c.arch != "qwen2" {
		count("attention.key_length", c.HeadSize)
		count("attention.value_length", c.HeadSize)
	}
	if c.Window != nil {
		count("attention.sliding_window", *c.Window)
	}
	if c.arch == "llama" {
		count("vocab_size", c.VocabSize)
		count("rope.dimension_count", c.HeadSize)
	}
	return list, nil
}

// pairs adds the metadata of the scaling of rotary positions.
func (r outputRope) pairs(add func(string, any), count func(string, int)) error {
	factor := 1.0
	if r.Factor != nil {
		factor = *r.Factor
	}
	switch strings.ToLower(r.Type) {
	case "default", "llama3": // llama3 is a tensor
	case "linear":
		add("rope.scaling.type", "linear")
		add("rope.scaling.factor", float32(factor))
	case "yarn":
		for name, set := range map[string]bool{"attention_factor": r.Attention != nil, "mscale": r.MScale != nil,
			"mscale_all_dim": r.MScaleAll != nil, "truncate": r.Truncate != nil && !*r.Truncate, "factor": r.Factor == nil} {
			if set {
				return fmt.Errorf("config.json: rope_type yarn with this %s has no counterpart in GGUF", name)
			}
		}
		add("rope.scaling.type", "yarn")
		add("rope.scaling.factor", float32(factor))
		count("rope.scaling.original_context_length", r.Original)
		if r.BetaFast != nil {
			add("rope.scaling.yarn_beta_fast", float32(*r.BetaFast))
		}
		if r.BetaSlow != nil {
			add("rope.scaling.yarn_beta_slow", float32(*r.BetaSlow))
		}
	default:
		return fmt.Errorf("config.json: rope_type %s has no counterpart in GGUF", r.Type)
	}
	return nil
}

// ropeFactors returns the tensor of factors for rope_type llama3, computed in float32 as the converter does, or nil.
func (c *outputConfig) ropeFactors() ([]float32, error) {
	r := c.Rope
	if c.arch == "gpt2" || strings.ToLower(r.Type) != "llama3" {
		return nil, nil
	}
	if r.Factor == nil || r.Low == nil || r.High == nil {
		return nil, errors.New("config.json: rope_type llama3 lacks factor, low_freq_factor or high_freq_factor")
	}
	factor, low, high, original := *r.Factor, *r.Low, *r.High, float64(r.Original)
	factors := make([]float32, c.HeadSize/2)
	for i := range factors {
		power := float32(math.Pow(r.Theta, float64(float32(2*i)/float32(c.HeadSize))))
		wave := float32(2*math.Pi) / (1 / power)
		switch {
		case float64(wave) < original/high:
			factors[i] = 1
		case float64(wave) > original/low:
			factors[i] = float32(factor)
		default:
			smooth := (float32(original)/wave - float32(low)) / float32(high-low)
			factors[i] = 1 / ((1-smooth)/float32(factor) + smooth)
		}
	}
	return factors, nil
}

// sampling returns the settings of generation_config.json that llama.cpp takes from a file.
func (o Output) sampling() ([]gguf.Pair, error) {
	text, err := o.File(generationName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var values struct {
		TopK        *int32   `json:"top_k"`
		TopP        *float32 `json:"top_p"`
		MinP        *float32 `json:"min_p"`
		Temperature *float32 `json:"temperature"`
		Repetition  *float32 `json:"repetition_penalty"`
	}
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", generationName, err)
	}
	var list []gguf.Pair
	if values.TopK != nil {
		list = append(list, gguf.Pair{Key: "general.sampling.top_k", Value: *values.TopK})
	}
	for _, x := range []struct {
		key   string
		value *float32
	}{
		{"top_p", values.TopP}, {"min_p", values.MinP}, {"temp", values.Temperature}, {"penalty_repeat", values.Repetition},
	} {
		if x.value != nil {
			list = append(list, gguf.Pair{Key: "general.sampling." + x.key, Value: *x.value})
		}
	}
	return list, nil
}
