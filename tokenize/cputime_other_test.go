//go:build !unix

package tokenize

import "time"

var started = time.Now()

// cpuTime returns the elapsed time, because the processor's time is not available.
func cpuTime() time.Duration { return time.Since(started) }
