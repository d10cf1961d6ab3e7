//go:build !race

package tokenize

// blockStep is 1: the parity tests check every block, and long texts have their full length.
const blockStep = 1
