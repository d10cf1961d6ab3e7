package bert

import "github.com/spalora/spalora/models/arch"

// Arch describes BERT.
var Arch = arch.Arch{
	Types:   []string{"bert"},
	Prefix:  "bert.",
	Words:   "embeddings.word_embeddings.weight",
	Targets: []string{"query", "value"},
	Unused:  []string{"cls"},
	Buffers: []string{"position_ids", "token_type_ids"},
	Config:  arch.ReadOver(func(string) (Config, error) { return DefaultConfig(), nil }),
	Heads: []arch.Head{
		{
			Kind: arch.Sequence, Build: arch.Labelled(NewForSequenceClassification),
			Parts: []string{"classifier"}, Inner: []string{"pooler"}, Outputs: "classifier.weight",
		},
		{
			Kind: arch.Token, Build: arch.Labelled(NewForTokenClassification),
			Parts: []string{"classifier"}, Outputs: "classifier.weight",
		},
		{Kind: arch.Question, Build: arch.Unlabelled(NewForQuestionAnswering), Parts: []string{"qa_outputs"}},
		{
			Kind: arch.Choice, Build: arch.Unlabelled(NewForMultipleChoice),
			Parts: []string{"classifier"}, Inner: []string{"pooler"}, Outputs: "classifier.weight",
		},
		{Kind: arch.Features, Build: arch.Unlabelled(New), Inner: []string{"pooler"}},
	},
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts {
	return arch.Facts{
		Vocabulary: c.VocabSize, Width: c.HiddenSize, WidthField: "hidden_size", Std: c.InitializerRange,
	}
}
