package mapping

import "golang.org/x/sys/unix"

// release gives back the pages of a read-only file mapping. It is advice: a failure costs memory, not correctness.
func release(pages []byte) { _ = unix.Madvise(pages, unix.MADV_DONTNEED) }
