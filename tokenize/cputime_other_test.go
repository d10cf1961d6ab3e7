//go:build !unix

package tokenize

import "time"

var started = time.Now()

// cpuTime is the time that has passed, for want of the processor's.
func cpuTime() time.Duration { return time.Since(started) }
