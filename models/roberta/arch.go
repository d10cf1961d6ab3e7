package roberta

import "github.com/spalora/spalora/models/arch"

// Arch describes RoBERTa and XLM-RoBERTa. Their head for sequences has two layers, the one for choices reads the
// pooler.
var Arch = arch.Arch{
	Types:   []string{"roberta", "xlm-roberta"},
	Prefix:  "roberta.",
	Words:   "embeddings.word_embeddings.weight",
	Targets: []string{"query", "value"},
	Unused:  []string{"lm_head"},
	Buffers: []string{"position_ids", "token_type_ids"},
	Config:  arch.ReadOver(DefaultConfig),
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
			Parts: []string{"classifier"}, Inner: []string{"pooler"}, Outputs: "classifier.weight",
		},
		{Kind: arch.Features, Build: arch.Unlabelled(New), Inner: []string{"pooler"}},
	},
}
