package electra_test

import (
	"strings"
	"testing"

	"github.com/spalora/spalora/models/electra"
	"github.com/spalora/spalora/nn"
)

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(c *electra.Config)
		want   []string // none: accepted
	}{
		{"default", func(*electra.Config) {}, nil},
		{"as electra-base", func(c *electra.Config) { c.EmbeddingSize, c.HiddenSize = 768, 768 }, nil},
		{"last token", func(c *electra.Config) { c.SummaryType = "last" }, nil},
		{"last token by index", func(c *electra.Config) { c.SummaryType = "cls_index" }, nil},
		{"plain summary", func(c *electra.Config) {
			c.SummaryUseProj, c.SummaryActivation, c.SummaryLastDropout = false, "", 0
		}, nil},
		{"what BERT refuses", func(c *electra.Config) { c.HiddenSize, c.HiddenAct = 257, "x" },
			[]string{"257 is not a multiple", `"x"`}},
		{"no tables", func(c *electra.Config) { c.EmbeddingSize = 0 }, []string{"embedding_size is 0"}},
		{"huge tables", func(c *electra.Config) { c.EmbeddingSize = 1 << 40 }, []string{"embedding_size is 1099511627776"}},
		{"mean", func(c *electra.Config) { c.SummaryType = "mean" }, []string{`summary_type "mean"`}},
		{"attention", func(c *electra.Config) { c.SummaryType = "attn" }, []string{`summary_type "attn"`}},
		{"labels", func(c *electra.Config) { c.SummaryProjToLabels = true }, []string{"summary_proj_to_labels"}},
		{"activation", func(c *electra.Config) { c.SummaryActivation = "quick_gelu" },
			[]string{"summary_activation", `"quick_gelu"`}},
		{"first dropout", func(c *electra.Config) { c.SummaryFirstDropout = 1 }, []string{"summary_first_dropout is 1"}},
		{"last dropout", func(c *electra.Config) { c.SummaryLastDropout = -1 }, []string{"summary_last_dropout is -1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := electra.DefaultConfig()
			c.change(&cfg)
			err := cfg.Check()
			if (err != nil) != (len(c.want) > 0) {
				t.Fatalf("got %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) || !strings.HasPrefix(err.Error(), "electra: config.json: ") {
					t.Errorf("got %v, want %q in it", err, w)
				}
			}
		})
	}
}

// TestParameterCount holds the number of values to the formula of the architecture.
func TestParameterCount(t *testing.T) {
	for _, tables := range []int{128, 256} {
		c := electra.DefaultConfig()
		c.EmbeddingSize = tables
		const width, inner = 256, 1024
		linear := func(in, out int) int { return in*out + out }
		block := 4*linear(width, width) + 2*width + linear(width, inner) + linear(inner, width) + 2*width
		body := (30522+512+2)*tables + 2*tables + 12*block
		if tables != width {
			body += linear(tables, width)
		}
		if tables == 128 && body != 13483008 {
			t.Errorf("the formula gives %d, ELECTRA-small has 13483008", body)
		}
		for name, x := range map[string]struct{ got, want int }{
			"encoder": {nn.Count(electra.New(c)), body},
			"sequences": {nn.Count(electra.NewForSequenceClassification(c, 3)),
				body + linear(width, width) + linear(width, 3)},
			"tokens":             {nn.Count(electra.NewForTokenClassification(c, 9)), body + linear(width, 9)},
			"question answering": {nn.Count(electra.NewForQuestionAnswering(c)), body + linear(width, 2)},
			"multiple choice":    {nn.Count(electra.NewForMultipleChoice(c)), body + linear(width, width) + linear(width, 1)},
		} {
			if x.got != x.want {
				t.Errorf("tables of %d, %s: %d values, want %d", tables, name, x.got, x.want)
			}
		}
	}
	if m := electra.New(electra.DefaultConfig()); m.MaxLength() != 512 || m.TokenTypes() != 2 || m.Width() != 256 {
		t.Errorf("limits %+v, width %d", m.Limits, m.Width())
	}
}
