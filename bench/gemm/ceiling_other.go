//go:build !amd64 || purego

package main

// ceiling is 0: there is no such measurement without assembly.
func ceiling() float64 { return 0 }
