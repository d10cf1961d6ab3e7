//go:build !linux

package kernel

import "github.com/edsrzf/mmap-go"

// arenaAccess makes mappings readable and writable.
const arenaAccess = mmap.RDWR

// hugePages does nothing where the system has no such request.
func hugePages([]byte) {}
