package llama_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/spalora/spalora/models/llama"
	"github.com/spalora/spalora/nn"
)

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		name, family, config string
		want                 []string // none: accepted
	}{
		{"default", "llama", `{}`, nil},
		{"mistral", "mistral", `{}`, nil},
		{"qwen2", "qwen2", `{}`, nil},
		{"qwen3", "qwen3", `{}`, nil},
		{"no window", "mistral", `{"sliding_window": null}`, nil},
		{"window 0", "mistral", `{"sliding_window": 0}`, []string{"sliding_window is 0"}},
		{"no width", "llama", `{"hidden_size": 0}`, []string{"hidden_size is 0"}},
		{"not divisible", "llama", `{"num_attention_heads": 7, "num_key_value_heads": 7}`,
			[]string{"hidden_size 4096 is not a multiple of num_attention_heads 7"}},
		{"groups", "llama", `{"num_key_value_heads": 5}`,
			[]string{"num_attention_heads 32 is not a multiple of num_key_value_heads 5"}},
		{"no key heads", "llama", `{"num_key_value_heads": 0}`, []string{"num_key_value_heads is 0"}},
		{"odd heads", "llama", `{"head_dim": 7}`, []string{"head_dim is 7"}},
		{"huge heads", "llama", `{"head_dim": 1048576}`, []string{"head_dim 1048576"}},
		{"10^9 layers", "llama", `{"num_hidden_layers": 1000000000}`, []string{"num_hidden_layers is 1000000000"}},
		{"activation", "llama", `{"hidden_act": "gelu"}`, []string{`hidden_act "gelu"`}},
		{"padding", "llama", `{"pad_token_id": 32000}`, []string{"pad_token_id 32000"}},
		{"padding -1", "llama", `{"pad_token_id": -1}`, nil},
		{"dropout", "llama", `{"attention_dropout": 1}`, []string{"attention_dropout is 1"}},
		{"eps", "llama", `{"rms_norm_eps": -1}`, []string{"rms_norm_eps is -1"}},
		{"layer types", "qwen2", `{"num_hidden_layers": 2, "layer_types": ["full_attention"]}`,
			[]string{"layer_types has 1 entries for 2 layers"}},
		{"unknown layer type", "qwen3", `{"num_hidden_layers": 1, "layer_types": ["chunked_attention"]}`,
			[]string{`layer_types[0] "chunked_attention"`}},
		{"layer types without window", "qwen3", `{"num_hidden_layers": 1, "layer_types": ["sliding_attention"]}`,
			[]string{"use_sliding_window"}},
		{"layer types of llama", "llama", `{"layer_types": ["full_attention"]}`,
			[]string{"layer_types is not supported for llama"}},
		{"rope as transformers 5", "llama", `{"rope_parameters": {"rope_type": "yarn", "rope_theta": 10000, "factor": 4}}`,
			nil},
		{"rope of older files", "llama", `{"rope_theta": 500000, "rope_scaling": {"type": "linear", "factor": 2}}`, nil},
		{"longrope", "llama", `{"rope_scaling": {"rope_type": "longrope", "factor": 2}}`, []string{`rope type "longrope"`}},
		{"no factor", "llama", `{"rope_parameters": {"rope_type": "linear"}}`, []string{"rope type linear has no factor"}},
		{"factor 0", "llama", `{"rope_parameters": {"rope_type": "linear", "factor": 0}}`, []string{"factor is 0"}},
		{"theta 0", "llama", `{"rope_theta": 0}`, []string{"rope_theta is 0"}},
		{"llama3", "llama", `{"rope_scaling": {"rope_type": "llama3", "factor": 8}}`,
			[]string{"low_freq_factor and high_freq_factor"}},
		{"partial", "llama", `{"partial_rotary_factor": 0.5}`, []string{"partial_rotary_factor 0.5"}},
		{"everything at once", "llama", `{"hidden_size": -1, "hidden_act": "x", "rope_scaling": {"type": "y"}}`,
			[]string{"hidden_size is -1", `"x"`, `"y"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := llama.DefaultConfig(c.family)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(c.config), &cfg); err != nil {
				t.Fatal(err)
			}
			err = cfg.Check()
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "llama: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
	if _, err := llama.DefaultConfig("gemma"); err == nil || !strings.Contains(err.Error(), `"gemma"`) {
		t.Errorf("gemma: got %v", err)
	}
}

// TestNothingAllocated: a model without values takes next to no memory, whatever its sizes.
func TestNothingAllocated(t *testing.T) {
	c, err := llama.DefaultConfig("llama")
	if err != nil {
		t.Fatal(err)
	}
	c.VocabSize, c.HiddenSize, c.IntermediateSize, c.MaxPositions = 1<<24, 1<<18, 1<<20, 1<<24
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := llama.NewForCausalLM(c)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes for a model without values", n)
	}
	if nn.Count(m) < 1<<42 {
		t.Error("the sizes are not those of the config")
	}
}

// TestParameterCount holds the number of values to the formula of the architecture.
func TestParameterCount(t *testing.T) {
	for _, s := range []struct {
		family          string
		V, C, F, L      int
		heads, kv, head int
		tied            bool
	}{
		{"llama", 49152, 576, 1536, 30, 9, 3, 64, true}, // SmolLM2-135M: 134,515,008
		{"mistral", 32000, 4096, 14336, 32, 32, 8, 128, false},
		{"qwen2", 151936, 896, 4864, 24, 14, 2, 64, true},
		{"qwen3", 151936, 1024, 3072, 28, 16, 8, 128, true},
	} {
		cfg, err := llama.DefaultConfig(s.family)
		if err != nil {
			t.Fatal(err)
		}
		cfg.VocabSize, cfg.HiddenSize, cfg.IntermediateSize, cfg.Layers, cfg.Heads, cfg.KeyValueHeads, cfg.HeadSize,
			cfg.TieWordEmbeddings =
			s.V, s.C, s.F, s.L, s.heads, &s.kv, &s.head, s.tied
		q, kv := s.heads*s.head, s.kv*s.head
		block := s.C*q + 2*s.C*kv + q*s.C + 3*s.C*s.F + 2*s.C
		switch s.family {
		case "qwen2":
			block += q + 2*kv
		case "qwen3":
			block += 2 * s.head
		}
		want := s.V*s.C + s.L*block + s.C
		if !s.tied {
			want += s.V * s.C
		}
		if got := nn.Count(llama.NewForCausalLM(cfg)); got != want {
			t.Errorf("%+v: %d values, want %d", s, got, want)
		}
	}
}
