package gpt

import "github.com/spalora/spalora/models/arch"

// Arch describes GPT-2.
var Arch = arch.Arch{
	Types:   []string{"gpt2"},
	Prefix:  "transformer.",
	Words:   "wte.weight",
	Targets: []string{"c_attn"},
	Buffers: []string{"attn.bias", "attn.masked_bias"},
	Config:  arch.ReadOver(func(string) (Config, error) { return DefaultConfig(), nil }),
	Heads: []arch.Head{
		{
			Kind: arch.Sequence, Build: arch.Labelled(NewForSequenceClassification),
			Parts: []string{"score"}, Outputs: "score.weight",
		},
		{
			Kind: arch.Token, Build: arch.Labelled(NewForTokenClassification),
			Parts: []string{"classifier"}, Outputs: "classifier.weight",
		},
		{Kind: arch.Causal, Build: arch.Unlabelled(NewForCausalLM), Parts: []string{"lm_head"}},
	},
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts {
	return arch.Facts{
		Vocabulary: c.VocabSize, Width: c.Width, WidthField: "n_embd", Std: c.InitializerRange, Tied: c.TieWordEmbeddings,
	}
}
