//go:build race

package generate

// promptStep thins out the fixtures with many prompts under the race detector, which makes products slow.
const promptStep = 10
