package ggufmodel

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// config holds what the metadata say about the model.
type config struct {
	layers, heads, kvHeads, vocabulary, positions int

	values     map[string]any // config.json
	generation map[string]any // generation_config.json
	notes      []string
}

// tokenKey is the key of a special token's id and the token's name in Hugging Face's files.
type tokenKey struct{ key, name string }

// ids lists the special tokens that are read.
var ids = []tokenKey{
	{"tokenizer.ggml.bos_token_id", "bos"},
	{"tokenizer.ggml.eos_token_id", "eos"},
	{"tokenizer.ggml.padding_token_id", "pad"},
	{"tokenizer.ggml.unknown_token_id", "unk"},
}

// endings lists the keys of tokens that end generating besides the end token: the end of a turn, and of a message.
var endings = []string{"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}

// readConfig makes config.json and generation_config.json from the metadata.
func readConfig(md *metadata, a architecture) (*config, error) {
	c := &config{values: map[string]any{}, generation: map[string]any{}}
	c.layers = md.size("block_count", 0)
	c.heads = md.size("attention.head_count", 0)
	c.kvHeads = md.size("attention.head_count_kv", c.heads)
	c.positions = md.size("context_length", 0)
	hidden := md.size("embedding_length", 0)
	if md.err == nil {
		md.fail(c.readVocabulary(md, hidden))
	}
	if md.err == nil && hidden%c.heads != 0 && !md.file.Has(md.key("attention.key_length")) {
		md.fail(fmt.Errorf("embedding_length %d is not divisible by attention.head_count %d", hidden, c.heads))
	}
	if md.err != nil {
		return nil, md.err
	}
	_, untied := md.file.Tensor("output.weight")
	c.set("architectures", []string{a.class}, "model_type", a.modelType, "vocab_size", c.vocabulary,
		"tie_word_embeddings", !untied, "initializer_range", 0.02, "use_cache", true)
	if a.modelType == "gpt2" {
		c.gpt2(md, hidden)
	} else {
		c.llama(md, a, hidden)
	}
	c.tokens(md)
	c.refuse(md)
	c.unknown(md)
	return c, md.err
}

// set adds names and values to config.json.
func (c *config) set(pairs ...any) {
	for i := 0; i < len(pairs); i += 2 {
		c.values[pairs[i].(string)] = pairs[i+1]
	}
}

// readVocabulary takes the number of tokens from the embeddings and compares it with the metadata.
func (c *config) readVocabulary(md *metadata, hidden int) error {
	t, ok := md.file.Tensor("token_embd.weight")
	if !ok {
		return errors.New(`no tensor "token_embd.weight"`)
	}
	if len(t.Shape) != 2 || t.Shape[1] != hidden {
		return fmt.Errorf(`tensor "token_embd.weight" is %v, but embedding_length is %d`, t.Shape, hidden)
	}
	c.vocabulary = t.Shape[0]
	if n := md.size("vocab_size", c.vocabulary); md.err == nil && n != c.vocabulary {
		return fmt.Errorf(`vocab_size is %d, but tensor "token_embd.weight" is %v`, n, t.Shape)
	}
	return nil
}

func (c *config) gpt2(md *metadata, hidden int) {
	c.set("n_layer", c.layers, "n_head", c.heads, "n_embd", hidden, "n_positions", c.positions, "n_ctx", c.positions,
		"n_inner", md.size("feed_forward_length", 4*hidden), "layer_norm_epsilon",
		md.number("attention.layer_norm_epsilon", 0),
		"activation_function", "gelu_new")
	if c.kvHeads != c.heads {
		md.fail(fmt.Errorf("attention.head_count_kv %d is not attention.head_count %d", c.kvHeads, c.heads))
	}
}

// llama sets the names and values of the architectures of LLaMA's kind.
func (c *config) llama(md *metadata, a architecture, hidden int) {
	rotary := md.size("rope.dimension_count", hidden/c.heads)
	width := rotary
	if a.modelType != "llama" {
		width = hidden / c.heads
	}
	width = md.size("attention.key_length", width)
	if values := md.size("attention.value_length", width); values != width {
		md.fail(fmt.Errorf("attention.value_length %d is not attention.key_length %d", values, width))
	}
	if rotary != width {
		md.fail(fmt.Errorf("rope.dimension_count %d is not the width of a head, %d; "+
			"rotating a part of a head is not supported", rotary, width))
	}
	if c.heads%c.kvHeads != 0 {
		md.fail(fmt.Errorf("attention.head_count %d is not divisible by attention.head_count_kv %d", c.heads, c.kvHeads))
	}
	c.set("hidden_size", hidden, "intermediate_size", md.size("feed_forward_length", 0), "num_hidden_layers", c.layers,
		"num_attention_heads", c.heads, "num_key_value_heads", c.kvHeads, "head_dim", width, "hidden_act", "silu",
		"max_position_embeddings", c.positions, "rms_norm_eps", md.number("attention.layer_norm_rms_epsilon", 0))
	if md.err == nil {
		c.set("rope_parameters", c.rope(md, width))
	}
	window := md.count("attention.sliding_window")
	switch {
	case a.modelType == "llama":
		_, attention := md.file.Tensor("blk.0.attn_q.bias")
		_, mlp := md.file.Tensor("blk.0.ffn_gate.bias")
		c.set("attention_bias", attention, "mlp_bias", mlp)
		if window > 0 { // only Mistral's files have a window, and LLaMA's configuration has no field for it
			c.set("model_type", "mistral", "architectures", []string{"MistralForCausalLM"}, "sliding_window", window)
		}
	case window > 0:
		md.fail(fmt.Errorf("attention.sliding_window %d: not supported for architecture %s", window, md.arch))
	}
}

// tokens sets the ids of special tokens.
func (c *config) tokens(md *metadata) {
	tokens, _, err := md.file.Length(tokensKey)
	if err != nil {
		md.fail(err)
	}
	tokens = max(tokens, c.vocabulary) // there may be more tokens than word embeddings, as one for padding
	for _, id := range ids {
		if v := md.token(id.key, tokens); v != nil && id.name != "unk" && v.(int) < c.vocabulary {
			c.set(id.name+"_token_id", v)
			c.generation[id.name+"_token_id"] = v
		}
	}
	var stops []any
	for _, key := range append([]string{"tokenizer.ggml.eos_token_id"}, endings...) {
		if v := md.token(key, tokens); v != nil && v.(int) < c.vocabulary && !slices.Contains(stops, v) {
			stops = append(stops, v)
		}
	}
	if len(stops) > 1 {
		c.generation["eos_token_id"] = stops
	}
}

// refuse fails if the metadata ask for something that changes results and is not supported.
func (c *config) refuse(md *metadata) {
	counts := []string{
		"expert_count", "expert_used_count", "attention.temperature_length", "leading_dense_block_count",
	}
	for _, name := range counts {
		if n := md.count(name); n > 0 {
			md.fail(fmt.Errorf("key %q is %d: not supported", md.key(name), n))
		}
	}
	for _, name := range []string{"logit_scale", "residual_scale", "embedding_scale", "attention.scale",
		"attention.clamp_kqv",
		"attention.max_alibi_bias", "attn_logit_softcapping", "final_logit_softcapping"} {
		if md.file.Has(md.key(name)) {
			md.fail(fmt.Errorf("key %q: not supported", md.key(name)))
		}
	}
	if causal, ok, err := md.file.Bool(md.key("attention.causal")); err != nil {
		md.fail(err)
	} else if ok && !causal {
		md.fail(fmt.Errorf("key %q is false: not supported", md.key("attention.causal")))
	}
}

// unknown notes the architecture's keys that the configuration has not used.
func (c *config) unknown(md *metadata) {
	known := []string{"tensor_data_layout"} // says that llama's rows are interleaved, as they are in all files
	var names []string
	for _, key := range md.file.Keys() {
		name, ok := strings.CutPrefix(key, md.arch+".")
		if ok && !md.used[name] && !slices.Contains(known, name) {
			names = append(names, strconv.QuoteToASCII(key))
		}
	}
	if len(names) > 0 {
		c.notes = append(c.notes, "unknown metadata that are not used: "+strings.Join(names, ", "))
	}
}
