//go:build poison

package kernel

// poisonFreed fills buffers with NaN when they go back to the arena, so that tests see every use after release.
const poisonFreed = true
