// Package batch holds the vocabulary between data, models and the training loop: the [Batch] that a model computes in
// one forward, the [Set] of examples that batches are made of, and the [Split] of the data that a set belongs to.
//
// A task makes a Set from what package data read; the training loop asks it for batches; a model takes a batch:
//
//	b, err := set.Batch(ctx, []int{4, 0, 7}, op.Key{})
//	logits := model.Logits(pass, b)
package batch
