//go:build !amd64 || purego

package main

// ceiling returns 0: the measurement needs assembly.
func ceiling() float64 { return 0 }
