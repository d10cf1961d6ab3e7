//go:build !amd64 || purego

package kernel

import "runtime"

// pause spends a moment between two looks at an atomic variable.
func pause() { runtime.Gosched() }
