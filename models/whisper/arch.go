package whisper

import "github.com/spalora/spalora/models/arch"

// Arch describes Whisper.
var Arch = arch.Arch{
	Types:   []string{"whisper"},
	Prefix:  "model.",
	Words:   "decoder.embed_tokens.weight",
	Targets: []string{"q_proj", "v_proj"},
	Config:  arch.ReadOver(func(string) (Config, error) { return DefaultConfig(), nil }),
	Heads: []arch.Head{{
		Kind: arch.Speech, Build: arch.Unlabelled(NewForConditionalGeneration), Parts: []string{"proj_out"},
	}},
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts {
	return arch.Facts{
		Vocabulary: c.VocabSize, Width: c.Width, WidthField: "d_model", Std: c.InitStd, Tied: c.TieWordEmbeddings,
	}
}
