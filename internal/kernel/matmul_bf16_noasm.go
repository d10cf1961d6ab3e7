//go:build !amd64 || purego

package kernel

// pairTiles are the kernels for pairs of BF16, of which plain Go has none.
var pairTiles *pairKernels
