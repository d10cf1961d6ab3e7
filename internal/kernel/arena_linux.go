package kernel

import (
	"github.com/edsrzf/mmap-go"
	"golang.org/x/sys/unix"
)

// arenaAccess makes mappings private: shared ones get no huge pages.
const arenaAccess = mmap.COPY

// hugePages asks for 2 MiB pages, which the Go runtime no longer does by itself. A kernel that refuses is fine.
func hugePages(m []byte) { _ = unix.Madvise(m, unix.MADV_HUGEPAGE) }
