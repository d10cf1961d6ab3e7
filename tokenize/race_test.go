//go:build race

package tokenize

// blockStep thins out the parity tests and shortens long texts where the race detector makes them slow;
// the results are those of one goroutine and checked in full without it.
const blockStep = 100
