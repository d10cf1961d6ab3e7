//go:build !race

package generate

// promptStep is 1: tests read every prompt and case of a fixture.
const promptStep = 1
