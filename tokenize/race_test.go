//go:build race

package tokenize

// blockStep thins out the parity tests and shortens long texts under the race detector, which makes them slow. The
// tests use one goroutine, and run in full without the detector.
const blockStep = 100
