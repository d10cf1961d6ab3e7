package distilbert_test

import (
	"math"
	"strings"
	"testing"

	"github.com/spalora/spalora/models/distilbert"
	"github.com/spalora/spalora/nn"
)

func TestConfigCheck(t *testing.T) {
	nan := float32(math.NaN())
	minus, beyond := -1, 30522
	for _, c := range []struct {
		name   string
		change func(c *distilbert.Config)
		want   []string // none: accepted
	}{
		{"default", func(*distilbert.Config) {}, nil},
		{"no padding token", func(c *distilbert.Config) { c.PadTokenID = nil }, nil},
		{"no width", func(c *distilbert.Config) { c.Width = 0 }, []string{"dim is 0"}},
		{"not divisible", func(c *distilbert.Config) { c.Heads = 7 }, []string{"dim 768 is not a multiple of n_heads 7"}},
		{"no heads", func(c *distilbert.Config) { c.Heads = 0 }, []string{"n_heads is 0"}},
		{"10^9 layers", func(c *distilbert.Config) { c.Layers = 1e9 }, []string{"n_layers is 1000000000"}},
		{"no feed-forward", func(c *distilbert.Config) { c.Inner = 0 }, []string{"hidden_dim is 0"}},
		{"no positions", func(c *distilbert.Config) { c.MaxPositions = -1 }, []string{"max_position_embeddings is -1"}},
		{"no vocabulary", func(c *distilbert.Config) { c.VocabSize = 0 },
			[]string{"vocab_size is 0", "pad_token_id 0 is outside"}},
		{"activation", func(c *distilbert.Config) { c.Activation = "quick_gelu" }, []string{"activation", `"quick_gelu"`}},
		{"dropout 1", func(c *distilbert.Config) { c.Dropout = 1 }, []string{"dropout is 1"}},
		{"dropout NaN", func(c *distilbert.Config) { c.AttentionDropout = nan }, []string{"attention_dropout is NaN"}},
		{"answers", func(c *distilbert.Config) { c.QADropout = -1 }, []string{"qa_dropout is -1"}},
		{"sequences", func(c *distilbert.Config) { c.SequenceDropout = 2 }, []string{"seq_classif_dropout is 2"}},
		{"initializer range", func(c *distilbert.Config) { c.InitializerRange = math.Inf(1) },
			[]string{"initializer_range is +Inf"}},
		{"padding negative", func(c *distilbert.Config) { c.PadTokenID = &minus }, []string{"pad_token_id -1"}},
		{"padding outside", func(c *distilbert.Config) { c.PadTokenID = &beyond }, []string{"pad_token_id 30522"}},
		{"everything at once", func(c *distilbert.Config) { c.Width, c.Activation = 770, "x" },
			[]string{"770 is not a multiple", `"x"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := distilbert.DefaultConfig()
			c.change(&cfg)
			err := cfg.Check()
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "distilbert: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
}

// TestParameterCount holds the number of values to the formula of the architecture.
func TestParameterCount(t *testing.T) {
	c := distilbert.DefaultConfig()
	const width, inner = 768, 3072
	linear := func(in, out int) int { return in*out + out }
	block := 4*linear(width, width) + 2*width + linear(width, inner) + linear(inner, width) + 2*width
	body := (30522+512)*width + 2*width + 6*block
	if body != 66362880 {
		t.Errorf("the formula gives %d, DistilBERT-base has 66362880", body)
	}
	for name, x := range map[string]struct{ got, want int }{
		"encoder": {nn.Count(distilbert.New(c)), body},
		"sequences": {nn.Count(distilbert.NewForSequenceClassification(c, 3)),
			body + linear(width, width) + linear(width, 3)},
		"tokens":             {nn.Count(distilbert.NewForTokenClassification(c, 9)), body + linear(width, 9)},
		"question answering": {nn.Count(distilbert.NewForQuestionAnswering(c)), body + linear(width, 2)},
		"multiple choice":    {nn.Count(distilbert.NewForMultipleChoice(c)), body + linear(width, width) + linear(width, 1)},
	} {
		if x.got != x.want {
			t.Errorf("%s: %d values, want %d", name, x.got, x.want)
		}
	}
	if m := distilbert.New(c); m.MaxLength() != 512 || m.TokenTypes() != 0 || m.Width() != width {
		t.Errorf("limits %+v, width %d", m.Limits, m.Width())
	}
}
