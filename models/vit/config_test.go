package vit_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/spalora/spalora/models/vit"
	"github.com/spalora/spalora/nn"
)

func config(t *testing.T, modelType string) vit.Config {
	t.Helper()
	c, err := vit.DefaultConfig(modelType)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfigCheck(t *testing.T) {
	none := 0
	for _, c := range []struct {
		name   string
		change func(c *vit.Config)
		want   []string // none: accepted
	}{
		{"default", func(*vit.Config) {}, nil},
		{"not whole patches", func(c *vit.Config) { c.Image = vit.Size{Height: 225, Width: 300} }, nil},
		{"no width", func(c *vit.Config) { c.Width = 0 }, []string{"hidden_size is 0"}},
		{"not divisible", func(c *vit.Config) { c.Heads = 7 },
			[]string{"hidden_size 768 is not a multiple of num_attention_heads 7"}},
		{"no head size", func(c *vit.Config) { c.HeadSize = &none }, []string{"head_dim is 0"}},
		{"10^9 layers", func(c *vit.Config) { c.Layers = 1e9 }, []string{"num_hidden_layers is 1000000000"}},
		{"no image", func(c *vit.Config) { c.Image = vit.Size{} }, []string{"image_size, its height, is 0"}},
		{"large patch", func(c *vit.Config) { c.Patch.Width = 225 },
			[]string{"patch_size, its width, is 225; want 1 to 224"}},
		{"huge image", func(c *vit.Config) { c.Image.Width = 1 << 20 }, []string{"image_size, its width, is 1048576"}},
		{"channels", func(c *vit.Config) { c.Channels = 1 << 14 }, []string{"a patch of 16×16 pixels in 16384 channels"}},
		{"activation", func(c *vit.Config) { c.Activation = "x" }, []string{"hidden_act", `"x"`}},
		{"pooler", func(c *vit.Config) { c.PoolerActivation = "x" }, []string{"pooler_act", `"x"`}},
		{"dropout", func(c *vit.Config) { c.Dropout = 1 }, []string{"hidden_dropout_prob is 1"}},
		{"eps", func(c *vit.Config) { c.NormEps = float32(math.NaN()) }, []string{"layer_norm_eps is NaN"}},
		{"two errors", func(c *vit.Config) { c.Width, c.Patch.Height = 770, 0 },
			[]string{"770 is not a multiple", "patch_size, its height, is 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := config(t, "deit")
			c.change(&cfg)
			err := cfg.Check()
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "deit: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
	if _, err := vit.DefaultConfig("swin"); err == nil {
		t.Error("another model type is accepted")
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]vit.Size{"32": {32, 32}, "[16, 48]": {16, 48}} {
		var s vit.Size
		if err := json.Unmarshal([]byte(text), &s); err != nil || s != want {
			t.Errorf("%s: %v, %v", text, s, err)
		}
	}
	for _, text := range []string{`"32"`, "[1]", "[1, 2, 3]", "{}", "3.5"} {
		if err := json.Unmarshal([]byte(text), new(vit.Size)); err == nil {
			t.Errorf("%s is read", text)
		}
	}
}

// TestParameterCount holds the number of values to those of ViT-B/16 and DeiT-B/16 with 1000 classes.
func TestParameterCount(t *testing.T) {
	head := 1000 * (768 + 1)
	for modelType, want := range map[string]int{"vit": 85798656 + head, "deit": 85798656 + 2*768 + head} {
		if n := nn.Count(vit.NewForImageClassification(config(t, modelType), 1000)); n != want {
			t.Errorf("%s: %d values, want %d", modelType, n, want)
		}
	}
	if n, want := nn.Count(vit.New(config(t, "vit"))), 85798656+768*(768+1); n != want {
		t.Errorf("with a pooler: %d values, want %d", n, want)
	}
}
