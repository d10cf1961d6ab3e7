package kernel

import "golang.org/x/sys/unix"

// hugePages asks for 2 MiB pages, which the Go runtime no longer does by itself. A kernel that refuses is fine.
func hugePages(m []byte) { _ = unix.Madvise(m, unix.MADV_HUGEPAGE) }
