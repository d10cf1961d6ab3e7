// Package tasks turns examples and a model into something that [train.Run] can train and that can predict: one file for
// each task type, from examples to sets, from logits to the loss, from predictions to the score.
package tasks
