// Package arch describes architectures as data: an [Arch] names the values of model_type, the tensors of a checkpoint
// and the heads, and says how config.json is read and how each model is built. Every folder below models declares
// one,
//
//	var Arch = arch.Arch{
//		Types: []string{"bert"}, Prefix: "bert.", Words: "embeddings.word_embeddings.weight",
//		Config: arch.ReadOver(func(string) (Config, error) { return DefaultConfig(), nil }),
//		Heads: []arch.Head{
//			{Kind: arch.Token, Build: arch.Labelled(NewForTokenClassification), Parts: []string{"classifier"},
//				Outputs: "classifier.weight"},
//		},
//	}
//
// and package models derives everything else from it: which tensors of a checkpoint may be missing, which ones are
// skipped, what an adapter saves with a head, and what a head in an adapter is for.
package arch
