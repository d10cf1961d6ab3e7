package ggufmodel

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint/gguf"
)

// TestMixtures compares the type of each tensor with what llama_model_quantize of llama.cpp chose for
// SmolLM2-135M-Instruct, which has a tied head and rows that are not whole blocks of 256.
func TestMixtures(t *testing.T) {
	text, err := os.ReadFile("../../../testdata/llamacpp/mixtures.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string][]any
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for kind, tensors := range want {
		for name, w := range tensors {
			hf, _, err := architectures["llama"].name(name, 30)
			if err != nil {
				t.Fatal(err)
			}
			module, suffix := moduleOf(hf)
			p, ok := architectures["llama"].stored(module)
			var shape []int
			for _, n := range w[1:] {
				shape = append(shape, int(n.(float64)))
			}
			if got := fileTypes[kind].of(p, suffix, shape, 30, true); !ok || p.name()+suffix != name || got.String() != w[0] {
				t.Errorf("%s: %s is %v (%s), want %s", kind, name, got, p.name()+suffix, w[0])
			}
		}
	}
}

// TestMixtureOfHead covers what SmolLM2 does not have: a head of its own, and rows that no block fits.
func TestMixtureOfHead(t *testing.T) {
	for _, c := range []struct {
		kind, name string
		columns    int
		tied       bool
		want       gguf.Type
	}{
		{"q4_k_m", "output", 512, false, gguf.Q6_K}, {"q4_k_m", "token_embd", 512, false, gguf.Q4_K},
		{"q4_1", "output", 512, false, gguf.Q6_K}, {"q4_1", "output", 288, false, gguf.Q8_0},
		{"q4_1", "token_embd", 48, true, gguf.F16}, {"q8_0", "output", 48, false, gguf.F16},
		{"q4_k_m", "position_embd", 512, false, gguf.F32}, {"bf16", "output", 48, false, gguf.BF16},
	} {
		got := fileTypes[c.kind].of(place{c.name, -1, asStored}, ".weight", []int{8, c.columns}, 2, c.tied)
		if got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// TestNamesInverse maps every name there and back.
func TestNamesInverse(t *testing.T) {
	for arch, a := range architectures {
		var names []string
		for stem := range a.top {
			names = append(names, stem)
		}
		for stem := range a.block {
			names = append(names, "blk.0."+stem, "blk.12."+stem)
		}
		for _, name := range names {
			hf, role, err := a.name(name+".weight", 13)
			module, suffix := moduleOf(hf)
			p, ok := a.stored(module)
			if err != nil || !ok || p.name()+suffix != name+".weight" || p.role != role {
				t.Errorf("%s: %s is %s, which is %+v, %v", arch, name, hf, p, err)
			}
		}
		for _, module := range []string{
			"model.layers.x.mlp.up_proj", "model.layers.01.mlp.up_proj", "score", "model.layers.0",
		} {
			if p, ok := a.stored(module); ok {
				t.Errorf("%s: %s is stored as %+v", arch, module, p)
			}
		}
	}
}

func TestInterleaveInverse(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 24*3)
	for i := range values {
		values[i] = rng.Float32()
	}
	if got := ordered(interleave(values, 24, 2), 24, 2); !slices.Equal(got, values) {
		t.Error("ordered is not the inverse of interleave")
	}
	if slices.Equal(interleave(values, 24, 2), values) {
		t.Error("interleave does nothing")
	}
}

func TestParseConfigRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"model_type":"bert"}`: `model_type "bert" cannot be written`,
		`{"model_type":"gpt2","activation_function":"relu","scale_attn_weights":true}`:                 "activation_function",
		`{"model_type":"gpt2","activation_function":"gelu_new"}`:                                       "scale_attn_weights",
		`{"model_type":"qwen3","attention_bias":true}`:                                                 "attention_bias",
		`{"model_type":"qwen2","head_dim":8,"num_attention_heads":4,"hidden_size":64}`:                 "head_dim",
		`{"model_type":"qwen3","sliding_window":32}`:                                                   "use_sliding_window",
		`{"model_type":"gpt2","activation_function":"gelu_new","scale_attn_weights":true,"n_embd":{}}`: "config.json",
	} {
		_, err := parseConfig([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", text, err, want)
		}
	}
	for kind, want := range map[string]string{"dynamic": "rope_type dynamic", "longrope": "rope_type longrope"} {
		c := outputConfig{arch: "llama", Rope: outputRope{Type: kind}}
		if _, err := c.pairs(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	two := 2.0
	yarn := outputConfig{arch: "llama", Rope: outputRope{Type: "yarn", Factor: &two, Attention: &two}}
	if _, err := yarn.pairs(); err == nil || !strings.Contains(err.Error(), "attention_factor") {
		t.Errorf("got %v", err)
	}
}
