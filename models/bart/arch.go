package bart

import "github.com/spalora/spalora/models/arch"

// Arch describes BART, mBART, Marian and Pegasus.
var Arch = arch.Arch{
	Types:   []string{"bart", "mbart", "marian", "pegasus"},
	Prefix:  "model.",
	Words:   "shared.weight",
	Copies:  []string{"encoder.embed_tokens", "decoder.embed_tokens"},
	Targets: []string{"q_proj", "v_proj"},
	Buffers: []string{
		"encoder.version", "decoder.version", "encoder.embed_positions.weight", "decoder.embed_positions.weight",
	},
	Config: arch.ReadOver(DefaultConfig),
	Heads: []arch.Head{
		{Kind: arch.Seq2Seq, Build: arch.Unlabelled(NewForConditionalGeneration), Parts: []string{"lm_head"}},
	},
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts {
	return arch.Facts{
		Vocabulary: c.VocabSize, Width: c.Width, WidthField: "d_model", Std: c.InitStd, Tied: c.TieWordEmbeddings,
	}
}
