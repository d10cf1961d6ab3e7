package gpt_test

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/spalora/spalora/models/gpt"
	"github.com/spalora/spalora/nn"
)

func TestConfigCheck(t *testing.T) {
	inner, one, nan := 0, float32(1), float32(math.NaN())
	for _, c := range []struct {
		name   string
		change func(c *gpt.Config)
		want   []string // none: accepted
	}{
		{"default", func(*gpt.Config) {}, nil},
		{"untied", func(c *gpt.Config) { c.TieWordEmbeddings = false }, nil},
		{"no width", func(c *gpt.Config) { c.Width = 0 }, []string{"n_embd is 0"}},
		{"not divisible", func(c *gpt.Config) { c.Heads = 7 }, []string{"n_embd 768 is not a multiple of n_head 7"}},
		{"no heads", func(c *gpt.Config) { c.Heads = 0 }, []string{"n_head is 0"}},
		{"10^9 layers", func(c *gpt.Config) { c.Layers = 1e9 }, []string{"n_layer is 1000000000"}},
		{"no positions", func(c *gpt.Config) { c.Positions = -1 }, []string{"n_positions is -1"}},
		{"no vocabulary", func(c *gpt.Config) { c.VocabSize = 0 }, []string{"vocab_size is 0"}},
		{"no feed-forward", func(c *gpt.Config) { c.Inner = &inner }, []string{"n_inner is 0"}},
		{"activation", func(c *gpt.Config) { c.Activation = "quick_gelu" }, []string{"activation_function", `"quick_gelu"`}},
		{"dropout 1", func(c *gpt.Config) { c.ResidualDropout = 1 }, []string{"resid_pdrop is 1"}},
		{"dropout NaN", func(c *gpt.Config) { c.AttentionDropout = nan }, []string{"attn_pdrop is NaN"}},
		{"embedding dropout", func(c *gpt.Config) { c.EmbeddingDropout = -1 }, []string{"embd_pdrop is -1"}},
		{"classifier dropout", func(c *gpt.Config) { c.ClassifierDropout = &one }, []string{"classifier_dropout is 1"}},
		{"eps", func(c *gpt.Config) { c.LayerNormEpsilon = nan }, []string{"layer_norm_epsilon is NaN"}},
		{"initializer range", func(c *gpt.Config) { c.InitializerRange = math.Inf(1) },
			[]string{"initializer_range is +Inf"}},
		{"cross attention", func(c *gpt.Config) { c.AddCrossAttention = true }, []string{"add_cross_attention"}},
		{"everything at once", func(c *gpt.Config) { c.Width, c.Activation = 770, "x" },
			[]string{"770 is not a multiple", `"x"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := gpt.DefaultConfig()
			c.change(&cfg)
			err := cfg.Check()
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "gpt: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
}

// TestNothingAllocated: a model without values takes next to no memory, whatever its sizes.
func TestNothingAllocated(t *testing.T) {
	c := gpt.DefaultConfig()
	c.VocabSize, c.Width, c.Heads, c.Positions, c.Layers = 1<<24, 1<<18, 1, 1<<24, 100
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := gpt.NewForCausalLM(c)
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
	for _, c := range []struct {
		V, C, L, H, P int
		tied          bool
	}{
		{50257, 768, 12, 12, 1024, true}, // GPT-2: 124,439,808
		{50257, 768, 12, 12, 1024, false},
		{11, 6, 1, 3, 7, true},
	} {
		cfg := gpt.DefaultConfig()
		cfg.VocabSize, cfg.Width, cfg.Layers, cfg.Heads, cfg.Positions, cfg.TieWordEmbeddings = c.V, c.C, c.L, c.H, c.P,
			c.tied
		linear := func(in, out int) int { return in*out + out }
		block := linear(c.C, 3*c.C) + linear(c.C, c.C) + linear(c.C, 4*c.C) + linear(4*c.C, c.C) + 4*c.C
		want := (c.V+c.P)*c.C + c.L*block + 2*c.C
		if !c.tied {
			want += c.V * c.C
		}
		if got := nn.Count(gpt.NewForCausalLM(cfg)); got != want {
			t.Errorf("%+v: %d values, want %d", c, got, want)
		}
	}
}
