//go:build !amd64 || purego

package kernel

import "testing"

// forEachVectors runs f with the only version of the functions on slices.
func forEachVectors(t *testing.T, f func(t *testing.T)) { f(t) }
