// Package tokencls is token classification: a tag for each word of a sentence, such as named entities or parts of
// speech. [Finetuning] trains a classifier, [Open] opens one that was trained, and [Predictor] finds entities and tags.
package tokencls
