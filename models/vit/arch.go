package vit

import "github.com/spalora/spalora/models/arch"

// Arch describes ViT. PEFT 0.21 has no default targets for it: these are the layers that it adapts of other models.
var Arch = describe("vit")

// ArchDeiT describes DeiT, which has a class with two heads beside that with one.
var ArchDeiT = describe("deit", arch.Head{
	Kind: arch.ImageTeacher, Class: TeacherClass, Build: arch.Labelled(NewForImageClassificationWithTeacher),
	Parts: []string{"cls_classifier", "distillation_classifier"}, Outputs: "cls_classifier.weight",
})

// describe returns the descriptor of a model type with the heads of both and the given ones.
func describe(modelType string, more ...arch.Head) arch.Arch {
	return arch.Arch{
		Types:   []string{modelType},
		Prefix:  modelType + ".",
		Targets: []string{"q_proj", "v_proj"},
		Unused:  []string{"decoder.0"},
		Buffers: []string{"mask_token"},
		Config:  arch.ReadOver(DefaultConfig),
		Heads: append([]arch.Head{
			{
				Kind: arch.Image, Build: arch.Labelled(NewForImageClassification),
				Parts: []string{"classifier"}, Outputs: "classifier.weight",
			},
			{Kind: arch.ImageFeatures, Build: arch.Unlabelled(New), Inner: []string{"pooler"}},
		}, more...),
	}
}

// Facts returns the values that loading a checkpoint needs.
func (c Config) Facts() arch.Facts { return arch.Facts{Std: c.InitializerRange} }
