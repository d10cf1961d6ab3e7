package t5_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/spalora/spalora/models/t5"
	"github.com/spalora/spalora/nn"
)

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		name, family, config string
		want                 []string // none: accepted
	}{
		{"default", "t5", `{}`, nil},
		{"mt5", "mt5", `{}`, nil},
		{"byt5", "t5", `{"vocab_size": 384, "num_layers": 12, "num_decoder_layers": 4, "feed_forward_proj": "gated-gelu"}`,
			nil},
		{"no width", "t5", `{"d_model": 0}`, []string{"d_model is 0"}},
		{"no heads", "t5", `{"num_heads": 0}`, []string{"num_heads is 0"}},
		{"huge heads", "t5", `{"d_kv": 1048576}`, []string{"d_kv 1048576"}},
		{"10^9 layers", "t5", `{"num_decoder_layers": 1000000000}`, []string{"num_decoder_layers is 1000000000"}},
		{"activation", "t5", `{"feed_forward_proj": "gated-swiglu"}`, []string{`feed_forward_proj "gated-swiglu"`}},
		{"buckets", "t5", `{"relative_attention_num_buckets": 2}`, []string{"relative_attention_num_buckets is 2"}},
		{"distance", "t5", `{"relative_attention_max_distance": 16}`, []string{"relative_attention_max_distance is 16"}},
		{"padding", "t5", `{"pad_token_id": -1}`, []string{"pad_token_id -1", "decoder_start_token_id -1"}},
		{"start", "t5", `{"decoder_start_token_id": 32128}`, []string{"decoder_start_token_id 32128"}},
		{"dropout", "t5", `{"dropout_rate": 1}`, []string{"dropout_rate is 1"}},
		{"dropout of the head", "t5", `{"classifier_dropout": 1}`, []string{"classifier_dropout is 1"}},
		{"factor", "t5", `{"initializer_factor": -1}`, []string{"initializer_factor is -1"}},
		{"everything at once", "mt5", `{"d_ff": 0, "vocab_size": 0}`, []string{"d_ff is 0", "vocab_size is 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := t5.DefaultConfig(c.family)
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
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "t5: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
	if _, err := t5.DefaultConfig("umt5"); err == nil || !strings.Contains(err.Error(), `"umt5"`) {
		t.Errorf("umt5: got %v", err)
	}
}

// TestParameterCount holds the number of values to that of transformers' models of the published sizes.
func TestParameterCount(t *testing.T) {
	small, err := t5.DefaultConfig("t5")
	if err != nil {
		t.Fatal(err)
	}
	byt5 := small
	byt5.VocabSize, byt5.Width, byt5.FeedForward, byt5.Layers, byt5.Heads = 384, 1472, 3584, 12, 6
	layers := 4
	byt5.DecoderLayers, byt5.FeedForwardProj = &layers, "gated-gelu"
	for _, s := range []struct {
		name   string
		config t5.Config
		want   int
	}{
		{"t5-small", small, 60506624},
		{"byt5-small", byt5, 299072512},
	} {
		if got := nn.Count(t5.NewForConditionalGeneration(s.config)); got != s.want {
			t.Errorf("%s has %d values, want %d", s.name, got, s.want)
		}
	}
}
