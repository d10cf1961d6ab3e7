package llama

import "github.com/spalora/spalora/models/arch"

// Arch describes LLaMA, Mistral, Qwen2 and Qwen3.
var Arch = arch.Arch{
	Types:   []string{"llama", "mistral", "qwen2", "qwen3"},
	Prefix:  "model.",
	Words:   "embed_tokens.weight",
	Targets: []string{"q_proj", "v_proj"},
	Buffers: []string{"rotary_emb.inv_freq"},
	Config:  arch.ReadOver(DefaultConfig),
	Heads: []arch.Head{
		{
			Kind: arch.Sequence, Build: arch.Labelled(NewForSequenceClassification),
			Parts: []string{"score"}, Outputs: "score.weight",
		},
		{
			Kind: arch.Token, Build: arch.Labelled(NewForTokenClassification),
			Parts: []string{"score"}, Outputs: "score.weight",
		},
		{Kind: arch.Causal, Build: arch.Unlabelled(NewForCausalLM), Parts: []string{"lm_head"}},
	},
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts {
	return arch.Facts{
		Vocabulary: c.VocabSize, Width: c.HiddenSize, WidthField: "hidden_size", Std: c.InitializerRange,
		Tied: c.TieWordEmbeddings,
	}
}
