package bert_test

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/spalora/spalora/models/bert"
	"github.com/spalora/spalora/nn"
)

func TestConfigCheck(t *testing.T) {
	nan := float32(math.NaN())
	minus, beyond, one := -1, 30522, float32(1)
	for _, c := range []struct {
		name   string
		change func(c *bert.Config)
		want   []string // "" means accepted
	}{
		{"default", func(*bert.Config) {}, nil},
		{"no padding token", func(c *bert.Config) { c.PadTokenID = nil }, nil},
		{"no position embedding type", func(c *bert.Config) { c.PositionEmbeddingType = "" }, nil},
		{"zero dropout", func(c *bert.Config) { c.HiddenDropout, c.AttentionDropout = 0, 0 }, nil},
		{"hidden_size 0", func(c *bert.Config) { c.HiddenSize = 0 }, []string{"hidden_size is 0"}},
		{"hidden_size negative", func(c *bert.Config) { c.HiddenSize = -768 }, []string{"hidden_size is -768"}},
		{"not divisible", func(c *bert.Config) { c.NumAttentionHeads = 7 },
			[]string{"hidden_size 768 is not a multiple of num_attention_heads 7"}},
		{"no heads", func(c *bert.Config) { c.NumAttentionHeads = 0 }, []string{"num_attention_heads is 0"}},
		{"10^9 layers", func(c *bert.Config) { c.NumHiddenLayers = 1e9 }, []string{"num_hidden_layers is 1000000000"}},
		{"no layers", func(c *bert.Config) { c.NumHiddenLayers = 0 }, []string{"num_hidden_layers is 0"}},
		{"huge width", func(c *bert.Config) { c.HiddenSize, c.NumAttentionHeads = 1<<40, 1 },
			[]string{"hidden_size is 1099511627776"}},
		{"huge vocabulary", func(c *bert.Config) { c.VocabSize = 1 << 40 }, []string{"vocab_size is 1099511627776"}},
		{"no vocabulary", func(c *bert.Config) { c.VocabSize = 0 }, []string{"vocab_size is 0", "pad_token_id 0 is outside"}},
		{"no feed-forward", func(c *bert.Config) { c.IntermediateSize = 0 }, []string{"intermediate_size is 0"}},
		{"no positions", func(c *bert.Config) { c.MaxPositions = -1 }, []string{"max_position_embeddings is -1"}},
		{"no types", func(c *bert.Config) { c.TypeVocabSize = 0 }, []string{"type_vocab_size is 0"}},
		{"activation", func(c *bert.Config) { c.HiddenAct = "quick_gelu" }, []string{"hidden_act", `"quick_gelu"`}},
		{"dropout 1", func(c *bert.Config) { c.HiddenDropout = 1 }, []string{"hidden_dropout_prob is 1"}},
		{"dropout NaN", func(c *bert.Config) { c.AttentionDropout = nan }, []string{"attention_probs_dropout_prob is NaN"}},
		{"dropout negative", func(c *bert.Config) { c.AttentionDropout = -0.1 },
			[]string{"attention_probs_dropout_prob is -0.1"}},
		{"classifier dropout", func(c *bert.Config) { c.ClassifierDropout = &one }, []string{"classifier_dropout is 1"}},
		{"eps NaN", func(c *bert.Config) { c.LayerNormEps = nan }, []string{"layer_norm_eps is NaN"}},
		{"eps negative", func(c *bert.Config) { c.LayerNormEps = -1 }, []string{"layer_norm_eps is -1"}},
		{"initializer range", func(c *bert.Config) { c.InitializerRange = math.NaN() }, []string{"initializer_range is NaN"}},
		{"initializer range negative", func(c *bert.Config) { c.InitializerRange = -0.02 },
			[]string{"initializer_range is -0.02"}},
		{"relative positions", func(c *bert.Config) { c.PositionEmbeddingType = "relative_key" },
			[]string{`position_embedding_type "relative_key"`}},
		{"decoder", func(c *bert.Config) { c.IsDecoder = true }, []string{"is_decoder"}},
		{"cross attention", func(c *bert.Config) { c.AddCrossAttention = true }, []string{"add_cross_attention"}},
		{"padding negative", func(c *bert.Config) { c.PadTokenID = &minus }, []string{"pad_token_id -1"}},
		{"padding outside", func(c *bert.Config) { c.PadTokenID = &beyond }, []string{"pad_token_id 30522"}},
		{"everything at once", func(c *bert.Config) { c.HiddenSize, c.HiddenAct, c.HiddenDropout = 770, "x", 2 },
			[]string{"770 is not a multiple", `"x"`, "hidden_dropout_prob is 2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := bert.DefaultConfig()
			c.change(&cfg)
			err := cfg.Check()
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "bert: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
}

// TestNothingAllocated: a model without values takes next to no memory, whatever its sizes, so that a checkpoint
// whose tensors do not fit a damaged config.json is refused before anything of those sizes is allocated.
func TestNothingAllocated(t *testing.T) {
	c := bert.DefaultConfig()
	c.VocabSize, c.HiddenSize, c.NumAttentionHeads, c.IntermediateSize, c.MaxPositions, c.NumHiddenLayers =
		1<<24, 1<<20, 1, 1<<20, 1<<24, 100
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := bert.NewForSequenceClassification(c, 1000)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes for a model without values", n)
	}
	if nn.Count(m) < 1<<44 {
		t.Error("the sizes are not those of the config")
	}
}

// TestParameterCount holds the number of values to the formula of the architecture.
func TestParameterCount(t *testing.T) {
	for _, c := range []struct{ V, C, F, L, H, P, T, labels int }{
		{30522, 768, 3072, 12, 12, 512, 2, 2}, // BERT-base: 109,483,778
		{30522, 384, 1536, 6, 12, 512, 2, 77}, // MiniLM-L6
		{11, 6, 5, 1, 3, 7, 1, 1},
	} {
		cfg := bert.DefaultConfig()
		cfg.VocabSize, cfg.HiddenSize, cfg.IntermediateSize, cfg.NumHiddenLayers, cfg.NumAttentionHeads, cfg.MaxPositions,
			cfg.TypeVocabSize = c.V, c.C, c.F, c.L, c.H, c.P, c.T
		linear := func(in, out int) int { return in*out + out }
		norm := 2 * c.C
		block := 4*linear(c.C, c.C) + norm + linear(c.C, c.F) + linear(c.F, c.C) + norm
		want := (c.V+c.P+c.T)*c.C + norm + c.L*block + linear(c.C, c.C) + linear(c.C, c.labels)
		if got := nn.Count(bert.NewForSequenceClassification(cfg, c.labels)); got != want {
			t.Errorf("%+v: %d values, want %d", c, got, want)
		}
	}
}
