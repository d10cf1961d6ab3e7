//go:build unix

package tokenize

import (
	"syscall"
	"time"
)

// cpuTime is the processor's time that the process has had, which does not depend
// on what else the machine does.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
