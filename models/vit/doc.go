// Package vit is ViT (Dosovitskiy et al. 2020, arXiv:2010.11929) and DeiT (Touvron et al. 2020, arXiv:2012.12877), as
// transformers' models/vit/modeling_vit.py and models/deit/modeling_deit.py have them: encoders of the patches of an
// image. Checkpoints have model_type "vit" or "deit"; DeiT has one token more, which learned from a teacher.
//
//	c, err := vit.DefaultConfig("vit") // then decode config.json into it
//	err = c.Check()
//	m := vit.NewForImageClassification(c, labels)
//	// fill nn.Weights(m)
//	logits := m.Logits(&nn.Pass{Tape: tape}, batch)
//
// Modules have the names of transformers 5; checkpoints have those of version 4, which version 5 still writes.
package vit
