package t5

import "github.com/spalora/spalora/models/arch"

// Arch describes T5 and mT5, and by their model types also ByT5, T5 1.1 and Flan-T5.
var Arch = arch.Arch{
	Types:   []string{"t5", "mt5"},
	Prefix:  "transformer.",
	Words:   "shared.weight",
	Copies:  []string{"encoder.embed_tokens", "decoder.embed_tokens"},
	Targets: []string{"q", "v"},
	Buffers: []string{"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"},
	Config:  arch.ReadOver(DefaultConfig),
	Heads: []arch.Head{
		{Kind: arch.Seq2Seq, Build: arch.Unlabelled(NewForConditionalGeneration), Parts: []string{"lm_head"}, Bare: true},
		{
			Kind: arch.Sequence, Build: arch.Labelled(NewForSequenceClassification),
			Parts: []string{"classification_head"}, Outputs: "classification_head.out_proj.weight",
		},
		{
			Kind: arch.Token, Build: arch.Labelled(NewForTokenClassification), Without: []string{"decoder"},
			Parts: []string{"classifier"}, Outputs: "classifier.weight",
		},
		{Kind: arch.Question, Build: arch.Unlabelled(NewForQuestionAnswering), Parts: []string{"qa_outputs"}, Bare: true},
		{Kind: arch.Features, Build: arch.Unlabelled(NewEncoderModel), Without: []string{"decoder"}},
	},
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts {
	return arch.Facts{
		Vocabulary: c.VocabSize, Width: c.Width, WidthField: "d_model", Std: c.InitializerFactor * inverseRoot(c.Width),
		Tied: true, OwnHead: c.ownHead(),
	}
}
