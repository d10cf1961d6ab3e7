package ggufmodel

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// role says how a tensor's data must be changed.
type role int

const (
	asStored   role = iota
	transposed      // the name means in×out, but out×in is stored
	queryRows       // the rows of each head are interleaved
	keyRows         // as queryRows, with the number of key heads
)

// part is the Hugging Face name of a tensor without ".weight" or ".bias".
type part struct {
	name string
	role role
}

// architecture is a value of general.architecture.
type architecture struct {
	modelType string // in Hugging Face's config.json
	class     string
	layer     string          // Hugging Face's name of block n, with %d
	top       map[string]part // tensors outside the blocks
	block     map[string]part
}

var (
	llamaTop = map[string]part{
		"token_embd":  {name: "model.embed_tokens"},
		"output_norm": {name: "model.norm"},
		"output":      {name: "lm_head"},
	}
	// qwen2's rows are in Hugging Face's order; llama's queries and keys are not.
	qwen2Block = map[string]part{
		"attn_norm":   {name: "input_layernorm"},
		"attn_q":      {name: "self_attn.q_proj"},
		"attn_k":      {name: "self_attn.k_proj"},
		"attn_v":      {name: "self_attn.v_proj"},
		"attn_output": {name: "self_attn.o_proj"},
		"ffn_norm":    {name: "post_attention_layernorm"},
		"ffn_gate":    {name: "mlp.gate_proj"},
		"ffn_up":      {name: "mlp.up_proj"},
		"ffn_down":    {name: "mlp.down_proj"},
	}
	llamaBlock = with(qwen2Block, map[string]part{
		"attn_q": {"self_attn.q_proj", queryRows},
		"attn_k": {"self_attn.k_proj", keyRows},
	})
	qwen3Block = with(qwen2Block, map[string]part{
		"attn_q_norm": {name: "self_attn.q_norm"},
		"attn_k_norm": {name: "self_attn.k_norm"},
	})
	architectures = map[string]architecture{
		"llama": {"llama", "LlamaForCausalLM", "model.layers.%d", llamaTop, llamaBlock},
		"qwen2": {"qwen2", "Qwen2ForCausalLM", "model.layers.%d", llamaTop, qwen2Block},
		"qwen3": {"qwen3", "Qwen3ForCausalLM", "model.layers.%d", llamaTop, qwen3Block},
		"gpt2": {
			"gpt2", "GPT2LMHeadModel", "transformer.h.%d",
			map[string]part{
				"token_embd":    {name: "transformer.wte"},
				"position_embd": {name: "transformer.wpe"},
				"output_norm":   {name: "transformer.ln_f"},
				"output":        {name: "lm_head"},
			},
			map[string]part{
				"attn_norm":   {name: "ln_1"},
				"attn_qkv":    {"attn.c_attn", transposed},
				"attn_output": {"attn.c_proj", transposed},
				"ffn_norm":    {name: "ln_2"},
				"ffn_up":      {"mlp.c_fc", transposed},
				"ffn_down":    {"mlp.c_proj", transposed},
			},
		},
	}
)

func with(parts, other map[string]part) map[string]part {
	parts = maps.Clone(parts)
	maps.Copy(parts, other)
	return parts
}

// architectureOf maps the values of model_type that can be written to their architectures.
var architectureOf = map[string]string{
	"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gpt2": "gpt2",
}

func architectureNames() []string { return slices.Sorted(maps.Keys(architectures)) }

// name returns the Hugging Face name of a tensor, or its own name if the architecture has no such tensor. It returns an
// error if the name refers to a block that the model does not have.
func (a architecture) name(name string, blocks int) (string, role, error) {
	stem, suffix := moduleOf(name)
	if suffix == "" {
		return name, asStored, nil
	}
	if p, ok := a.top[stem]; ok {
		return p.name + suffix, p.role, nil
	}
	number, stem, ok := strings.Cut(strings.TrimPrefix(stem, "blk."), ".")
	n, err := strconv.Atoi(number)
	if p, known := a.block[stem]; ok && known && err == nil && strings.HasPrefix(name, "blk.") &&
		strconv.Itoa(n) == number {
		if n < 0 || n >= blocks {
			return "", asStored, fmt.Errorf("the model has %d blocks", blocks)
		}
		return fmt.Sprintf(a.layer, n) + "." + p.name + suffix, p.role, nil
	}
	return name, asStored, nil
}

// place is where a GGUF file stores a module.
type place struct {
	stem  string // the name without the block, and without ".weight" or ".bias"
	block int    // -1 for tensors outside the blocks
	role  role
}

// name returns the name in the file without ".weight" or ".bias".
func (p place) name() string {
	if p.block < 0 {
		return p.stem
	}
	return fmt.Sprintf("blk.%d.%s", p.block, p.stem)
}

// stored returns where the architecture stores a module, by its Hugging Face name without ".weight" or ".bias", and
// whether it does. It is the inverse of name.
func (a architecture) stored(module string) (place, bool) {
	for stem, p := range a.top {
		if p.name == module {
			return place{stem, -1, p.role}, true
		}
	}
	list, _, _ := strings.Cut(a.layer, "%d")
	number, rest, ok := strings.Cut(strings.TrimPrefix(module, list), ".")
	n, err := strconv.Atoi(number)
	if !ok || err != nil || n < 0 || strconv.Itoa(n) != number || !strings.HasPrefix(module, list) {
		return place{}, false
	}
	for stem, p := range a.block {
		if p.name == rest {
			return place{stem, n, p.role}, true
		}
	}
	return place{}, false
}

// moduleOf splits the name of a tensor into its module and ".weight" or ".bias"; the suffix is "" for other tensors.
func moduleOf(tensor string) (module, suffix string) {
	for _, suffix := range []string{".weight", ".bias"} {
		if module, ok := strings.CutSuffix(tensor, suffix); ok {
			return module, suffix
		}
	}
	return tensor, ""
}
