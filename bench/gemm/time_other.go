//go:build !unix

package main

import "time"

// processTime returns 0: on this system the processor time is not measured.
func processTime() time.Duration { return 0 }
