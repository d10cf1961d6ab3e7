// Package data reads examples from files and holds what a model is given for
// a step.
package data
