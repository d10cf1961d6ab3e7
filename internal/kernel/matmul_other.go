//go:build !amd64 || purego

package kernel

// archTiles is empty: this build has only the plain Go version.
var archTiles []alternative[tileKernels]
