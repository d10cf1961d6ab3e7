package roberta_test

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/models/roberta"
	"github.com/spalora/spalora/nn"
)

func defaults(t *testing.T, modelType string) roberta.Config {
	t.Helper()
	c, err := roberta.DefaultConfig(modelType)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfigCheck(t *testing.T) {
	minus, beyond, last := -1, 50265, 511
	for _, c := range []struct {
		name   string
		change func(c *roberta.Config)
		want   []string // none: accepted
	}{
		{"default", func(*roberta.Config) {}, nil},
		{"as roberta-base", func(c *roberta.Config) { c.MaxPositions, c.TypeVocabSize, c.LayerNormEps = 514, 1, 1e-5 }, nil},
		{"what BERT refuses", func(c *roberta.Config) { c.HiddenSize, c.HiddenAct = 770, "x" },
			[]string{"770 is not a multiple", `"x"`}},
		{"decoder", func(c *roberta.Config) { c.IsDecoder = true }, []string{"is_decoder"}},
		{"no padding token", func(c *roberta.Config) { c.PadTokenID = nil }, []string{"pad_token_id is missing"}},
		{"padding negative", func(c *roberta.Config) { c.PadTokenID = &minus }, []string{"pad_token_id -1"}},
		{"padding outside", func(c *roberta.Config) { c.PadTokenID = &beyond }, []string{"pad_token_id 50265"}},
		{"no position left", func(c *roberta.Config) { c.PadTokenID = &last },
			[]string{"max_position_embeddings 512 leaves no position", "= 512"}},
		{"no positions", func(c *roberta.Config) { c.MaxPositions = 0 }, []string{"max_position_embeddings is 0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := defaults(t, "roberta")
			c.change(&cfg)
			err := cfg.Check()
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "roberta: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
	if c := defaults(t, "xlm-roberta"); c.VocabSize != 30522 || *c.PadTokenID != 1 || c.Check() != nil {
		t.Errorf("got %+v", c)
	}
	if _, err := roberta.DefaultConfig("bert"); err == nil || !strings.Contains(err.Error(), `"bert"`) {
		t.Errorf("got %v", err)
	}
}

// TestLimits: the rows of the table of positions up to the padding token's are not for tokens.
func TestLimits(t *testing.T) {
	c := defaults(t, "roberta")
	c.MaxPositions, c.TypeVocabSize = 514, 1
	if m := roberta.New(c); m.MaxLength() != 512 || m.Vocabulary() != 50265 || m.TokenTypes() != 1 || m.Width() != 768 {
		t.Errorf("limits %+v, width %d", m.Limits, m.Width())
	}
}

// TestParameterCount holds the number of values to the formula of the architecture.
func TestParameterCount(t *testing.T) {
	c := defaults(t, "roberta") // as roberta-base: 124,645,632 with the pooler
	c.MaxPositions, c.TypeVocabSize = 514, 1
	const width, inner = 768, 3072
	linear := func(in, out int) int { return in*out + out }
	block := 4*linear(width, width) + 2*width + linear(width, inner) + linear(inner, width) + 2*width
	body := (50265+514+1)*width + 2*width + 12*block
	for name, x := range map[string]struct{ got, want int }{
		"encoder": {nn.Count(roberta.New(c)), body + linear(width, width)},
		"sequences": {nn.Count(roberta.NewForSequenceClassification(c, 3)),
			body + linear(width, width) + linear(width, 3)},
		"tokens":             {nn.Count(roberta.NewForTokenClassification(c, 9)), body + linear(width, 9)},
		"question answering": {nn.Count(roberta.NewForQuestionAnswering(c)), body + linear(width, 2)},
		"multiple choice":    {nn.Count(roberta.NewForMultipleChoice(c)), body + linear(width, width) + linear(width, 1)},
	} {
		if x.got != x.want {
			t.Errorf("%s: %d values, want %d", name, x.got, x.want)
		}
	}
	if n := nn.Count(roberta.New(c)); n != 124645632 {
		t.Errorf("%d values, roberta-base has 124645632", n)
	}
}
