package distilbert

import "github.com/spalora/spalora/models/arch"

// Arch describes DistilBERT. PEFT 0.21 has no default targets for it: these are the layers that it adapts of BERT.
var Arch = arch.Arch{
	Types:   []string{"distilbert"},
	Prefix:  "distilbert.",
	Words:   "embeddings.word_embeddings.weight",
	Targets: []string{"q_lin", "v_lin"},
	Unused:  []string{"vocab_transform", "vocab_layer_norm", "vocab_projector"},
	Buffers: []string{"position_ids"},
	Config:  arch.ReadOver(func(string) (Config, error) { return DefaultConfig(), nil }),
	Heads: []arch.Head{
		{
			Kind: arch.Sequence, Build: arch.Labelled(NewForSequenceClassification),
			Parts: []string{"classifier", "pre_classifier"}, Outputs: "classifier.weight",
		},
		{
			Kind: arch.Token, Build: arch.Labelled(NewForTokenClassification),
			Parts: []string{"classifier"}, Outputs: "classifier.weight",
		},
		{Kind: arch.Question, Build: arch.Unlabelled(NewForQuestionAnswering), Parts: []string{"qa_outputs"}},
		{
			Kind: arch.Choice, Build: arch.Unlabelled(NewForMultipleChoice),
			Parts: []string{"classifier", "pre_classifier"}, Outputs: "classifier.weight",
		},
		{Kind: arch.Features, Build: arch.Unlabelled(New)},
	},
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts {
	return arch.Facts{Vocabulary: c.VocabSize, Width: c.Width, WidthField: "dim", Std: c.InitializerRange}
}
