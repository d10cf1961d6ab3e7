// Package embed implements sentence embeddings: an encoder turns a text into a vector, so that the cosine of two
// vectors measures how similar the meanings of their texts are. It has the training task on pairs of texts, the
// predictor, the configuration of a run, and the kind by which adapters are opened and merged.
//
// Go programs usually use package spalora instead: [Finetuning] is spalora.Embedding, and Embed and Similarity use a
// [Predictor].
package embed
