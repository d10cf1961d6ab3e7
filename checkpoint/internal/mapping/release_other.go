//go:build !linux

package mapping

// release does nothing: on these systems the kernel alone decides when clean file pages leave memory.
func release([]byte) {}
