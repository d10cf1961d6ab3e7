//go:build !race

package tokenize

// blockStep is 1: the parity tests check every block.
const blockStep = 1
