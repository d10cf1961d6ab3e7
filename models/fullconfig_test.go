package models

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spalora/spalora/checkpoint"
)

// TestFullConfig fills in what config.json leaves out.
func TestFullConfig(t *testing.T) {
	for text, want := range map[string]map[string]any{
		`{"model_type":"gpt2","n_embd":12,"n_head":3}`: {"n_inner": 48.0, "n_layer": 12.0, "activation_function": "gelu_new"},
		`{"model_type":"llama","hidden_size":32,"num_attention_heads":4,"rope_theta":500}`: {
			"num_key_value_heads": 4.0, "head_dim": 8.0, "sliding_window": nil, "max_position_embeddings": 2048.0,
		},
		`{"model_type":"mistral","hidden_size":64,"num_attention_heads":8}`: {
			"num_key_value_heads": 8.0, "sliding_window": 4096.0,
		},
		`{"model_type":"qwen2","num_attention_heads":32}`: {"sliding_window": nil, "num_key_value_heads": 32.0},
	} {
		src, err := checkpoint.Empty([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		full, err := FullConfig(src)
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(full, &got); err != nil {
			t.Fatal(err)
		}
		for key, w := range want {
			if got[key] != w {
				t.Errorf("%s: %s is %v, want %v", text, key, got[key], w)
			}
		}
		rope, _ := got["rope_parameters"].(map[string]any)
		if got["model_type"] != "gpt2" && rope["rope_type"] != "default" {
			t.Errorf("%s: rope_parameters is %v", text, got["rope_parameters"])
		}
	}
	src, err := checkpoint.Empty([]byte(`{"model_type":"bert"}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := FullConfig(src); err == nil || !strings.Contains(err.Error(), "does not predict the next token") {
		t.Errorf("got %v", err)
	}
}
