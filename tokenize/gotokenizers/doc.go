// Package gotokenizers connects github.com/nlpodyssey/gotokenizers to this module, in both directions:
//
//   - [New] takes a pipeline of gotokenizers (normalizer, pre-tokenizer, model, vocabulary) and returns a
//     [tokenize.Tokenizer], which trains and predicts here as every other one does;
//   - [PartsOf] returns the normalizer, the pre-tokenizer, the model and the vocabulary of a tokenizer of this module
//     as a pipeline of gotokenizers.
//
// So a program that is built on either can change over part by part. Offsets (in code points of the text), added and
// special tokens, templates, truncation, windows and decoding are those of package tokenize, since gotokenizers has
// none of them.
//
// gotokenizers aligns texts by bytes. It counts code points in place of bytes where a normalizer removes something at
// the very beginning of a text, and then panics or shifts the alignment. Both are errors here that name the text, as is
// every other panic and error of a part. docs/tokenizers.md lists where the parts of gotokenizers differ from those of
// Hugging Face.
//
// A tokenizer is used by many goroutines at the same time, so the parts must be safe for concurrent use. Those of
// gotokenizers v0.2.0 are: they keep no state between calls (the cache of its BPE model stores nothing). A BPE model
// with dropout is refused, since predictions must not depend on chance. The tokenizer keeps the results of short words,
// so the model must return the same for the same word.
package gotokenizers
