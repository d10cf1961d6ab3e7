//go:build !linux

package tasks

import "runtime"

// resident returns how many bytes of memory Go holds now, without mapped files and activations. The peak is 0: it is
// not known here.
func resident() (now, peak int64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased), 0
}
