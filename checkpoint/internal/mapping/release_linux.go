package mapping

import "golang.org/x/sys/unix"

// release returns the pages of a read-only file mapping to the system. It is a hint: a failure costs memory, not
// correctness.
func release(pages []byte) { _ = unix.Madvise(pages, unix.MADV_DONTNEED) }
