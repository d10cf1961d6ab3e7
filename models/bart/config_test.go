package bart_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/spalora/spalora/batch"
	"github.com/spalora/spalora/models/bart"
	"github.com/spalora/spalora/nn"
)

func config(t *testing.T, family, text string) bart.Config {
	t.Helper()
	c, err := bart.DefaultConfig(family)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		name, family, config string
		want                 []string // none: accepted
	}{
		{"bart", "bart", `{}`, nil},
		{"mbart", "mbart", `{}`, nil},
		{"marian", "marian", `{}`, nil},
		{"pegasus", "pegasus", `{}`, nil},
		{"no width", "bart", `{"d_model": 0}`, []string{"d_model is 0"}},
		{"not divisible", "bart", `{"encoder_attention_heads": 7}`,
			[]string{"d_model 1024 is not a multiple of encoder_attention_heads 7"}},
		{"10^9 layers", "mbart", `{"decoder_layers": 1000000000}`, []string{"decoder_layers is 1000000000"}},
		{"activation", "bart", `{"activation_function": "x"}`, []string{`activation "x"`}},
		{"layer drop", "bart", `{"decoder_layerdrop": 0.1}`, []string{"decoder_layerdrop 0.1"}},
		{"dropout of the head", "bart", `{"classifier_dropout": -1}`, []string{"classifier_dropout is -1"}},
		{"padding", "bart", `{"pad_token_id": 50265}`, []string{"pad_token_id 50265"}},
		{"start", "pegasus", `{"decoder_start_token_id": -1}`, []string{"decoder_start_token_id -1"}},
		{"no start", "bart", `{"decoder_start_token_id": null}`, []string{"decoder_start_token_id is missing"}},
		{"two tables", "marian", `{"share_encoder_decoder_embeddings": false}`, []string{"separate vocabularies"}},
		{"two sizes", "marian", `{"decoder_vocab_size": 7}`, []string{"separate vocabularies"}},
		{"everything at once", "bart", `{"init_std": -1, "dropout": 1}`, []string{"init_std is -1", "dropout is 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := config(t, c.family, c.config).Check()
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "bart: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
	if _, err := bart.DefaultConfig("blenderbot"); err == nil || !strings.Contains(err.Error(), `"blenderbot"`) {
		t.Errorf("blenderbot: got %v", err)
	}
}

// TestParameterCount holds the number of values to that of facebook/bart-base, without the buffer of the head.
func TestParameterCount(t *testing.T) {
	m := bart.NewForConditionalGeneration(config(t, "bart", `{"d_model": 768, "encoder_layers": 6, "decoder_layers": 6,
		"encoder_ffn_dim": 3072, "decoder_ffn_dim": 3072, "encoder_attention_heads": 12, "decoder_attention_heads": 12}`))
	if got := nn.Count(m); got != 139420416 {
		t.Errorf("%d values, want 139420416", got)
	}
}

func small(t *testing.T) *bart.ForConditionalGeneration {
	m := bart.NewForConditionalGeneration(config(t, "bart", `{"vocab_size": 9, "d_model": 4, "encoder_layers": 1,
		"decoder_layers": 1, "encoder_ffn_dim": 4, "decoder_ffn_dim": 4, "encoder_attention_heads": 2,
		"decoder_attention_heads": 2, "max_position_embeddings": 8}`))
	if err := m.Init(1); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestBufferStays: full fine-tuning leaves final_logits_bias alone, as PyTorch's buffers.
func TestBufferStays(t *testing.T) {
	m := small(t)
	params := nn.Train(m)
	if slices.ContainsFunc(params, func(p nn.NamedParam) bool { return p.Name == "final_logits_bias" }) ||
		len(params) != len(nn.Weights(m))-1 {
		t.Errorf("%d of %d weights train", len(params), len(nn.Weights(m)))
	}
}

// TestShift: each family's first input of the decoder, ignored labels, and mBART's count of tokens.
func TestShift(t *testing.T) {
	for _, c := range []struct {
		family       string
		labels, want []int32
	}{
		{"bart", []int32{5, batch.Ignore, 6, 2}, []int32{2, 5, 1, 6}},
		{"bart", nil, []int32{}},
		{"pegasus", []int32{5, 1}, []int32{0, 5}},
		{"marian", []int32{5, 0}, []int32{58100, 5}},
		{"mbart", []int32{250, 5, 6, 2}, []int32{2, 250, 5, 6}},
		{"mbart", []int32{7, 2, 1, 1}, []int32{2, 7, 2, 1}},
		{"mbart", []int32{2}, []int32{2}},
	} {
		m := bart.NewForConditionalGeneration(config(t, c.family, `{}`))
		if got := m.Shift(c.labels); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v becomes %v, want %v", c.family, c.labels, got, c.want)
		}
	}
}
