//go:build race

package generate

// promptStep thins out the fixtures with many prompts or cases under the race detector, which makes products slow.
// These tests use one goroutine.
const promptStep = 10
