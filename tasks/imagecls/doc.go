// Package imagecls implements the classification of images: the training task, the predictor, the configuration of a
// run, and the kind by which adapters are opened and merged. An image has one class, several, or a value (regression).
//
// Go programs usually use package spalora instead: [Finetuning] is spalora.ImageClassification, and ClassifyImage uses
// a [Predictor].
package imagecls
