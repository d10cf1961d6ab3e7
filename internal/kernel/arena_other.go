//go:build !linux

package kernel

// hugePages does nothing where the system has no such request.
func hugePages([]byte) {}
