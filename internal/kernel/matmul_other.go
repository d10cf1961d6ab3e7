//go:build !amd64 || purego

package kernel

// archTiles is empty: this build has plain Go only.
var archTiles []alternative[tileKernels]
