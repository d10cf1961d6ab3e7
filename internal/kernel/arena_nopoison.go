//go:build !poison

package kernel

// poisonFreed is off in normal builds; the tag poison turns it on.
const poisonFreed = false
