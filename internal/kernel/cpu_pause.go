//go:build !amd64 || purego

package kernel

import "runtime"

// pause waits briefly between two reads of an atomic variable.
func pause() { runtime.Gosched() }
