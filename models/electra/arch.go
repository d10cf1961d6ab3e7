package electra

import "github.com/spalora/spalora/models/arch"

// Arch describes ELECTRA. Its head for sequences has two layers, the one for choices summarises the sequence first.
var Arch = arch.Arch{
	Types:   []string{"electra"},
	Prefix:  "electra.",
	Words:   "embeddings.word_embeddings.weight",
	Targets: []string{"query", "value"},
	Unused:  []string{"discriminator_predictions", "generator_predictions", "generator_lm_head"},
	Buffers: []string{"position_ids", "token_type_ids"},
	Config:  arch.ReadOver(func(string) (Config, error) { return DefaultConfig(), nil }),
	Heads: []arch.Head{
		{
			Kind: arch.Sequence, Build: arch.Labelled(NewForSequenceClassification),
			Parts: []string{"classifier"}, Outputs: "classifier.out_proj.weight",
		},
		{
			Kind: arch.Token, Build: arch.Labelled(NewForTokenClassification),
			Parts: []string{"classifier"}, Outputs: "classifier.weight",
		},
		{Kind: arch.Question, Build: arch.Unlabelled(NewForQuestionAnswering), Parts: []string{"qa_outputs"}},
		{
			Kind: arch.Choice, Build: arch.Unlabelled(NewForMultipleChoice),
			Parts: []string{"classifier", "sequence_summary"}, Outputs: "classifier.weight",
		},
		{Kind: arch.Features, Build: arch.Unlabelled(New)},
	},
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts {
	f := c.Config.Facts()
	f.Width, f.WidthField = c.EmbeddingSize, "embedding_size"
	return f
}
