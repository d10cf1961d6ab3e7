// Package embed is sentence embeddings: an encoder turns a text into a vector, so that the cosine of two vectors
// measures how near the meanings of their texts are. It has the training task on pairs of texts, the predictor, and
// what a fine-tuning run and an adapter directory mean for them.
//
// A Go program usually comes here through the package spalora: [Finetuning] is spalora.Embedding, and a [Predictor] is
// behind Embed and Similarity.
package embed
