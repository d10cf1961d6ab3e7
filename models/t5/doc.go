// Package t5 has the encoder–decoder of T5 (Raffel et al. 2020, arXiv:1910.10683), which mT5, ByT5, T5 1.1 and
// Flan-T5 share. Blocks are pre-norm with RMS norms and without biases, positions are relative, and products of queries
// and keys are not scaled:
//
//	c, err := t5.DefaultConfig("t5")
//	m := t5.NewForConditionalGeneration(c)
//	m.Loss(pass, batch) // batch: the source; batch.Target: the decoder's inputs and labels
//
// Sizes and names are those of config.json and of transformers' checkpoints.
package t5
