package bart

import "github.com/spalora/spalora/models/arch"

// Arch describes BART and mBART.
var Arch = describe([]string{"bart", "mbart"}, generation,
	arch.Head{
		Kind: arch.Sequence, Build: arch.Labelled(NewForSequenceClassification),
		Parts: []string{"classification_head"}, Outputs: "classification_head.out_proj.weight",
	},
	arch.Head{Kind: arch.Question, Build: arch.Unlabelled(NewForQuestionAnswering), Parts: []string{"qa_outputs"}},
	arch.Head{Kind: arch.Features, Build: arch.Unlabelled(New)},
)

// ArchMarian describes Marian and Pegasus, for which transformers has no other head.
var ArchMarian = describe([]string{"marian", "pegasus"}, generation)

var generation = arch.Head{
	Kind: arch.Seq2Seq, Build: arch.Unlabelled(NewForConditionalGeneration), Parts: []string{"lm_head"},
}

// describe returns the descriptor of model types with the given heads.
func describe(types []string, heads ...arch.Head) arch.Arch {
	return arch.Arch{
		Types:   types,
		Prefix:  "model.",
		Words:   "shared.weight",
		Copies:  []string{"encoder.embed_tokens", "decoder.embed_tokens"},
		Targets: []string{"q_proj", "v_proj"},
		Buffers: []string{
			"encoder.version", "decoder.version", "encoder.embed_positions.weight", "decoder.embed_positions.weight",
			"final_logits_bias",
		},
		Config: arch.ReadOver(DefaultConfig),
		Heads:  heads,
	}
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts {
	return arch.Facts{
		Vocabulary: c.VocabSize, Width: c.Width, WidthField: "d_model", Std: c.InitStd, Tied: c.TieWordEmbeddings,
	}
}
